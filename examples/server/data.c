/* SPDX-License-Identifier: BSD-2-Clause */
/* Builds a data set in an arena of its own: the parsed files, hash tables and folded names. */
#include "data.h"

#include "hash.h"
#include "json.h"
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What the two files look like. */
struct source {
    const char *file, *list, *code, *kind;
};
static const struct source SUBDIVISIONS = {"iso_3166-2.json", "3166-2", "code", "subdivision"};
static const struct source LANGUAGES = {"iso_639-3.json", "639-3", "alpha_3", "language"};

enum { MAX_FILE = 64 << 20 };

struct builder {
    harena *arena;   /* what stays */
    harena *scratch; /* the text of the files */
    struct data *data;
    const char *directory;
    struct data_error *error;
};

__attribute__((format(printf, 3, 4))) static bool fail(struct builder *b, int error,
                                                       const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(b->error->message, sizeof b->error->message, format, args);
    va_end(args);
    b->error->error = error;
    return false;
}

static bool fail_memory(struct builder *b)
{
    return fail(b, ENOMEM, "out of memory");
}

/* The rest of `file` into `text`, which has room for `size` bytes and a '\0'. */
static bool read_text(struct builder *b, FILE *file, const char *name, char *text, size_t size)
{
    size_t got = fread(text, 1, size, file);
    if (got != size || fgetc(file) != EOF)
        return fail(b, EIO, "%s: cannot read it, or it changed meanwhile", name);
    text[size] = '\0';
    return true;
}

static char *read_opened(struct builder *b, FILE *file, const char *name, size_t *size)
{
    long end = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (end < 0 || end > MAX_FILE || fseek(file, 0, SEEK_SET) != 0) {
        fail(b, EIO, "%s: no regular file of a sensible size", name);
        return NULL;
    }
    *size = (size_t)end;
    char *text = harena_alloc(b->scratch, *size + 1);
    if (!text) {
        fail_memory(b);
        return NULL;
    }
    return read_text(b, file, name, text, *size) ? text : NULL;
}

static char *read_file(struct builder *b, const char *name, size_t *size)
{
    const char *path = harena_printf(b->scratch, "%s/%s", b->directory, name);
    if (!path) {
        fail_memory(b);
        return NULL;
    }
    FILE *file = fopen(path, "re");
    if (!file) {
        fail(b, errno, "%s: %s", name, strerror(errno));
        return NULL;
    }
    char *text = read_opened(b, file, name, size);
    fclose(file);
    return text;
}

/* The file's array of objects, parsed into the data set's arena. */
static const cJSON *parse_file(struct builder *b, const struct source *source)
{
    size_t size;
    char *text = read_file(b, source->file, &size);
    if (!text)
        return NULL;
    if (!text_is_utf8(text, size)) {
        fail(b, EINVAL, "%s: not UTF-8", source->file);
        return NULL;
    }
    harena *before = harena_current_set(b->arena);
    const cJSON *root = json_parse(text, size);
    harena_current_set(before);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, source->list);
    if (harena_failed(b->arena))
        fail_memory(b);
    else if (!root)
        fail(b, EINVAL, "%s: not JSON", source->file);
    else if (!cJSON_IsArray(list) || !list->child)
        fail(b, EINVAL, "%s: has no list \"%s\"", source->file, source->list);
    else
        return list;
    return NULL;
}

static const struct entry **find_slot(const struct code_table *table, const char *code)
{
    size_t at = (size_t)hash_bytes(code, strlen(code)) & table->mask;
    while (table->slots[at] && strcmp(table->slots[at]->code, code) != 0)
        at = (at + 1) & table->mask;
    return &table->slots[at];
}

const struct entry *data_find(const struct code_table *table, const char *code)
{
    return *find_slot(table, code);
}

