/* SPDX-License-Identifier: BSD-2-Clause */
/* UTF-8 by hand, because the C library's functions depend on the locale of the process. */
#include "text.h"

#include <locale.h>
#include <stdint.h>
#include <wctype.h>

/* glibc's C.UTF-8 knows the case of all of Unicode; without it only ASCII is folded. */
static locale_t folding;

void text_setup(void)
{
    folding = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

void text_teardown(void)
{
    if (folding)
        freelocale(folding);
    folding = (locale_t)0;
}

/* Length and first bits of a sequence by its first byte; 0: no sequence starts so. */
static size_t sequence_start(unsigned char first, uint32_t *bits)
{
    if (first < 0x80) {
        *bits = first;
        return 1;
    }
    if (first >= 0xc2 && first < 0xe0) {
        *bits = first & 0x1fu;
        return 2;
    }
    if (first >= 0xe0 && first < 0xf0) {
        *bits = first & 0x0fu;
        return 3;
    }
    if (first >= 0xf0 && first < 0xf5) {
        *bits = first & 0x07u;
        return 4;
    }
    return 0;
}

/* Decodes one character; returns its length in bytes, 0 if it is none. */
static size_t decode(const char *text, size_t length, uint32_t *character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t value;
    size_t count = sequence_start((unsigned char)text[0], &value);
    if (count == 0 || count > length)
        return 0;
    for (size_t i = 1; i < count; i++) {
        unsigned char next = (unsigned char)text[i];
        if ((next & 0xc0u) != 0x80u)
            return 0;
        value = value << 6 | (next & 0x3fu);
    }
    if (value < least[count] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return 0;
    *character = value;
    return count;
}

static size_t encode(uint32_t character, char *to)
{
    if (character < 0x80) {
        to[0] = (char)character;
        return 1;
    }
    size_t count = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    static const unsigned char mark[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = count; i-- > 1; character >>= 6)
        to[i] = (char)(0x80u | (character & 0x3fu));
    to[0] = (char)(mark[count] | character);
    return count;
}

bool text_is_utf8(const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        uint32_t character;
        size_t count = decode(text + at, length - at, &character);
        if (count == 0)
            return false;
        at += count;
    }
    return true;
}

static uint32_t lower(uint32_t character)
{
    if (character >= 'A' && character <= 'Z')
        return character + ('a' - 'A');
    if (character < 0x80 || !folding)
        return character;
    return (uint32_t)towlower_l((wint_t)character, folding);
}

char *text_fold(harena *arena, const char *text, size_t length)
{
    /* Lower case may need more bytes than upper case: U+023A has two, its lower case three. */
    char *folded = harena_alloc_array(arena, length + 1, 2);
    if (!folded)
        return NULL;
    size_t used = 0;
    for (size_t at = 0; at < length;) {
        uint32_t character;
        size_t count = decode(text + at, length - at, &character);
        if (count == 0)
            break; /* the caller has checked: not reached */
        at += count;
        used += encode(lower(character), folded + used);
    }
    folded[used] = '\0';
    return folded;
}
