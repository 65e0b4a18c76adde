/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes, numbers and names into a small buffer; each format's escapes. Layer 8. */
#include "out.h"

#include "utf8.h"

#include <string.h>

void hri_out_init(struct hri_out *out, harena_write_fn write, void *ctx)
{
    out->write = write;
    out->ctx = ctx;
    out->result = 0;
    out->used = 0;
}

static void flush(struct hri_out *out)
{
    if (out->used != 0) /* never again once it has stopped: nothing is collected then */
        out->result = out->write(out->ctx, out->bytes, out->used);
    out->used = 0;
}

int hri_out_finish(struct hri_out *out)
{
    flush(out);
    return out->result;
}

void hri_out_bytes(struct hri_out *out, const char *bytes, size_t size)
{
    while (size > 0 && out->result == 0) {
        size_t part = hri_min(size, sizeof(out->bytes) - out->used);

        memcpy(out->bytes + out->used, bytes, part);
        out->used += (uint32_t)part;
        bytes += part;
        size -= part;
        if (out->used == sizeof(out->bytes))
            flush(out);
    }
}

void hri_out_string(struct hri_out *out, const char *string)
{
    hri_out_bytes(out, string, strlen(string));
}

void hri_out_spaces(struct hri_out *out, size_t count)
{
    while (count-- > 0)
        hri_out_bytes(out, " ", 1);
}

/* Decimal digits, from the buffer's end backwards. */
static char *digits(char *end, uint64_t number)
{
    do
        *--end = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    return end;
}

void hri_out_padded(struct hri_out *out, uint64_t number, size_t width)
{
    char buffer[20], *end = buffer + sizeof(buffer), *at = digits(end, number);
    size_t length = (size_t)(end - at);

    hri_out_spaces(out, width > length ? width - length : 0);
    hri_out_bytes(out, at, length);
}

void hri_out_number(struct hri_out *out, uint64_t number)
{
    hri_out_padded(out, number, 0);
}

void hri_out_size(struct hri_out *out, uint64_t bytes, size_t width)
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB"};
    char buffer[32], *end = buffer + sizeof(buffer), *at = end;
    uint64_t scale = 1, tenths;
    size_t unit = 0;

    while (bytes / scale >= 1024 && unit + 1 < sizeof(units) / sizeof(*units)) {
        scale *= 1024;
        unit++;
    }
    at -= strlen(units[unit]);
    memcpy(at, units[unit], strlen(units[unit]));
    if (unit > 0) {
        tenths = bytes % scale * 10 / scale;
        *--at = (char)('0' + tenths);
        *--at = '.';
    }
    at = digits(at, bytes / scale);
    hri_out_spaces(out, width > (size_t)(end - at) ? width - (size_t)(end - at) : 0);
    hri_out_bytes(out, at, (size_t)(end - at));
}

/* ---- names ---- */

static void hex(struct hri_out *out, const char *before, unsigned char byte)
{
    static const char of[] = "0123456789abcdef";
    char two[2] = {of[byte >> 4], of[byte & 15]};

    hri_out_string(out, before);
    hri_out_bytes(out, two, 2);
}

/* A character of its own way in a format; false: it may stand as it is. */
static bool escape_json(struct hri_out *out, const unsigned char *at)
{
    if (*at == '"' || *at == '\\') {
        hri_out_string(out, *at == '"' ? "\\\"" : "\\\\");
        return true;
    }
    if (*at >= 0x20 && *at != 0x7f)
        return false;
    hex(out, "\\u00", *at);
    return true;
}

static bool escape_label(struct hri_out *out, const unsigned char *at)
{
    const char *as = *at == '"' ? "\\\"" : *at == '\\' ? "\\\\" : *at == '\n' ? "\\n" : NULL;

    if (as != NULL)
        hri_out_string(out, as);
    return as != NULL;
}

/* For a terminal: nothing of a name may steer it, the controls of one byte and those of two. */
static bool escape_text(struct hri_out *out, const unsigned char *at)
{
    bool long_control = at[0] == 0xc2 && at[1] < 0xa0;

    if (*at >= 0x20 && *at != 0x7f && *at != '\\' && !long_control)
        return false;
    if (*at == '\\')
        hri_out_string(out, "\\\\");
    else
        hex(out, "\\x", long_control ? at[1] : at[0]);
    return true;
}

size_t hri_out_name(struct hri_out *out, enum harena_format format, const char *name)
{
    static bool (*const escapes[])(struct hri_out *,
                                   const unsigned char *) = {[HARENA_TEXT] = escape_text,
                                                             [HARENA_JSON] = escape_json,
                                                             [HARENA_PROMETHEUS] = escape_label};
    const unsigned char *at = (const unsigned char *)name;
    size_t columns = 0, length;

    for (; *at != '\0'; at += length) {
        length = hri_utf8_length(at);
        if (length == 0) {
            hri_out_string(out, "?");
            length = 1;
            columns++;
        } else if (escapes[format](out, at)) {
            columns += *at == '\\' ? 2 : 4;
        } else {
            hri_out_bytes(out, (const char *)at, length);
            columns++;
        }
    }
    return columns;
}
