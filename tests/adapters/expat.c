/* SPDX-License-Identifier: BSD-2-Clause */
/* A document parsed: elements, attributes, text. Needs: expat. */
#include "adapter.h"
#include <harena/adapters/expat.h>

static void XMLCALL on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    size_t *lines = ctx;

    *lines += strcmp(name, "line") == 0 && strcmp(attributes[0], "number") == 0;
}

static void work(harena *a, const char *text, size_t size)
{
    XML_Parser parser = harena_expat_parser(NULL);
    size_t lines = 0, seen = 0, length;
    harena_buf document;

    harena_buf_init(&document, a);
    harena_buf_write_string(&document, "<?xml version='1.0'?><lines>");
    for (const char *at = text; at < text + size; at += length + 1) {
        length = strcspn(at, "\n");
        harena_buf_printf(&document, "<line number='%zu'>%zu bytes &amp; more</line>\n", ++lines,
                          length);
    }
    harena_buf_write_string(&document, "</lines>");
    CHECK(harena_contains(a, parser) && document.error == 0);
    XML_SetUserData(parser, &seen);
    XML_SetStartElementHandler(parser, on_start);
    CHECK(XML_Parse(parser, harena_buf_bytes(&document), (int)harena_buf_len(&document), 1) ==
          XML_STATUS_OK);
    CHECK(seen == lines && lines > 20);
    XML_ParserFree(parser);
}

int main(int argc, char **argv)
{
    size_t size;
    const char *text = file_of(argc, argv, &size);

    three_times(work, text, size);
    return 0;
}
