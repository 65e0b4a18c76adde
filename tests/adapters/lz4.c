/* SPDX-License-Identifier: BSD-2-Clause */
/* A file compressed fast and well, and restored. Needs: liblz4. */
#include "adapter.h"
#include <harena/adapters/lz4.h>

static void work(harena *a, const char *text, size_t size)
{
    int bound = LZ4_compressBound((int)size), packed;
    char *to = harena_alloc(a, (size_t)bound), *back = harena_alloc(a, size);

    size_t begin = harena_len(a);

    CHECK(to != NULL && back != NULL);
    packed = harena_lz4_compress(a, text, to, (int)size, bound, 1);
    CHECK(packed > 0 && (size_t)packed < size);
    CHECK(harena_len(a) - begin >= (size_t)LZ4_sizeofState());
    CHECK(LZ4_decompress_safe(to, back, packed, (int)size) == (int)size &&
          memcmp(back, text, size) == 0);
    begin = harena_len(a);
    memset(back, 0, size);
    packed = harena_lz4_compress_hc(a, text, to, (int)size, bound, 9);
    CHECK(packed > 0 && (size_t)packed < size);
    CHECK(harena_len(a) - begin >= (size_t)LZ4_sizeofStateHC());
    CHECK(LZ4_decompress_safe(to, back, packed, (int)size) == (int)size &&
          memcmp(back, text, size) == 0);
}

int main(int argc, char **argv)
{
    size_t size;
    const char *text = file_of(argc, argv, &size);

    three_times(work, text, size);
    return 0;
}
