/* SPDX-License-Identifier: BSD-2-Clause */
/* A document parsed, changed, dumped, parsed again. Needs: jansson. */
#include "adapter.h"
#include <harena/adapters/jansson.h>

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

static void work(harena *a, const char *text, size_t size)
{
    size_t lines;
    const char *document = document_of(a, text, size, &lines);
    json_t *root, *again;
    char *printed;

    harena_jansson_use();
    CHECK(document != NULL);
    root = json_loads(document, 0, NULL);
    CHECK(root != NULL && json_array_size(root) == lines && harena_contains(a, root));
    CHECK(json_array_append_new(root, json_string("one more")) == 0);
    printed = json_dumps(root, JSON_INDENT(1));
    CHECK(printed != NULL && harena_contains(a, printed));
    again = json_loads(printed, 0, NULL);
    CHECK(again != NULL && json_equal(root, again));
    json_decref(root);
    json_decref(again);
}

int main(int argc, char **argv)
{
    size_t size;
    const char *text = file_of(argc, argv, &size);

    three_times(work, text, size);
    return 0;
}
