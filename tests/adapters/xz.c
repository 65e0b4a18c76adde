/* SPDX-License-Identifier: BSD-2-Clause */
/* A file compressed and restored; once by two threads in a shared arena. Needs: liblzma. */
#include "adapter.h"
#include <harena/adapters/xz.h>

enum { TABLES = 1 << 20 }; /* an encoder needs several times as much */

static size_t run(lzma_stream *stream, const void *from, size_t size, void *to, size_t capacity)
{
    stream->next_in = from;
    stream->avail_in = size;
    stream->next_out = to;
    stream->avail_out = capacity;
    CHECK(lzma_code(stream, LZMA_FINISH) == LZMA_STREAM_END);
    lzma_end(stream);
    return stream->total_out;
}

static void work(harena *a, const char *text, size_t size)
{
    lzma_allocator allocator = harena_xz_allocator(a);
    lzma_stream packer = LZMA_STREAM_INIT, unpacker = LZMA_STREAM_INIT;
    size_t bound = lzma_stream_buffer_bound(size), packed;
    char *to = harena_alloc(a, bound), *back = harena_alloc(a, size);

    CHECK(to != NULL && back != NULL);
    packer.allocator = unpacker.allocator = &allocator;
    CHECK(lzma_easy_encoder(&packer, 3, LZMA_CHECK_CRC64) == LZMA_OK);
    CHECK(harena_contains(a, packer.internal) && harena_len(a) > bound + size + TABLES);
    packed = run(&packer, text, size, to, bound);
    CHECK(packed < size);
    CHECK(lzma_stream_decoder(&unpacker, UINT64_MAX, 0) == LZMA_OK);
    CHECK(harena_contains(a, unpacker.internal));
    CHECK(run(&unpacker, to, packed, back, size) == size && memcmp(back, text, size) == 0);
}

static void work_with_threads(const char *text, size_t size)
{
    harena_shared *s = harena_shared_create(NULL);
    lzma_allocator allocator = harena_xz_shared_allocator(s);
    lzma_stream packer = LZMA_STREAM_INIT, unpacker = LZMA_STREAM_INIT;
    lzma_mt threads = {.threads = 2, .preset = 1, .check = LZMA_CHECK_CRC64, .block_size = 65536};
    size_t bound = 2 * lzma_stream_buffer_bound(size), packed;
    char *to = harena_shared_alloc(s, bound), *back = harena_shared_alloc(s, size);
    size_t begin = harena_shared_len(s);

    CHECK(to != NULL && back != NULL);
    packer.allocator = unpacker.allocator = &allocator;
    CHECK(lzma_stream_encoder_mt(&packer, &threads) == LZMA_OK);
    packed = run(&packer, text, size, to, bound);
    CHECK(harena_shared_len(s) > begin + 2 * TABLES); /* those of both threads */
    CHECK(lzma_stream_decoder(&unpacker, UINT64_MAX, 0) == LZMA_OK);
    CHECK(run(&unpacker, to, packed, back, size) == size && memcmp(back, text, size) == 0);
    harena_shared_release_now(s);
}

int main(int argc, char **argv)
{
    size_t size;
    const char *text = file_of(argc, argv, &size);

    three_times(work, text, size);
    work_with_threads(text, size);
    return 0;
}