static bool add_entry(struct builder *b, struct code_table *table, const struct source *source,
                      const cJSON *record)
{
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(record, source->code);
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(record, "name");
    if (!cJSON_IsString(code) || !cJSON_IsString(name))
        return fail(b, EINVAL, "%s: record %zu lacks \"%s\" or \"name\"", source->file,
                    table->count + 1, source->code);
    const struct entry **slot = find_slot(table, code->valuestring);
    if (*slot)
        return fail(b, EINVAL, "%s: '%s' is there twice", source->file, code->valuestring);
    struct entry *entry = harena_new(b->arena, struct entry);
    if (!entry)
        return fail_memory(b);
    *entry = (struct entry){code->valuestring, name->valuestring, source->kind, record};
    *slot = entry;
    table->count++;
    return true;
}

static bool build_table(struct builder *b, struct code_table *table, const struct source *source,
                        const cJSON *list)
{
    size_t slots = hash_table_size(2 * (size_t)cJSON_GetArraySize(list));
    table->slots = harena_alloc_zeroed(b->arena, slots * sizeof(struct entry *));
    table->mask = slots - 1;
    if (!table->slots)
        return fail_memory(b);
    const cJSON *record;
    cJSON_ArrayForEach(record, list)
    {
        if (!add_entry(b, table, source, record))
            return false;
    }
    return true;
}

/* Bytes that the list's names may take in the haystack. */
static size_t haystack_need(const cJSON *list)
{
    size_t need = 0;
    const cJSON *record;
    cJSON_ArrayForEach(record, list)
    {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(record, "name");
        need += 2 * strlen(name->valuestring) + 1; /* lower case may be longer: text_fold */
    }
    return need;
}

static bool fold_names(struct builder *b, const struct code_table *table,
                       const struct source *source, const cJSON *list)
{
    struct data *data = b->data;
    const cJSON *record;
    cJSON_ArrayForEach(record, list)
    {
        const cJSON *code = cJSON_GetObjectItemCaseSensitive(record, source->code);
        const struct entry *entry = data_find(table, code->valuestring);
        const char *folded = text_fold(b->scratch, entry->name, strlen(entry->name));
        if (!folded)
            return fail_memory(b);
        data->places[data->place_count++] = (struct name_place){data->haystack_size, entry};
        size_t length = strlen(folded) + 1;
        memcpy(data->haystack + data->haystack_size, folded, length);
        data->haystack_size += length;
    }
    return true;
}

static bool build_haystack(struct builder *b, const cJSON *subdivisions, const cJSON *languages)
{
    struct data *data = b->data;
    size_t names = data->subdivisions.count + data->languages.count;
    data->haystack = harena_alloc(b->arena, haystack_need(subdivisions) + haystack_need(languages));
    data->places = harena_alloc_array(b->arena, names, sizeof *data->places);
    if (!data->haystack || !data->places)
        return fail_memory(b);
    return fold_names(b, &data->subdivisions, &SUBDIVISIONS, subdivisions) &&
           fold_names(b, &data->languages, &LANGUAGES, languages);
}

static bool build(struct builder *b)
{
    const cJSON *subdivisions = parse_file(b, &SUBDIVISIONS);
    const cJSON *languages = subdivisions ? parse_file(b, &LANGUAGES) : NULL;
    return languages && build_table(b, &b->data->subdivisions, &SUBDIVISIONS, subdivisions) &&
           build_table(b, &b->data->languages, &LANGUAGES, languages) &&
           build_haystack(b, subdivisions, languages);
}

const struct data *data_build(harena *arena, harena_provider *provider, const char *directory,
                              uint64_t generation, struct data_error *error)
{
    harena_options options = HARENA_OPTIONS_INIT;
    options.provider = provider;
    options.name = "load";
    struct builder b = {.arena = arena, .directory = directory, .error = error};
    b.scratch = harena_create(&options);
    b.data = harena_new_zeroed(arena, struct data);
    if (!b.scratch || !b.data)
        fail_memory(&b);
    bool built = b.scratch && b.data && build(&b);
    harena_release(b.scratch);
    if (!built)
        return NULL;
    b.data->generation = generation;
    return b.data;
}
