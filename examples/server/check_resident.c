/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads /proc/PID/smaps and status. What a provider counts as committed need not have been touched, so
 * the memory of the process less what is committed says nothing of the memory outside of the provider. */
#include "check_resident.h"

#include "check_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mapping {
    size_t start, end, resident;
};

struct mappings {
    struct mapping *items;
    size_t count, room;
};

static FILE *open_file(pid_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
    return fopen(path, "re");
}

static void add_mapping(struct mappings *mappings, size_t start, size_t end)
{
    if (mappings->count == mappings->room) {
        mappings->room = mappings->room * 2 + 64;
        mappings->items = must(realloc(mappings->items, mappings->room * sizeof *mappings->items));
    }
    mappings->items[mappings->count++] = (struct mapping){start, end, 0};
}

static struct mappings read_mappings(pid_t pid)
{
    struct mappings mappings = {0};
    char line[512];
    size_t start, end, kib;
    FILE *file = open_file(pid, "smaps");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%zx-%zx ", &start, &end) == 2)
            add_mapping(&mappings, start, end);
        else if (mappings.count > 0 && sscanf(line, "Rss: %zu kB", &kib) == 1)
            mappings.items[mappings.count - 1].resident = kib * 1024;
    }
    if (file)
        fclose(file);
    return mappings;
}

/* The end of the region has never been used: nothing else in the process is as long. */
static size_t region_end(const struct mappings *mappings)
{
    size_t longest = 0, end = 0;
    for (size_t i = 0; i < mappings->count; i++) {
        const struct mapping *each = &mappings->items[i];
        if (each->end - each->start > longest) {
            longest = each->end - each->start;
            end = each->end;
        }
    }
    return end;
}

struct resident resident_now(pid_t pid, size_t reserved)
{
    struct resident now = {0, 0};
    struct mappings mappings = read_mappings(pid);
    size_t end = region_end(&mappings), start = end - reserved;
    for (size_t i = 0; i < mappings.count; i++) {
        const struct mapping *each = &mappings.items[i];
        bool inside = each->start >= start && each->end <= end;
        *(inside ? &now.region : &now.outside) += each->resident;
    }
    free(mappings.items);
    return now;
}

size_t resident_highest(pid_t pid)
{
    char line[256];
    size_t kib = 0;
    FILE *file = open_file(pid, "status");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "VmHWM: %zu kB", &kib) == 1)
            break;
    }
    if (file)
        fclose(file);
    return kib * 1024;
}
