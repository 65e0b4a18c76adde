/* SPDX-License-Identifier: BSD-2-Clause */
/* Figures in three formats, by one table. Layer 8. */
#include "report.h"

/* A figure's name in JSON, in Prometheus's format, and what it is. */
struct row {
    const char *key, *metric;
    bool counts; /* it only grows */
    const char *help;
};

static const struct row rows[HRI_FIGURES] = {
    [HRI_RESERVED] = {"reserved", "harena_reserved_bytes", false, "Addresses reserved"},
    [HRI_COMMITTED] = {"committed", "harena_committed_bytes", false,
                       "Memory held: in use, free and deferred"},
    [HRI_IN_USE] = {"in_use", "harena_in_use_bytes", false, "Held by live arenas and raw chunks"},
    [HRI_FREE] = {"free", "harena_free_bytes", false, "Warm and ready for use"},
    [HRI_DEFERRED] = {"deferred", "harena_deferred_bytes", false,
                      "Retired, waiting for readers to leave"},
    [HRI_PEAK] = {"peak", "harena_committed_peak_bytes", false, "The most that was ever committed"},
    [HRI_LIMIT] = {"limit", "harena_limit_bytes", false, "The hard limit of committed, 0: none"},
    [HRI_SOFT_LIMIT] = {"soft_limit", "harena_soft_limit_bytes", false, "The soft limit, 0: none"},
    [HRI_ARENAS] = {"arenas", "harena_arenas", false, "Arenas, shared arenas and pools that live"},
    [HRI_GETS] = {"gets", "harena_chunk_gets_total", true, "Chunks taken"},
    [HRI_PUTS] = {"puts", "harena_chunk_puts_total", true, "Chunks put back"},
    [HRI_COMMITS] = {"commits", "harena_chunk_commits_total", true, "Chunks that gained memory"},
    [HRI_PURGES] = {"purges", "harena_chunk_purges_total", true,
                    "Chunks whose memory went back to the system"},
    [HRI_FAILURES] = {"failures", "harena_failures_total", true, "Requests for chunks refused"},
    [HRI_RETIRED] = {"retired", "harena_retired_total", true, "Generations and arenas retired"},
    [HRI_RECLAIMED] = {"reclaimed", "harena_reclaimed_total", true,
                       "Generations and arenas reclaimed"},
};

struct name_row {
    struct row row;
    size_t field; /* of struct hri_name_sums */
};

static const struct name_row name_rows[] = {
    {{"arenas", "harena_name_arenas", false, "Arenas of this name that live"},
     offsetof(struct hri_name_sums, arenas)},
    {{"made", "harena_name_arenas_made_total", true, "Arenas of this name that were made"},
     offsetof(struct hri_name_sums, made)},
    {{"bytes", "harena_name_bytes", false, "Held by arenas of this name, the retired too"},
     offsetof(struct hri_name_sums, bytes)},
    {{"peak", "harena_name_peak_bytes", false, "The most that was seen held by them"},
     offsetof(struct hri_name_sums, peak)},
    {{"failures", "harena_name_failures_total", true, "Their allocations that were refused"},
     offsetof(struct hri_name_sums, failures)},
};
enum { NAME_ROWS = sizeof(name_rows) / sizeof(*name_rows) };

static uint64_t field_of(const struct hri_name_sums *sums, const struct name_row *row)
{
    return *(const uint64_t *)(const void *)((const char *)sums + row->field);
}

/* ---- JSON ---- */

static void json_key(struct hri_out *out, const char *key)
{
    hri_out_string(out, ",\"");
    hri_out_string(out, key);
    hri_out_string(out, "\":");
}

static void json_string(struct hri_out *out, const char *string)
{
    hri_out_string(out, "\"");
    hri_out_name(out, HARENA_JSON, string);
    hri_out_string(out, "\"");
}

static void json_name(struct hri_out *out, const struct hri_name_sums *sums)
{
    hri_out_string(out, "{\"name\":");
    json_string(out, sums->name);
    for (int i = 0; i < NAME_ROWS; i++) {
        json_key(out, name_rows[i].row.key);
        hri_out_number(out, field_of(sums, &name_rows[i]));
    }
    hri_out_string(out, "}");
}

void hri_report_json(struct hri_out *out, const struct hri_report *report)
{
    struct hri_name_sums sums;
    uint32_t at = 0;

    hri_out_string(out, "{\"provider\":");
    json_string(out, report->figures.name);
    for (int i = 0; i < HRI_FIGURES; i++) {
        json_key(out, rows[i].key);
        hri_out_number(out, report->figures.of[i]);
    }
    json_key(out, "names");
    hri_out_string(out, "[");
    for (bool first = true; report->next_name(report->ctx, &at, &sums); first = false) {
        if (!first)
            hri_out_string(out, ",");
        json_name(out, &sums);
    }
    hri_out_string(out, "]}");
}

