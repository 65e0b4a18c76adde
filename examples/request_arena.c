/* SPDX-License-Identifier: BSD-2-Clause */
/* An arena for a request: allocate freely, look for failure once, drop everything in one step. */
#include <harena.h>
#include <stdio.h>
#include <string.h>

/* No request may hold more than this. */
enum { REQUEST_LIMIT = 1 << 20 };

struct pair {
    struct pair *next;
    char *key, *value;
};

/* "a=1&b=2" as a list of pairs. After a failure the list is cut short: the caller asks the arena. */
static struct pair *parse(harena *a, const char *query)
{
    struct pair *first = NULL, **end = &first;
    size_t length, key;

    for (; *query != '\0'; query += length + (query[length] == '&')) {
        struct pair *pair = harena_new_zeroed(a, struct pair);

        length = strcspn(query, "&");
        key = strcspn(query, "=&");
        if (pair == NULL)
            break;
        pair->key = harena_strndup(a, query, key);
        pair->value =
            harena_strndup(a, query + key + (key < length), length - key - (key < length));
        if (harena_failed(a))
            break;
        *end = pair;
        end = &pair->next;
    }
    return first;
}

/* The answer, in the arena. NULL: out of memory. */
static const char *answer(harena *a, const char *query, size_t scratch)
{
    const char *text = "";
    char *work = harena_alloc(a, scratch); /* whatever else the request needs */

    if (work != NULL)
        memset(work, 0, scratch);
    for (struct pair *pair = parse(a, query); pair != NULL && text != NULL; pair = pair->next)
        text = harena_printf(a, "%s[%s is %s]", text, pair->key, pair->value);
    return harena_failed(a) ? NULL : text; /* one question for all that was allocated */
}

static void serve(harena *a, const char *query, size_t scratch)
{
    const char *text = answer(a, query, scratch);

    printf("%s -> %s\n", query, text != NULL ? text : "503 out of memory");
    harena_reset(a); /* the next request finds warm memory; the failure is forgotten */
}

int main(void)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *a;

    options.name = "request";
    options.limit = REQUEST_LIMIT;
    a = harena_create(&options);
    if (a == NULL)
        return 1;
    serve(a, "city=Arles&year=90", 1000);
    serve(a, "city=Nimes", (size_t)2 * REQUEST_LIMIT); /* refused, and nothing is broken */
    for (int i = 0; i < 1000; i++) {                   /* a thousand requests, one chunk */
        if (answer(a, "city=Pula&seats=23000", 5000) == NULL)
            return 1;
        harena_reset(a);
    }
    serve(a, "city=Verona", 1000);
    printf("held after a reset: %zu bytes\n", harena_cap(a));
    harena_release(a);
    return 0;
}
