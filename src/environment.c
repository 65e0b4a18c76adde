/* SPDX-License-Identifier: BSD-2-Clause */
/* The default provider's options from the environment. Layer 3.
 *
 * A value that makes no sense, alone or beside the others, is ignored and told of; the provider is made all the same. */
#define _GNU_SOURCE 1 /* secure_getenv */
#include "environment.h"
#include "debug.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

/* Digits, and a unit of `units` or none behind them; the rest of the text, NULL: no number, or too large a one. */
static const char *read_number(const char *text, uint64_t *number)
{
    *number = 0;
    if (*text < '0' || *text > '9')
        return NULL;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, (uint64_t)(*text - '0'), number))
            return NULL;
    return text;
}

/* A size in bytes, from 1 on: "4096", "512B", "64KiB", "500MiB", "1GiB". */
static bool read_size(const char *text, size_t *size)
{
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = {{"", 0}, {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
    uint64_t number;
    const char *unit = read_number(text, &number);

    for (size_t i = 0; unit != NULL && i < sizeof(units) / sizeof(*units); i++) {
        if (strcmp(unit, units[i].name) != 0)
            continue;
        *size = (size_t)(number << units[i].shift);
        return number != 0 && number <= (uint64_t)PTRDIFF_MAX >> units[i].shift;
    }
    return false;
}

static bool set_limit(harena_provider_options *o, const char *text)
{
    return read_size(text, &o->limit);
}

static bool set_soft_limit(harena_provider_options *o, const char *text)
{
    size_t size;

    if (!read_size(text, &size) || (o->limit != 0 && size > o->limit))
        return false;
    o->soft_limit = size;
    return true;
}

static bool set_ballast(harena_provider_options *o, const char *text)
{
    size_t size;

    if (!read_size(text, &size) || (o->limit != 0 && size > hri_round_down(o->limit, HRI_CHUNK)))
        return false;
    o->ballast = size;
    return true;
}

static bool set_retain(harena_provider_options *o, const char *text)
{
    uint64_t percent;
    const char *end = read_number(text, &percent);

    if (strcmp(text, "off") == 0) {
        o->retain_percent = HARENA_RETAIN_ALL;
        return true;
    }
    if (end == NULL || *end != '\0' || percent >= HARENA_RETAIN_NONE)
        return false;
    o->retain_percent = percent != 0 ? (uint32_t)percent : HARENA_RETAIN_NONE;
    return true;
}

static bool set_huge(harena_provider_options *o, const char *text)
{
    static const char *const values[] = {
        [HARENA_HUGE_AUTO] = "auto", [HARENA_HUGE_ON] = "on", [HARENA_HUGE_OFF] = "off"};

    for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++) {
        if (strcmp(text, values[i]) == 0) {
            o->huge_pages = (enum harena_huge_pages)i;
            return true;
        }
    }
    return false;
}

/* Who wants to know has read it: trace.c, share.c, and below debug.c. */
static bool check_switch(harena_provider_options *o, const char *text)
{
    (void)o;
    return strcmp(text, "1") == 0 || strcmp(text, "0") == 0;
}

static bool check_debug(harena_provider_options *o, const char *text)
{
    uint32_t modes = 0;

    (void)o;
    return hri_debug_read(text, &modes);
}

/* ---- variables: in this order, for the limits bound what comes behind them ---- */

static const struct {
    const char *name;
    bool (*set)(harena_provider_options *options, const char *text);
} variables[] = {
    {"HARENA_TRACE", check_switch},   {"HARENA_HARD_LIMIT", set_limit},
    {"HARENA_LIMIT", set_soft_limit}, {"HARENA_BALLAST", set_ballast},
    {"HARENA_RETAIN", set_retain},    {"HARENA_HUGE", set_huge},
    {"HARENA_STAT", check_switch},    {"HARENA_DEBUG", check_debug},
};
enum { VARIABLES = sizeof(variables) / sizeof(*variables), BALLAST = 3 };

static const char *value_of(unsigned variable)
{
    const char *text = secure_getenv(variables[variable].name);

    return text != NULL && text[0] != '\0' ? text : NULL;
}

uint32_t hri_environment_options(harena_provider_options *options)
{
    uint32_t ignored = 0;

    for (unsigned i = 0; i < VARIABLES; i++) {
        harena_provider_options changed = *options;
        const char *text = value_of(i);

        if (text == NULL)
            continue;
        if (variables[i].set(&changed, text))
            *options = changed;
        else
            ignored |= UINT32_C(1) << i;
    }
    return ignored;
}

uint32_t hri_environment_drop_ballast(harena_provider_options *options)
{
    if (options->ballast == 0)
        return 0;
    options->ballast = 0;
    return UINT32_C(1) << BALLAST;
}

void hri_environment_tell(const harena_provider *p, uint32_t ignored)
{
    char line[160];

    for (unsigned i = 0; i < VARIABLES; i++) {
        const char *text = value_of(i);

        if ((ignored >> i & 1) == 0 || text == NULL)
            continue;
        snprintf(line, sizeof(line), "ignored: %s=%.100s", variables[i].name, text);
        for (char *at = line; *at != '\0'; at++) /* one line, whatever it quotes */
            if ((unsigned char)*at < ' ')
                *at = '?';
        hri_provider_event(p, HARENA_EVENT_BAD_OPTION, EINVAL, 0, NULL, line);
    }
}
