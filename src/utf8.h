/* SPDX-License-Identifier: BSD-2-Clause */
/* Which bytes are UTF-8. Layer 0. */
#ifndef HRI_UTF8_H
#define HRI_UTF8_H
#include "base.h"

/* Bytes of the sequence at `at`, before the string's zero; 0: it is none. (Unicode's table of well-formed sequences.) */
static inline size_t hri_utf8_length(const unsigned char *at)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t length;

    if (at[0] < 0x80)
        return 1;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    length = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (at[0] == 0xe0)
        low = 0xa0; /* longer than need be */
    else if (at[0] == 0xed)
        high = 0x9f; /* halves of a pair */
    else if (at[0] == 0xf0)
        low = 0x90;
    else if (at[0] == 0xf4)
        high = 0x8f; /* beyond the last character */
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    return length;
}

#endif
