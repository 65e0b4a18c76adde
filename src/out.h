/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes to a callback through a small buffer: no allocation, no stdio, no locale. Layer 8. */
#ifndef HRI_OUT_H
#define HRI_OUT_H
#include "base.h"
#include <harena/stats.h>

/* What is collected before it goes to the callback. */
struct hri_out {
    harena_write_fn write;
    void *ctx;
    int result; /* the first that was not 0: nothing is written any more */
    uint32_t used;
    char bytes[512];
};

void hri_out_init(struct hri_out *out, harena_write_fn write, void *ctx);

/* Writes the rest; the result of all. */
int hri_out_finish(struct hri_out *out);

void hri_out_bytes(struct hri_out *out, const char *bytes, size_t size);
void hri_out_string(struct hri_out *out, const char *string);
void hri_out_spaces(struct hri_out *out, size_t count);
void hri_out_number(struct hri_out *out, uint64_t number);

/* To the right of at least `width` columns: a number, a number of bytes for people ("1.5 MiB"). */
void hri_out_padded(struct hri_out *out, uint64_t number, size_t width);
void hri_out_size(struct hri_out *out, uint64_t bytes, size_t width);

/* A name, without quotes, with the format's escapes: UTF-8 as it is, a byte that is none as '?'. The columns that it
 * takes. */
size_t hri_out_name(struct hri_out *out, enum harena_format format, const char *name);

#endif
