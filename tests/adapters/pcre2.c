/* SPDX-License-Identifier: BSD-2-Clause */
/* All words of a file, by a pattern. Needs: libpcre2-8. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "adapter.h"
#include <ctype.h>
#include <harena/adapters/pcre2.h>

/* The same without PCRE2. */
static size_t count_words(const char *text, size_t size)
{
    size_t words = 0;

    for (size_t i = 0; i < size; i++)
        words +=
            isalpha((unsigned char)text[i]) && (i == 0 || !isalpha((unsigned char)text[i - 1]));
    return words;
}

static void work(harena *a, const char *text, size_t size)
{
    pcre2_general_context *context = harena_pcre2_context(a);
    pcre2_compile_context *compile = pcre2_compile_context_create(context);
    pcre2_match_data *match;
    PCRE2_SIZE offset = 0;
    pcre2_code *code;
    size_t words = 0;
    int error;

    CHECK(context != NULL && compile != NULL);
    code = pcre2_compile((PCRE2_SPTR) "([A-Za-z])[A-Za-z]*", PCRE2_ZERO_TERMINATED, 0, &error,
                         &offset, compile);
    CHECK(code != NULL);
    match = pcre2_match_data_create_from_pattern(code, context);
    CHECK(match != NULL);
    for (offset = 0; pcre2_match(code, (PCRE2_SPTR)text, size, offset, 0, match, NULL) == 2;
         words++)
        offset = pcre2_get_ovector_pointer(match)[1];
    CHECK(words > 100 && words == count_words(text, size));
    pcre2_match_data_free(match);
    pcre2_code_free(code);
}

int main(int argc, char **argv)
{
    size_t size;
    const char *text = file_of(argc, argv, &size);

    three_times(work, text, size);
    return 0;
}
