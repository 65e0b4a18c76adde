/* SPDX-License-Identifier: BSD-2-Clause */
/* A document parsed event by event, and generated again. Needs: yajl. */
#include "adapter.h"
#include <harena/adapters/yajl.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

/* [{"number": 1, "text": "..."}, ...], a line of the file each. */
static const char *document_of(harena *a, const char *text, size_t size, size_t *lines)
{
    harena_buf document;
    size_t length;

    *lines = 0;
    harena_buf_init(&document, a);
    harena_buf_write_byte(&document, '[');
    for (const char *at = text; at < text + size; at += length + 1) {
        length = strcspn(at, "\n");
        harena_buf_printf(&document, "%s{\"number\": %zu, \"text\": \"", *lines != 0 ? ",\n" : "",
                          *lines);
        for (size_t i = 0; i < length; i++)
            if (at[i] >= ' ' && at[i] < 127 && at[i] != '"' && at[i] != '\\')
                harena_buf_write_byte(&document, (unsigned char)at[i]);
        harena_buf_write_string(&document, "\"}");
        ++*lines;
    }
    harena_buf_write_byte(&document, ']');
    return harena_buf_string(&document);
}

static int on_number(void *ctx, long long number)
{
    return yajl_gen_integer(ctx, number) == yajl_gen_status_ok;
}

static int on_string(void *ctx, const unsigned char *text, size_t size)
{
    return yajl_gen_string(ctx, text, size) == yajl_gen_status_ok;
}

static int on_map(void *ctx)
{
    return yajl_gen_map_open(ctx) == yajl_gen_status_ok;
}

static int on_map_end(void *ctx)
{
    return yajl_gen_map_close(ctx) == yajl_gen_status_ok;
}

static int on_array(void *ctx)
{
    return yajl_gen_array_open(ctx) == yajl_gen_status_ok;
}

static int on_array_end(void *ctx)
{
    return yajl_gen_array_close(ctx) == yajl_gen_status_ok;
}

static const yajl_callbacks callbacks = {.yajl_integer = on_number,
                                         .yajl_string = on_string,
                                         .yajl_start_map = on_map,
                                         .yajl_map_key = on_string,
                                         .yajl_end_map = on_map_end,
                                         .yajl_start_array = on_array,
                                         .yajl_end_array = on_array_end};

/* Parses `text` and generates it again, in the least form. */
static const unsigned char *copy(harena *a, const void *text, size_t size, size_t *copied)
{
    yajl_alloc_funcs memory = harena_yajl_memory(a);
    yajl_gen generator = yajl_gen_alloc(&memory);
    yajl_handle parser = yajl_alloc(&callbacks, &memory, generator);
    const unsigned char *bytes;

    CHECK(parser != NULL && generator != NULL);
    CHECK(yajl_parse(parser, text, size) == yajl_status_ok &&
          yajl_complete_parse(parser) == yajl_status_ok);
    CHECK(yajl_gen_get_buf(generator, &bytes, copied) == yajl_gen_status_ok);
    CHECK(harena_contains(a, bytes));
    yajl_free(parser);
    return bytes; /* the generator's, and so the arena's */
}

static void work(harena *a, const char *text, size_t size)
{
    size_t lines, once_size, twice_size;
    const char *document = document_of(a, text, size, &lines);
    const unsigned char *once, *twice;

    CHECK(document != NULL);
    once = copy(a, document, strlen(document), &once_size);
    CHECK(once_size < strlen(document));
    twice = copy(a, once, once_size, &twice_size);
    CHECK(once_size == twice_size && memcmp(once, twice, once_size) == 0);
}

int main(int argc, char **argv)
{
    size_t size;
    const char *text = file_of(argc, argv, &size);

    three_times(work, text, size);
    return 0;
}
