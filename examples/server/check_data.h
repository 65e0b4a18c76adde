/* SPDX-License-Identifier: BSD-2-Clause */
/* The checker's own copy of the data, read and searched in other ways than the server's. */
#ifndef EXAMPLES_SERVER_CHECK_DATA_H
#define EXAMPLES_SERVER_CHECK_DATA_H

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

struct item {
    const char *code, *name;
    const char *kind; /* "subdivision" or "language" */
    const cJSON *record;
    size_t answer_length; /* of the record as JSON without white space */
    wchar_t *folded;      /* the name in lower case */
};

struct item_list {
    struct item *items;         /* in the order of the file */
    const struct item **sorted; /* by code */
    size_t count;
};

struct reference {
    struct item_list subdivisions, languages;
    cJSON *files[2];
};

/* Exits with a message if the files are not there. */
void reference_load(struct reference *reference, const char *directory);
void reference_free(struct reference *reference);

const struct item *reference_find(const struct item_list *list, const char *code);
/* The item number `at` of both lists together, below reference_count. */
const struct item *reference_item(const struct reference *reference, size_t at);
size_t reference_count(const struct reference *reference);
/* A subdivision or a language; NULL if it is neither's code. */
const struct item *reference_find_any(const struct reference *reference, const char *code);

/* Text as wide characters in lower (or upper) case, by malloc. */
wchar_t *reference_fold(const char *text);
wchar_t *reference_raise(const char *text);
/* Wide characters as UTF-8, by malloc. */
char *reference_narrow(const wchar_t *text, size_t count);

/* malloc and the like that end the program instead of failing. */
void *must(void *memory);

#endif
