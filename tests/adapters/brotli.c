/* SPDX-License-Identifier: BSD-2-Clause */
/* A file compressed and restored. Needs: libbrotlienc libbrotlidec. */
#include "adapter.h"
#include <brotli/decode.h>
#include <brotli/encode.h>
#include <harena/adapters/brotli.h>

static void work(harena *a, const char *text, size_t size)
{
    BrotliEncoderState *encoder =
        BrotliEncoderCreateInstance(harena_brotli_alloc, harena_brotli_free, a);
    BrotliDecoderState *decoder =
        BrotliDecoderCreateInstance(harena_brotli_alloc, harena_brotli_free, a);
    size_t bound = BrotliEncoderMaxCompressedSize(size), in = size, out = bound, packed;
    uint8_t *to = harena_alloc(a, bound), *back = harena_alloc(a, size), *next_out = to;
    const uint8_t *next_in = (const uint8_t *)text;

    CHECK(harena_contains(a, encoder) && harena_contains(a, decoder));
    CHECK(to != NULL && back != NULL);
    CHECK(BrotliEncoderSetParameter(encoder, BROTLI_PARAM_QUALITY, 5));
    CHECK(BrotliEncoderCompressStream(encoder, BROTLI_OPERATION_FINISH, &in, &next_in, &out,
                                      &next_out, NULL));
    CHECK(BrotliEncoderIsFinished(encoder));
    packed = bound - out;
    CHECK(packed < size);
    in = packed, out = size, next_in = to, next_out = back;
    CHECK(BrotliDecoderDecompressStream(decoder, &in, &next_in, &out, &next_out, NULL) ==
          BROTLI_DECODER_RESULT_SUCCESS);
    CHECK(out == 0 && memcmp(back, text, size) == 0);
    BrotliEncoderDestroyInstance(encoder);
    BrotliDecoderDestroyInstance(decoder);
}

int main(int argc, char **argv)
{
    size_t size;
    const char *text = file_of(argc, argv, &size);

    three_times(work, text, size);
    return 0;
}
