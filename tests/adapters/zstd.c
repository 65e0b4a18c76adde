/* SPDX-License-Identifier: BSD-2-Clause */
/* A file compressed and restored; once by two worker threads in a shared arena. Needs: libzstd. */
#include "adapter.h"
#include <harena/adapters/zstd.h>

static void restore(ZSTD_DCtx *context, const char *packed, size_t packed_size, char *back,
                    const char *text, size_t size)
{
    CHECK(context != NULL);
    CHECK(ZSTD_decompressDCtx(context, back, size, packed, packed_size) == size);
    CHECK(memcmp(back, text, size) == 0);
    ZSTD_freeDCtx(context);
}

static void work(harena *a, const char *text, size_t size)
{
    ZSTD_CCtx *context = ZSTD_createCCtx_advanced(harena_zstd_memory(a));
    size_t bound = ZSTD_compressBound(size), begin = harena_len(a), packed;
    char *to = harena_alloc(a, bound), *back = harena_alloc(a, size);

    CHECK(harena_contains(a, context) && to != NULL && back != NULL);
    packed = ZSTD_compressCCtx(context, to, bound, text, size, 19);
    CHECK(!ZSTD_isError(packed) && packed < size);
    CHECK(harena_len(a) > begin + bound + size); /* its tables, too */
    ZSTD_freeCCtx(context);
    restore(ZSTD_createDCtx_advanced(harena_zstd_memory(a)), to, packed, back, text, size);
}

static void work_with_threads(const char *text, size_t size)
{
    harena_shared *s = harena_shared_create(NULL);
    ZSTD_CCtx *context = ZSTD_createCCtx_advanced(harena_zstd_shared_memory(s));
    size_t bound = ZSTD_compressBound(size), packed;
    char *to = harena_shared_alloc(s, bound), *back = harena_shared_alloc(s, size);
    size_t begin = harena_shared_len(s);

    CHECK(context != NULL && to != NULL && back != NULL);
    if (ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_nbWorkers, 2)))
        puts("zstd: this library has no threads");
    packed = ZSTD_compress2(context, to, bound, text, size);
    CHECK(!ZSTD_isError(packed) && packed < size);
    CHECK(harena_shared_len(s) > begin + size); /* what the workers need, too */
    ZSTD_freeCCtx(context);
    restore(ZSTD_createDCtx_advanced(harena_zstd_shared_memory(s)), to, packed, back, text, size);
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
