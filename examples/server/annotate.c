/* SPDX-License-Identifier: BSD-2-Clause */
/* POST /v1/annotate: the same JSON value with a name beside each string that is a known code.
 *
 * A known code is a string equal to the code of a subdivision ("FR-75") or the three-letter code
 * of a language ("deu"), byte by byte. Its name is the "name" of that record.
 *  - In an object, behind a member "k" whose value is a known code comes a member "k_name" with
 *    the name. If the object has a member of that name already, of the client's or added for an
 *    earlier member, nothing is added: what the client sent is never changed or repeated.
 *  - In an array, behind an element that is a known code comes an element {"name": the name}: an
 *    object, so that nobody takes it for one of the client's strings.
 *  - A known code that is the whole body has no place for a sibling; the answer is
 *    {"value": the code, "value_name": the name}.
 * What was added is not looked at again. Member names are never taken for codes. Everything else
 * comes back in its order, numbers as doubles, without white space. */
#include "hash.h"
#include "json.h"
#include "router.h"
#include "text.h"

#include <string.h>

static const char SUFFIX[] = "_name";

/* The name of a value that is a known code, else NULL. */
static const char *known_name(const struct data *data, const cJSON *value)
{
    if (!cJSON_IsString(value))
        return NULL;
    const struct entry *entry = data_find(&data->subdivisions, value->valuestring);
    if (!entry)
        entry = data_find(&data->languages, value->valuestring);
    return entry ? entry->name : NULL;
}

/* The member names of one object: looking through the list for each code would take a client's
 * 1 MiB of codes some 10^10 comparisons. */
struct key_set {
    const char **slots;
    size_t mask;
};

/* Adds a name; false if it was there. */
static bool add_key(struct key_set *set, const char *key)
{
    size_t at = (size_t)hash_bytes(key, strlen(key)) & set->mask;
    for (; set->slots[at]; at = (at + 1) & set->mask) {
        if (strcmp(set->slots[at], key) == 0)
            return false;
    }
    set->slots[at] = key;
    return true;
}

/* All member names of the object, with room for as many again. */
static bool make_keys(harena *arena, const cJSON *object, struct key_set *set)
{
    size_t slots = hash_table_size(4 * (size_t)cJSON_GetArraySize(object));
    set->slots = harena_alloc_zeroed(arena, slots * sizeof *set->slots);
    set->mask = slots - 1;
    if (!set->slots)
        return false;
    const cJSON *member;
    cJSON_ArrayForEach(member, object)
    {
        add_key(set, member->string);
    }
    return true;
}

/* cJSON can only insert by index, which walks the list. Its lists are doubly linked; the first
 * one's `prev` is the last one. */
static void insert_behind(cJSON *parent, cJSON *item, cJSON *fresh)
{
    fresh->prev = item;
    fresh->next = item->next;
    if (item->next)
        item->next->prev = fresh;
    else
        parent->child->prev = fresh;
    item->next = fresh;
}

/* The name is borrowed from the data: the answer is printed before it is left. */
static cJSON *make_name(harena *arena, const char *key, size_t key_length, const char *name)
{
    cJSON *value = cJSON_CreateStringReference(name);
    char *full = harena_alloc(arena, key_length + sizeof SUFFIX);
    if (!value || !full)
        return NULL;
    memcpy(full, key, key_length);
    memcpy(full + key_length, SUFFIX, sizeof SUFFIX);
    value->string = full;
    return value;
}

/* Returns the last item that needs no further look: `member` or what was put behind it. */
static cJSON *annotate_member(harena *arena, cJSON *object, cJSON *member, const char *name,
                              struct key_set *keys)
{
    if (!keys->slots && !make_keys(arena, object, keys))
        return NULL;
    cJSON *value = make_name(arena, member->string, strlen(member->string), name);
    if (!value)
        return NULL;
    if (!add_key(keys, value->string))
        return member; /* the client has one of that name */
    insert_behind(object, member, value);
    return value;
}

static cJSON *annotate_element(cJSON *array, cJSON *element, const char *name)
{
    cJSON *value = cJSON_CreateObject();
    if (!value || !cJSON_AddItemToObjectCS(value, "name", cJSON_CreateStringReference(name)))
        return NULL;
    insert_behind(array, element, value);
    return value;
}

/* Annotates what lies in `parent`. As deep as the body, which cJSON limits to 1000 levels. False:
 * out of memory. */
static bool annotate_children(harena *arena, const struct data *data, cJSON *parent)
{
    struct key_set keys = {NULL, 0};
    for (cJSON *item = parent->child; item; item = item->next) {
        const char *name = known_name(data, item);
        if (name && cJSON_IsObject(parent))
            item = annotate_member(arena, parent, item, name, &keys);
        else if (name)
            item = annotate_element(parent, item, name);
        else if (item->child && !annotate_children(arena, data, item))
            return false;
        if (!item)
            return false;
    }
    return true;
}

static cJSON *annotate_root(const char *name, const cJSON *value)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "value", value->valuestring);
    cJSON_AddItemToObject(root, "value_name", cJSON_CreateStringReference(name));
    return root;
}

static void answer_annotated(struct request *request, cJSON *value)
{
    const struct data *data = store_enter(&request->server->store);
    const char *name = known_name(data, value);
    if (name)
        value = annotate_root(name, value);
    /* A failure stays with the arena, and answer_json looks there. */
    else if (value->child)
        annotate_children(request->arena, data, value);
    answer_json(request, MHD_HTTP_OK, value, 2 * request->body_length);
    store_leave(&request->server->store);
}

void handle_annotate(struct request *request, const char *rest)
{
    (void)rest;
    cJSON *value = NULL;
    if (request->body && text_is_utf8(request->body, request->body_length))
        value = json_parse(request->body, request->body_length);
    if (value)
        answer_annotated(request, value);
    else if (harena_failed(request->arena))
        answer_no_memory(request);
    else
        answer_error(request, MHD_HTTP_BAD_REQUEST, "the body is not JSON");
}
