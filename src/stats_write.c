/* SPDX-License-Identifier: BSD-2-Clause */
/* The public writer of a provider's figures. Layer 8. */
#include "provider.h"
#include "report.h"
#include "share.h"

#include <errno.h>

int harena_stats_write(harena_provider *provider, enum harena_format format, harena_write_fn write,
                       void *ctx)
{
    struct hri_report report = {.next_name = hri_figures_next_name};
    struct hri_out out;
    int saved = errno;

    if (write == NULL ||
        (format != HARENA_TEXT && format != HARENA_JSON && format != HARENA_PROMETHEUS))
        return -EINVAL;
    report.ctx = hri_provider_or_default(provider);
    errno = saved;
    if (report.ctx == NULL)
        return -ENOMEM;
    hri_figures_get(report.ctx, &report.figures);
    hri_out_init(&out, write, ctx);
    if (format == HARENA_TEXT)
        hri_report_text(&out, &report);
    else if (format == HARENA_JSON)
        hri_report_json(&out, &report);
    else
        hri_report_prometheus(&out, &report, 1);
    return hri_out_finish(&out);
}

int harena_stat_share(harena_provider *provider)
{
    harena_provider *p = hri_provider_or_default(provider);

    return p != NULL ? hri_share(p) : -ENOMEM;
}
