/* SPDX-License-Identifier: BSD-2-Clause */
/* Which functions an address of the library lies in, inlined ones too (addr2line knows), and which functions a
 * document names. */
#ifndef TEST_PROGRESS_NAMES_H
#define TEST_PROGRESS_NAMES_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Words, each with a space before and behind. */
typedef struct names {
    char text[4096];
} names;

static inline bool names_have(const names *n, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = n->text; (at = strstr(at, name)) != NULL; at += length)
        if (at > n->text && at[-1] == ' ' && at[length] == ' ')
            return true;
    return false;
}

static inline void names_add(names *n, const char *name)
{
    size_t used = strlen(n->text);

    if (name[0] != '\0' && !names_have(n, name))
        snprintf(n->text + used, sizeof(n->text) - used, used == 0 ? " %s " : "%s ", name);
}

/* Asks addr2line for the innermost function first. The names of parts that the compiler split off lose their suffix.
 * False: there is no addr2line, or no debug information. */
static inline bool names_of(names *n, const char *file, uintptr_t address)
{
    char line[512];
    bool function = true, known = false;
    FILE *from;

    n->text[0] = '\0';
    snprintf(line, sizeof(line), "addr2line -f -i -e '%s' 0x%lx 2>/dev/null", file,
             (unsigned long)address);
    from = popen(line, "r");
    if (from == NULL)
        return false;
    for (; fgets(line, sizeof(line), from) != NULL; function = !function) {
        if (function) {
            line[strcspn(line, ".\n")] = '\0';
            names_add(n, line);
        } else if (line[0] != '?') {
            known = true;
        }
    }
    return pclose(from) == 0 && known;
}

/* The function names, in backquotes, of the lines of a document's table that begin with "| `". */
static inline bool names_of_table(names *n, const char *path, const char *heading)
{
    char line[1024], *name, *end;
    FILE *from = fopen(path, "r");
    bool here = false, any = false;

    n->text[0] = '\0';
    if (from == NULL)
        return false;
    while (fgets(line, sizeof(line), from) != NULL) {
        if (strncmp(line, heading, strlen(heading)) == 0)
            here = true;
        else if (here && any && line[0] != '|')
            break;
        if (!here || strncmp(line, "| `", 3) != 0)
            continue;
        any = true;
        for (name = line + 3; (end = strchr(name, '`')) != NULL; name++) {
            *end = '\0';
            names_add(n, name);
            name = end + 1 + strcspn(end + 1, "`|");
            if (*name != '`')
                break;
        }
    }
    fclose(from);
    return any;
}

#endif
