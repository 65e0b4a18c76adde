/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the models: all, or those whose names begin as an argument does ("=" before it: are the argument). Without
 * HARENA_LONG the quick tier. MODEL_BOUND: one bound for all (-1: all schedules). */
#include "models.h"

#include "ck.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1000000 }; /* schedules of one model in the long tier */

static const struct explore_model *const lists[] = {
    blocks_models, limit_models, lease_models, lane_models,   rest_models,     shared_models,
    retire_models, fork_models,  slab_models,  thread_models, snapshot_models, pool_models,
};

static bool is_asked_for(const char *name, int count, char *const *prefixes)
{
    for (int i = 0; i < count; i++)
        if (prefixes[i][0] == '=' ? strcmp(name, prefixes[i] + 1) == 0
                                  : strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return count == 0;
}

int main(int argc, char **argv)
{
    bool deep = getenv("HARENA_LONG") != NULL, ok = true;
    const char *most = getenv("MODEL_MOST"), *forced = getenv("MODEL_BOUND");
    uint64_t limit = most != NULL ? strtoull(most, NULL, 10) : deep ? MOST : 0;

#if defined(HRI_TSAN)
    puts("skipped: ThreadSanitizer does not know the explorer's threads");
    return 77;
#endif
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (const struct explore_model *m = lists[i]; m->name != NULL; m++) {
            int bound = forced != NULL ? atoi(forced) : deep ? m->deep : m->quick;

            if (!is_asked_for(m->name, argc - 1, argv + 1))
                continue;
            if (bound != EXPLORE_NOT)
                ok = explore(m, bound, limit) && ok;
            if (deep && forced == NULL && m->deep_all == EXPLORE_ALL && bound != EXPLORE_ALL)
                ok = explore(m, EXPLORE_ALL, limit) && ok;
        }
    }
    return ok ? 0 : 1;
}
