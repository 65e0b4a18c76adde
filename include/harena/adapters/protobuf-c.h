/* SPDX-License-Identifier: BSD-2-Clause */
/* protobuf-c messages in an arena. One thread at a time. Layer 8. */
#ifndef HARENA_ADAPTERS_PROTOBUF_C_H
#define HARENA_ADAPTERS_PROTOBUF_C_H
#include <harena/arena.h>
#include <protobuf-c/protobuf-c.h>

static inline void *harena_protobuf_c_alloc(void *arena, size_t size)
{
    return harena_alloc((harena *)arena, size);
}

static inline void harena_protobuf_c_free(void *arena, void *at)
{
    (void)arena, (void)at;
}

/* For every ..._unpack and protobuf_c_message_free_unpacked, which may be left out. */
static inline ProtobufCAllocator harena_protobuf_c_allocator(harena *a)
{
    ProtobufCAllocator allocator = {harena_protobuf_c_alloc, harena_protobuf_c_free, a};

    return allocator;
}

#endif
