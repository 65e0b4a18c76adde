/* SPDX-License-Identifier: BSD-2-Clause */
/* GET /metrics: Prometheus text. */
#include "router.h"
#include "worker.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { ROOM = 16 << 10 }; /* the metrics are a fixed set of less than half of this */

struct page {
    char *text;
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void add(struct page *page, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(page->text + page->length, ROOM - page->length, format, args);
    va_end(args);
    if (length > 0 && (size_t)length < ROOM - page->length)
        page->length += (size_t)length;
    else
        page->text[page->length] = '\0'; /* whole lines or none */
}

static void add_head(struct page *page, const char *name, const char *type, const char *help)
{
    add(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_value(struct page *page, const char *name, const char *type, const char *help,
                      uint64_t value)
{
    add_head(page, name, type, help);
    add(page, "%s %" PRIu64 "\n", name, value);
}

static void add_counter(struct page *page, const char *name, const char *help, uint64_t value)
{
    add_value(page, name, "counter", help, value);
}

static void add_gauge(struct page *page, const char *name, const char *help, uint64_t value)
{
    add_value(page, name, "gauge", help, value);
}

static void add_requests(struct page *page, const struct worker_sums *sums)
{
    add_head(page, "http_requests_total", "counter", "Requests completed, by status.");
    for (unsigned i = 0; i < WORKER_STATUSES - 1; i++)
        add(page, "http_requests_total{status=\"%u\"} %" PRIu64 "\n", worker_status_at(i),
            sums->by_status[i]);
    add(page, "http_requests_total{status=\"other\"} %" PRIu64 "\n",
        sums->by_status[WORKER_STATUSES - 1]);
    add_gauge(page, "http_requests_in_flight", "Requests begun and not completed.",
              sums->started - sums->completed);
    add_counter(page, "http_response_body_bytes_total", "Bytes of bodies.", sums->body_bytes);
}

static void add_latency(struct page *page, const struct worker_sums *sums)
{
    static const char NAME[] = "http_request_duration_seconds";
    uint64_t count = 0;
    add_head(page, NAME, "histogram", "From the first callback to the completed answer.");
    for (unsigned i = 0; i < WORKER_BUCKETS; i++) {
        count += sums->by_latency[i];
        if (worker_bucket_bound(i) == UINT64_MAX)
            add(page, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", NAME, count);
        else
            add(page, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", NAME,
                (double)worker_bucket_bound(i) / 1e6, count);
    }
    add(page, "%s_sum %.6f\n%s_count %" PRIu64 "\n", NAME, (double)sums->latency_us / 1e6, NAME,
        count);
}

static uint64_t get(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void add_events(struct page *page, const struct events *events)
{
    add_head(page, "harena_events_total", "counter", "Refusals and passed limits, by kind.");
    for (unsigned kind = 0; kind < EVENT_KINDS; kind++)
        add(page, "harena_events_total{kind=\"%s\"} %" PRIu64 "\n", events_name(kind),
            get(&events->by_kind[kind]));
}

static void add_provider(struct page *page, harena_provider *provider)
{
    harena_provider_stats stats = {.size = sizeof stats};
    harena_provider_stats_get(provider, &stats);
    add_gauge(page, "harena_provider_reserved_bytes", "Addresses.", stats.reserved);
    add_gauge(page, "harena_provider_committed_bytes", "Chunks that hold memory.", stats.committed);
    add_gauge(page, "harena_provider_in_use_bytes", "Held by live arenas.", stats.in_use);
    add_gauge(page, "harena_provider_free_bytes", "Warm, ready.", stats.free);
    add_gauge(page, "harena_provider_deferred_bytes", "Retired, waiting for readers.",
              stats.deferred);
    add_gauge(page, "harena_provider_peak_bytes", "Highest committed.", stats.peak);
    add_counter(page, "harena_provider_gets_total", "Chunks handed out.", stats.gets);
    add_counter(page, "harena_provider_puts_total", "Chunks taken back.", stats.puts);
    add_counter(page, "harena_provider_commits_total", "Chunks that gained memory.", stats.commits);
    add_counter(page, "harena_provider_purges_total", "Chunks that lost memory.", stats.purges);
    add_counter(page, "harena_provider_failures_total", "Requests refused.", stats.failures);
    add_counter(page, "harena_provider_retired_total", "Generations and arenas retired.",
                stats.retired);
    add_counter(page, "harena_provider_reclaimed_total", "Generations and arenas reclaimed.",
                stats.reclaimed);
}

static void add_arenas(struct page *page, const struct server *server,
                       const struct worker_sums *sums)
{
    const struct window *window = &server->window;
    const struct store *store = &server->store;
    add_counter(page, "request_arenas_made_total", "Arenas created.", sums->arenas_made);
    add_counter(page, "request_arenas_reused_total", "Requests served by a warm arena.",
                sums->arenas_reused);
    add_counter(page, "request_arenas_dropped_total", "Arenas released: enough were idle.",
                sums->arenas_dropped);
    add_gauge(page, "data_arena_bytes", "Length of the published data.", get(&store->bytes));
    add_counter(page, "data_reloads_total", "Data sets published.", get(&store->reloads));
    add_counter(page, "data_failed_reloads_total", "Reloads that kept the old data.",
                get(&store->failed_reloads));
    add_gauge(page, "window_arena_length_bytes", "Handed out by this generation.",
              harena_shared_len(window->shared));
    add_gauge(page, "window_arena_capacity_bytes", "Held by this generation.",
              harena_shared_cap(window->shared));
    add_gauge(page, "window_arena_peak_bytes", "Highest length.",
              harena_shared_peak(window->shared));
    add_counter(page, "window_resets_total", "Resets under fire.", get(&window->resets));
    add_counter(page, "window_resets_refused_total", "Too much waited for readers.",
                get(&window->refused));
    add_counter(page, "window_recorded_total", "Answers recorded.", get(&window->recorded));
    add_counter(page, "window_missed_total", "Answers not recorded.", get(&window->missed));
}

void handle_metrics(struct request *request, const char *rest)
{
    (void)rest;
    struct page page = {harena_alloc(request->arena, ROOM), 0};
    if (!page.text) {
        answer_no_memory(request);
        return;
    }
    struct worker_sums sums = worker_sum();
    add_requests(&page, &sums);
    add_latency(&page, &sums);
    add_provider(&page, request->server->provider);
    add_events(&page, &request->server->events);
    add_arenas(&page, request->server, &sums);
    request->status = MHD_HTTP_OK;
    request->content_type = "text/plain; version=0.0.4";
    request->text = page.text;
    request->length = page.length;
}
