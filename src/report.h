/* SPDX-License-Identifier: BSD-2-Clause */
/* Figures as text, JSON or Prometheus's format, wherever they come from: a provider of this process, or what another one
 * shares. Layer 8. */
#ifndef HRI_REPORT_H
#define HRI_REPORT_H
#include "figures.h"
#include "out.h"

/* One provider. `next_name` gives its names, as hri_names_next does. */
struct hri_report {
    struct hri_figures figures;
    bool (*next_name)(void *ctx, uint32_t *at, struct hri_name_sums *sums);
    void *ctx;
};

void hri_report_text(struct hri_out *out, const struct hri_report *report);
void hri_report_json(struct hri_out *out, const struct hri_report *report);

/* All providers of one exposition: a metric's lines must stand together. */
void hri_report_prometheus(struct hri_out *out, const struct hri_report *reports, uint32_t count);

#endif
