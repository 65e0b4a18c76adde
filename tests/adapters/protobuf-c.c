/* SPDX-License-Identifier: BSD-2-Clause */
/* A descriptor unpacked into an arena, with its fields, and packed again. Needs: libprotobuf-c. */
#include "adapter.h"
#include <harena/adapters/protobuf-c.h>

/* A message as protoc-c would make it: one repeated string, field 1. */
typedef struct lines {
    ProtobufCMessage base;
    size_t n_line;
    char **line;
} lines;

static const ProtobufCFieldDescriptor fields[] = {{
    .name = "line",
    .id = 1,
    .label = PROTOBUF_C_LABEL_REPEATED,
    .type = PROTOBUF_C_TYPE_STRING,
    .quantifier_offset = offsetof(lines, n_line),
    .offset = offsetof(lines, line),
}};
static const unsigned by_name[] = {0};
static const ProtobufCIntRange ranges[] = {{1, 0}, {0, 1}};

static const ProtobufCMessageDescriptor descriptor = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "lines",
    .short_name = "lines",
    .c_name = "lines",
    .package_name = "",
    .sizeof_message = sizeof(lines),
    .n_fields = 1,
    .fields = fields,
    .fields_sorted_by_name = by_name,
    .n_field_ranges = 1,
    .field_ranges = ranges,
};

static void work(harena *a, const char *text, size_t size)
{
    ProtobufCAllocator allocator = harena_protobuf_c_allocator(a);
    HARENA_ARRAY(char *) all = {0};
    lines message = {PROTOBUF_C_MESSAGE_INIT(&descriptor), 0, NULL}, *back;
    size_t packed, length;
    uint8_t *bytes;

    for (const char *at = text; at < text + size; at += length + 1) {
        length = strcspn(at, "\n");
        CHECK(harena_array_push(a, &all, harena_strndup(a, at, length)));
    }
    message.n_line = all.len;
    message.line = all.items;
    packed = protobuf_c_message_get_packed_size(&message.base);
    bytes = harena_alloc(a, packed);
    CHECK(bytes != NULL && protobuf_c_message_pack(&message.base, bytes) == packed);
    back = (lines *)protobuf_c_message_unpack(&descriptor, &allocator, packed, bytes);
    CHECK(back != NULL && back->n_line == all.len && harena_contains(a, back));
    for (size_t i = 0; i < all.len; i++)
        CHECK(harena_contains(a, back->line[i]) && strcmp(back->line[i], all.items[i]) == 0);
    protobuf_c_message_free_unpacked(&back->base, &allocator);
}

int main(int argc, char **argv)
{
    size_t size;
    const char *text = file_of(argc, argv, &size);

    three_times(work, text, size);
    return 0;
}
