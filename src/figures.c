/* SPDX-License-Identifier: BSD-2-Clause */
/* A provider's figures in a row. Layer 3. */
#include "figures.h"

#include "provider.h"

void hri_figures_get(harena_provider *p, struct hri_figures *figures)
{
    harena_provider_stats stats = {.size = sizeof(stats)};

    harena_provider_stats_get(p, &stats);
    figures->name = p->name;
    figures->of[HRI_RESERVED] = stats.reserved;
    figures->of[HRI_COMMITTED] = stats.committed;
    figures->of[HRI_IN_USE] = stats.in_use;
    figures->of[HRI_FREE] = stats.free;
    figures->of[HRI_DEFERRED] = stats.deferred;
    figures->of[HRI_PEAK] = stats.peak;
    figures->of[HRI_LIMIT] = hri_load_relaxed(&p->limit); /* relaxed: figures */
    figures->of[HRI_SOFT_LIMIT] = p->soft_limit;
    figures->of[HRI_ARENAS] = hri_load_relaxed(&p->live);
    figures->of[HRI_GETS] = stats.gets;
    figures->of[HRI_PUTS] = stats.puts;
    figures->of[HRI_COMMITS] = stats.commits;
    figures->of[HRI_PURGES] = stats.purges;
    figures->of[HRI_FAILURES] = stats.failures;
    figures->of[HRI_RETIRED] = stats.retired;
    figures->of[HRI_RECLAIMED] = stats.reclaimed;
}

bool hri_figures_next_name(void *provider, uint32_t *at, struct hri_name_sums *sums)
{
    return hri_names_next(&((harena_provider *)provider)->names, at, sums);
}
