/* SPDX-License-Identifier: BSD-2-Clause */
/* A document parsed, changed, printed, parsed again. Needs: libcjson. */
#include "adapter.h"
#include <harena/adapters/cjson.h>

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
    size_t lines, bytes = harena_len(a);
    const char *document = document_of(a, text, size, &lines);
    cJSON *root, *again;
    char *printed;

    harena_cjson_use();
    CHECK(document != NULL);
    root = cJSON_Parse(document);
    CHECK(root != NULL && (size_t)cJSON_GetArraySize(root) == lines && harena_contains(a, root));
    cJSON_AddItemToArray(root, cJSON_CreateString("one more"));
    printed = cJSON_Print(root);
    CHECK(printed != NULL && harena_contains(a, printed) && harena_len(a) > bytes);
    again = cJSON_Parse(printed);
    CHECK(again != NULL && cJSON_Compare(root, again, 1));
    cJSON_Delete(root);
    cJSON_Delete(again);
}

int main(int argc, char **argv)
{
    size_t size;
    const char *text = file_of(argc, argv, &size);

    three_times(work, text, size);
    return 0;
}
