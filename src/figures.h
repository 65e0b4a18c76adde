/* SPDX-License-Identifier: BSD-2-Clause */
/* The figures of a provider as a row of numbers: to be copied, shown, sent. Layer 3. */
#ifndef HRI_FIGURES_H
#define HRI_FIGURES_H
#include "names.h"
#include <harena/provider.h>

/* Their order is that of the file that processes share: a new one comes last, before the count. */
enum hri_figure {
    HRI_RESERVED,
    HRI_COMMITTED,
    HRI_IN_USE,
    HRI_FREE,
    HRI_DEFERRED,
    HRI_PEAK,
    HRI_LIMIT,
    HRI_SOFT_LIMIT,
    HRI_ARENAS,
    HRI_GETS,
    HRI_PUTS,
    HRI_COMMITS,
    HRI_PURGES,
    HRI_FAILURES,
    HRI_RETIRED,
    HRI_RECLAIMED,
    HRI_FIGURES
};

struct hri_figures {
    const char *name;
    uint64_t of[HRI_FIGURES];
};

/* Figures of a moment; the sums are exact when no call is under way. Any thread. */
void hri_figures_get(harena_provider *provider, struct hri_figures *figures);

/* The names of a provider, as hri_names_next. */
bool hri_figures_next_name(void *provider, uint32_t *at, struct hri_name_sums *sums);

#endif
