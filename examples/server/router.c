/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of routes: paths first (404), then methods (405). */
#include "router.h"

#include "text.h"

#include <string.h>

struct route {
    const char *path;
    bool prefix; /* something must follow */
    const char *allow;
    void (*handle)(struct request *request, const char *rest);
};

static const char READ[] = "GET, HEAD", WRITE[] = "POST";

static const struct route ROUTES[] = {
    {"/v1/subdivisions/", true, READ, handle_subdivision},
    {"/v1/languages/", true, READ, handle_language},
    {"/v1/search", false, READ, handle_search},
    {"/v1/annotate", false, WRITE, handle_annotate},
    {"/v1/top", false, READ, handle_top},
    {"/admin/reload", false, WRITE, handle_reload},
    {"/metrics", false, READ, handle_metrics},
    {"/healthz", false, READ, handle_health},
};

static const struct route *find_route(const char *path, const char **rest)
{
    for (size_t i = 0; i < sizeof ROUTES / sizeof ROUTES[0]; i++) {
        size_t length = strlen(ROUTES[i].path);
        *rest = path + length;
        if (strncmp(path, ROUTES[i].path, length) == 0 && (**rest != '\0') == ROUTES[i].prefix)
            return &ROUTES[i];
    }
    return NULL;
}

/* HEAD is GET without a body, and libmicrohttpd leaves that out. */
static bool allows(const struct route *route, const char *method)
{
    if (route->allow == WRITE)
        return strcmp(method, MHD_HTTP_METHOD_POST) == 0;
    return strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
}

void router_answer(struct request *request)
{
    /* What is no text cannot be echoed in JSON, so it is not counted by its path either. */
    if (!text_is_utf8(request->path, strlen(request->path))) {
        answer_error(request, MHD_HTTP_NOT_FOUND, "no such path");
        return;
    }
    request->asked = request->path;
    const char *rest;
    const struct route *route = find_route(request->path, &rest);
    if (!route) {
        answer_error(request, MHD_HTTP_NOT_FOUND, "no such path");
    } else if (!allows(route, request->method)) {
        request->allow = route->allow;
        answer_error(request, MHD_HTTP_METHOD_NOT_ALLOWED, "not with this method");
    } else {
        route->handle(request, rest);
    }
}
