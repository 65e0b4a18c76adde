/* SPDX-License-Identifier: BSD-2-Clause */
/* A file deflated and inflated. Needs: zlib. */
#include "adapter.h"
#include <harena/adapters/zlib.h>

static void work(harena *a, const char *text, size_t size)
{
    z_stream stream = {0};
    size_t bound, packed;
    char *to, *back;

    harena_zlib_use(&stream, a);
    CHECK(deflateInit(&stream, 9) == Z_OK && harena_contains(a, stream.state));
    bound = deflateBound(&stream, size);
    to = harena_alloc(a, bound);
    back = harena_alloc(a, size);
    CHECK(to != NULL && back != NULL);
    stream.next_in = (unsigned char *)text;
    stream.avail_in = (unsigned)size;
    stream.next_out = (unsigned char *)to;
    stream.avail_out = (unsigned)bound;
    CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    packed = stream.total_out;
    CHECK(packed < size && deflateEnd(&stream) == Z_OK);
    memset(&stream, 0, sizeof(stream));
    harena_zlib_use(&stream, a);
    CHECK(inflateInit(&stream) == Z_OK && harena_contains(a, stream.state));
    stream.next_in = (unsigned char *)to;
    stream.avail_in = (unsigned)packed;
    stream.next_out = (unsigned char *)back;
    stream.avail_out = (unsigned)size;
    CHECK(inflate(&stream, Z_FINISH) == Z_STREAM_END && inflateEnd(&stream) == Z_OK);
    CHECK(memcmp(back, text, size) == 0);
}

int main(int argc, char **argv)
{
    size_t size;
    const char *text = file_of(argc, argv, &size);

    three_times(work, text, size);
    return 0;
}
