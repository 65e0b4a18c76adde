/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the two files with malloc, sorted arrays and wide characters. */
#include "check_data.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

void *must(void *memory)
{
    if (memory)
        return memory;
    fputs("harena-server-check: out of memory\n", stderr);
    exit(3);
}

static char *read_all(const char *directory, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "re");
    if (!file) {
        perror(path);
        exit(3);
    }
    size_t length = 0, room = 1 << 16, got;
    char *text = must(malloc(room));
    while ((got = fread(text + length, 1, room - length - 1, file)) > 0) {
        length += got;
        if (room - length < 2)
            text = must(realloc(text, room *= 2));
    }
    fclose(file);
    text[length] = '\0';
    return text;
}

/* UTF-8 to wide characters with a function of their case. The files and queries are valid UTF-8,
 * so it is decoded without checks. */
static wchar_t *widen(const char *text, wint_t (*map)(wint_t, locale_t))
{
    static locale_t unicode;
    if (!unicode)
        unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    wchar_t *wide = must(calloc(strlen(text) + 1, sizeof *wide)), *to = wide;
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        int more = *at < 0x80 ? 0 : *at < 0xe0 ? 1 : *at < 0xf0 ? 2 : 3;
        wint_t character = more == 0 ? *at : *at & (0x3fu >> more);
        for (at++; more > 0; more--)
            character = character << 6 | (*at++ & 0x3fu);
        if (unicode)
            character = map(character, unicode);
        else if (character < 0x80) /* as the server does without that locale */
            character = map == towlower_l ? towlower(character) : towupper(character);
        *to++ = (wchar_t)character;
    }
    return wide;
}

wchar_t *reference_fold(const char *text)
{
    return widen(text, towlower_l);
}

wchar_t *reference_raise(const char *text)
{
    return widen(text, towupper_l);
}

char *reference_narrow(const wchar_t *text, size_t count)
{
    char *narrow = must(malloc(4 * count + 1)), *to = narrow;
    for (size_t i = 0; i < count; i++) {
        unsigned long c = (unsigned long)text[i];
        if (c < 0x80) {
            *to++ = (char)c;
        } else if (c < 0x800) {
            *to++ = (char)(0xc0 | c >> 6);
            *to++ = (char)(0x80 | (c & 0x3f));
        } else if (c < 0x10000) {
            *to++ = (char)(0xe0 | c >> 12);
            *to++ = (char)(0x80 | (c >> 6 & 0x3f));
            *to++ = (char)(0x80 | (c & 0x3f));
        } else {
            *to++ = (char)(0xf0 | c >> 18);
            *to++ = (char)(0x80 | (c >> 12 & 0x3f));
            *to++ = (char)(0x80 | (c >> 6 & 0x3f));
            *to++ = (char)(0x80 | (c & 0x3f));
        }
    }
    *to = '\0';
    return narrow;
}

static int by_code(const void *a, const void *b)
{
    const struct item *const *left = a, *const *right = b;
    return strcmp((*left)->code, (*right)->code);
}

static const char *text_of(const cJSON *record, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(record, key));
    if (!text) {
        fprintf(stderr, "harena-server-check: a record has no \"%s\"\n", key);
        exit(3);
    }
    return text;
}

static void fill(struct item *item, const cJSON *record, const char *code_key, const char *kind)
{
    char *printed = must(cJSON_PrintUnformatted(record));
    item->code = text_of(record, code_key);
    item->name = text_of(record, "name");
    item->kind = kind;
    item->record = record;
    item->answer_length = strlen(printed);
    item->folded = reference_fold(item->name);
    free(printed);
}

static cJSON *load(struct item_list *list, const char *directory, const char *file,
                   const char *list_key, const char *code_key, const char *kind)
{
    char *text = read_all(directory, file);
    cJSON *root = must(cJSON_Parse(text));
    free(text);
    const cJSON *record, *records = cJSON_GetObjectItemCaseSensitive(root, list_key);
    size_t count = (size_t)cJSON_GetArraySize(records), at = 0;
    list->items = must(calloc(count + 1, sizeof *list->items));
    list->sorted = must(calloc(count + 1, sizeof *list->sorted));
    list->count = count;
    cJSON_ArrayForEach(record, records)
    {
        list->sorted[at] = &list->items[at];
        fill(&list->items[at++], record, code_key, kind);
    }
    qsort(list->sorted, count, sizeof *list->sorted, by_code);
    return root;
}

void reference_load(struct reference *reference, const char *directory)
{
    reference->files[0] = load(&reference->subdivisions, directory, "iso_3166-2.json", "3166-2",
                               "code", "subdivision");
    reference->files[1] =
        load(&reference->languages, directory, "iso_639-3.json", "639-3", "alpha_3", "language");
}

static void free_list(struct item_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].folded);
    free(list->items);
    free(list->sorted);
}

void reference_free(struct reference *reference)
{
    free_list(&reference->subdivisions);
    free_list(&reference->languages);
    cJSON_Delete(reference->files[0]);
    cJSON_Delete(reference->files[1]);
}

const struct item *reference_find(const struct item_list *list, const char *code)
{
    struct item wanted = {.code = code};
    const struct item *key = &wanted;
    const struct item **found =
        bsearch(&key, list->sorted, list->count, sizeof *list->sorted, by_code);
    return found ? *found : NULL;
}

const struct item *reference_find_any(const struct reference *reference, const char *code)
{
    const struct item *found = reference_find(&reference->subdivisions, code);
    return found ? found : reference_find(&reference->languages, code);
}

size_t reference_count(const struct reference *reference)
{
    return reference->subdivisions.count + reference->languages.count;
}

const struct item *reference_item(const struct reference *reference, size_t at)
{
    size_t count = reference->subdivisions.count;
    return at < count ? &reference->subdivisions.items[at]
                      : &reference->languages.items[at - count];
}
