/* SPDX-License-Identifier: BSD-2-Clause */
/* A request handler whose arena is sized before the first request: handling takes no memory from anybody. */
#include <harena.h>
#include <stdio.h>
#include <string.h>

/* What a request of this kind needs at most, as measured: harena_peak. */
enum { REQUEST_BYTES = 256 * 1024, REQUESTS = 1000 };

struct response {
    HARENA_ARRAY(const char *) processed;
};

/* "a,b,c" to processed items, all in the arena. NULL: no memory. */
static struct response *handle(harena *a, const char *body)
{
    struct response *response = harena_new_zeroed(a, struct response);

    if (response == NULL)
        return NULL;
    for (size_t length; *body != '\0'; body += length + (body[length] == ',')) {
        length = strcspn(body, ",");
        if (!harena_array_push(a, &response->processed,
                               harena_printf(a, "processed_%.*s", (int)length, body)))
            return NULL;
    }
    return harena_failed(a) ? NULL : response;
}

/* The answer as a client gets it, in the arena as well. */
static const char *as_json(harena *a, const struct response *response)
{
    harena_buf text;

    harena_buf_init(&text, a);
    for (size_t i = 0; i < response->processed.len; i++)
        harena_buf_printf(&text, "%s\"%s\"", i == 0 ? "[" : ",", response->processed.items[i]);
    harena_buf_write_string(&text, response->processed.len == 0 ? "[]" : "]");
    return harena_buf_string(&text); /* NULL if any of the writes failed */
}

static uint64_t chunks_taken(void)
{
    harena_provider_stats stats = {.size = sizeof(stats)};

    harena_provider_stats_get(NULL, &stats);
    return stats.gets;
}

int main(void)
{
    harena_options options = HARENA_OPTIONS_INIT;
    const char *json = NULL;
    struct response *response;
    uint64_t before;
    harena *a;

    options.name = "request";
    options.initial = REQUEST_BYTES; /* here now, and kept by each reset */
    a = harena_create(&options);
    if (a == NULL)
        return 1;
    before = chunks_taken();
    for (int i = 0; i < REQUESTS; i++) {
        response = handle(a, i % 2 == 0 ? "olives,wine,garum" : "salt");
        json = response == NULL ? NULL : as_json(a, response);
        if (json == NULL)
            return 1;
        if (i < 2)
            puts(json);
        harena_reset(a); /* json is gone */
    }
    printf("%d requests, %ju chunks taken on the way\n", REQUESTS,
           (uintmax_t)(chunks_taken() - before));
    harena_release(a);
    return 0;
}