/* ---- Prometheus ---- */

static void head(struct hri_out *out, const struct row *row)
{
    hri_out_string(out, "# HELP ");
    hri_out_string(out, row->metric);
    hri_out_string(out, " ");
    hri_out_string(out, row->help);
    hri_out_string(out, "\n# TYPE ");
    hri_out_string(out, row->metric);
    hri_out_string(out, row->counts ? " counter\n" : " gauge\n");
}

/* NULL name: the provider's own. */
static void sample(struct hri_out *out, const struct row *row, const char *provider,
                   const char *name, uint64_t value)
{
    hri_out_string(out, row->metric);
    hri_out_string(out, "{provider=\"");
    hri_out_name(out, HARENA_PROMETHEUS, provider);
    if (name != NULL) {
        hri_out_string(out, "\",name=\"");
        hri_out_name(out, HARENA_PROMETHEUS, name);
    }
    hri_out_string(out, "\"} ");
    hri_out_number(out, value);
    hri_out_string(out, "\n");
}

static void samples_of_names(struct hri_out *out, const struct name_row *row,
                             const struct hri_report *report)
{
    struct hri_name_sums sums;
    uint32_t at = 0;

    while (report->next_name(report->ctx, &at, &sums))
        sample(out, &row->row, report->figures.name, sums.name, field_of(&sums, row));
}

void hri_report_prometheus(struct hri_out *out, const struct hri_report *reports, uint32_t count)
{
    for (int i = 0; i < HRI_FIGURES; i++) {
        head(out, &rows[i]);
        for (uint32_t r = 0; r < count; r++)
            sample(out, &rows[i], reports[r].figures.name, NULL, reports[r].figures.of[i]);
    }
    for (int i = 0; i < NAME_ROWS; i++) {
        head(out, &name_rows[i].row);
        for (uint32_t r = 0; r < count; r++)
            samples_of_names(out, &name_rows[i], &reports[r]);
    }
}

/* ---- text ---- */

enum { NAME_COLUMNS = 32, COLUMNS = 12 };

static void size_or_none(struct hri_out *out, const char *before, uint64_t bytes)
{
    hri_out_string(out, before);
    if (bytes != 0)
        hri_out_size(out, bytes, 0);
    else
        hri_out_string(out, "none");
}

static void text_name(struct hri_out *out, const struct hri_name_sums *sums)
{
    size_t columns;

    hri_out_string(out, "  ");
    columns = hri_out_name(out, HARENA_TEXT, sums->name);
    hri_out_spaces(out, columns < NAME_COLUMNS ? NAME_COLUMNS - columns : 0);
    hri_out_padded(out, sums->arenas, COLUMNS);
    hri_out_padded(out, sums->made, COLUMNS);
    hri_out_size(out, sums->bytes, COLUMNS);
    hri_out_size(out, sums->peak, COLUMNS);
    hri_out_padded(out, sums->failures, COLUMNS);
    hri_out_string(out, "\n");
}

static void text_size(struct hri_out *out, const char *before, uint64_t bytes)
{
    hri_out_string(out, before);
    hri_out_size(out, bytes, 0);
}

static void text_number(struct hri_out *out, const char *before, uint64_t number)
{
    hri_out_string(out, before);
    hri_out_number(out, number);
}

void hri_report_text(struct hri_out *out, const struct hri_report *report)
{
    const uint64_t *of = report->figures.of;
    struct hri_name_sums sums;
    uint32_t at = 0;

    hri_out_string(out, "provider ");
    hri_out_name(out, HARENA_TEXT, report->figures.name);
    text_size(out, "\n  committed ", of[HRI_COMMITTED]);
    text_size(out, ": in use ", of[HRI_IN_USE]);
    text_size(out, ", free ", of[HRI_FREE]);
    text_size(out, ", deferred ", of[HRI_DEFERRED]);
    text_size(out, "\n  peak ", of[HRI_PEAK]);
    size_or_none(out, ", limit ", of[HRI_LIMIT]);
    size_or_none(out, ", soft limit ", of[HRI_SOFT_LIMIT]);
    text_size(out, ", addresses ", of[HRI_RESERVED]);
    text_number(out, "\n  chunks taken ", of[HRI_GETS]);
    text_number(out, ", put back ", of[HRI_PUTS]);
    text_number(out, ", committed ", of[HRI_COMMITS]);
    text_number(out, ", purged ", of[HRI_PURGES]);
    text_number(out, "\n  arenas ", of[HRI_ARENAS]);
    text_number(out, ", failures ", of[HRI_FAILURES]);
    text_number(out, ", retired ", of[HRI_RETIRED]);
    text_number(out, ", reclaimed ", of[HRI_RECLAIMED]);
    hri_out_string(out, "\n  name                                  arenas        made        held"
                        "        peak    failures\n");
    while (report->next_name(report->ctx, &at, &sums))
        text_name(out, &sums);
}
