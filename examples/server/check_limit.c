/* SPDX-License-Identifier: BSD-2-Clause */
/* limit: a server that is asked for more than its --limit lets it have.
 *
 *  1. Calm: every connection is made and used once, so that what the server needs outside of the
 *     limit is there, and its figures are taken.
 *  2. Full: uploads that are half sent hold all of the memory. What needs none is served, the rest
 *     is refused, the window is reset all the same.
 *  3. Storm: half of the memory stays held, and many clients ask for too much, at random.
 *  4. After: everything is served again, and the figures are back. */
#include "check.h"
#include "check_resident.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What resident memory may be above the limit: what one thread is giving back, and what moves while it is read. */
#define SLACK ((size_t)2 << 20)

enum {
    LARGE = 1000000, /* bytes of an upload that needs some 45 MiB to be answered */
    SMALL = 3000,    /* of one that needs little */
    FEW = 24,        /* small uploads that fill the gap that is too small for a large one */
    MANY = 96,       /* and those that come before, so that each worker has many requests */
    READERS = 8,     /* connections, so that all workers are asked */
    PATIENCE_MS = 10000,
    LOOKS = 8 /* at resident memory, until no mapping has moved meanwhile */
};

struct scene {
    const struct check_options *options;
    struct client *total; /* looks at the figures */
    struct client *clients;
    unsigned few, readers, count; /* where FEW begin, and READERS, and where all end */
    char *large_text, *small_text;
    atomic_uint next;
    uint64_t deadline;
    double in_use;           /* bytes of arenas when calm */
    size_t reserved;         /* bytes of the provider's region */
    struct resident highest; /* that was seen */
};

/* ---- what the server says of itself, and the system of it ---- */

static bool look(struct scene *scene, struct answer *answer)
{
    return client_ask(scene->total, "GET", "/metrics", NULL, 0, answer) &&
           client_judge(scene->total, answer->status == 200, "/metrics", answer, "200");
}

static double figure(struct scene *scene, const char *name)
{
    struct answer answer;
    return look(scene, &answer) ? figure_of(answer.body, name) : -1;
}

/* Waits for a figure to be within bounds; `what`: what it means if it does not come to be. */
static void await(struct scene *scene, const char *name, double least, double most,
                  const char *what)
{
    double now = -1;
    for (unsigned waited = 0; waited < PATIENCE_MS; waited += 10) {
        now = figure(scene, name);
        if (now >= least && now <= most)
            return;
        pause_ms(10);
    }
    client_fail(scene->total, what);
    fprintf(stderr, "  %s is %.0f, not from %.0f to %.0f\n", name, now, least, most);
}

/* Nobody asks but this look itself, and nothing waits for readers. */
static void await_quiet(struct scene *scene)
{
    await(scene, "http_requests_in_flight", 1, 1, "requests stay in flight");
    await(scene, "harena_provider_deferred_bytes", 0, 0, "memory stays deferred");
}

/* The mappings are read one by one, and on a busy machine that takes a while: their sum may be more than the process ever
 * had at once, and then says nothing. False: it was that each time. */
static bool look_at_memory(const struct scene *scene, struct resident *now)
{
    pid_t pid = scene->options->pid;
    for (int look = 0; look < LOOKS; look++) {
        *now = resident_now(pid, scene->reserved);
        if (now->region + now->outside <= resident_highest(pid) + SLACK)
            return true;
    }
    return false;
}

/* Takes note of the resident memory, if that is asked for. */
static void watch_memory(struct scene *scene)
{
    struct resident now;
    if (!scene->options->resident || !look_at_memory(scene, &now))
        return;
    if (now.region == 0 || now.outside == 0)
        client_fail(scene->total, "its resident memory cannot be seen");
    if (now.region > scene->highest.region)
        scene->highest.region = now.region;
    if (now.outside > scene->highest.outside)
        scene->highest.outside = now.outside;
}

static void expect_within_limit(struct scene *scene)
{
    size_t limit = scene->options->limit;
    double peak = figure(scene, "harena_provider_peak_bytes");
    if (peak <= 0 || peak > (double)limit)
        client_fail(scene->total, "more was committed than the limit");
    watch_memory(scene);
    if (scene->highest.region > limit + SLACK)
        client_fail(scene->total, "resident memory of arenas rose too far above the limit");
    if (scene->options->resident &&
        resident_highest(scene->options->pid) > scene->highest.outside + limit + SLACK)
        client_fail(scene->total, "resident memory rose too far above the limit");
}

/* ---- 1. calm ---- */

/* Fills libmicrohttpd's buffers of a connection. */
static void use_connection(struct client *client)
{
    char text[65536];
    memset(text, ' ', sizeof text);
    text[0] = '[';
    text[sizeof text - 2] = ']';
    text[sizeof text - 1] = '\0';
    struct answer answer;
    if (client_ask(client, "POST", "/v1/annotate", text, strlen(text), &answer))
        judge_annotated(client, text, &answer);
}

static void open_scene(struct scene *scene, struct client *total)
{
    *scene = (struct scene){.options = total->options, .total = total};
    scene->few = MANY + (unsigned)(scene->options->limit >> 20) + 4;
    scene->readers = scene->few + FEW;
    scene->count = scene->readers + READERS + scene->options->threads;
    scene->large_text = many_codes(total, LARGE);
    scene->small_text = many_codes(total, SMALL);
    scene->clients = must(calloc(scene->count, sizeof *scene->clients));
    for (unsigned i = 0; i < scene->count; i++) {
        client_init(&scene->clients[i], total->options, total->reference, i);
        use_connection(&scene->clients[i]);
    }
    await_quiet(scene);
    scene->in_use = figure(scene, "harena_provider_in_use_bytes");
    double reserved = figure(scene, "harena_provider_reserved_bytes");
    scene->reserved = reserved > 0 ? (size_t)reserved : 0;
}

static void close_scene(struct scene *scene)
{
    for (unsigned i = 0; i < scene->count; i++)
        client_join(&scene->clients[i], scene->total);
    free(scene->clients);
    free(scene->large_text);
    free(scene->small_text);
}

/* ---- 2. full ---- */

static const char *text_of(const struct scene *scene, unsigned upload)
{
    bool large = upload >= MANY && upload < scene->few;
    return large ? scene->large_text : scene->small_text;
}

static void begin_upload(const struct scene *scene, unsigned upload)
{
    struct client *client = &scene->clients[upload];
    const char *text = text_of(scene, upload);
    if (!http_begin(&client->connection, "/v1/annotate", text, strlen(text), strlen(text) / 2))
        client->findings.errors++;
}

/* Sends the rest. Whatever is answered must be right. */
static void end_upload(struct client *client, const char *text)
{
    struct answer answer;
    const char *why = "cannot send";
    client->may_refuse = true;
    size_t length = strlen(text), half = length / 2;
    client->findings.requests++;
    if (!http_send(&client->connection, text + half, length - half) ||
        !http_read(&client->connection, false, &answer, &why)) {
        client->findings.errors++;
        fprintf(stderr, "harena-server-check: error: an upload: %s\n", why);
        return;
    }
    if (client_take(client, "POST", "/v1/annotate", &answer))
        judge_annotated(client, text, &answer);
}

static void must_be_refused(struct client *client, const char *target, const char *body)
{
    struct answer answer;
    client->may_refuse = true;
    if (client_ask(client, "POST", target, body, strlen(body), &answer))
        client_judge(client, false, target, &answer, "503, there is no memory");
    client->may_refuse = false;
}

static void read_when_full(struct client *client)
{
    for (int i = 0; i < 40; i++)
        check_any_code(client);
    check_unknown(client);
    check_head(client);
    check_health(client);
    check_metrics(client);
}

/* Hangs up before the server has read what was sent. */
static void hang_up_at_once(struct client *client, const char *text)
{
    for (int i = 0; i < 10; i++) {
        if (!http_begin(&client->connection, "/v1/annotate", text, strlen(text), strlen(text) / 2))
            client->findings.errors++;
        http_hang_up(&client->connection);
    }
}

/* What may find a chunk or two, but not all that it needs: the workers have idle arenas of one chunk
 * each from the uploads that end here. */
static void ask_for_more(struct scene *scene)
{
    for (unsigned i = scene->few; i < scene->readers; i++)
        end_upload(&scene->clients[i], text_of(scene, i));
    for (unsigned i = scene->few; i < scene->readers + READERS; i++) {
        struct client *client = &scene->clients[i];
        client->may_refuse = true;
        for (int n = 0; n < 10; n++)
            check_annotate_members(client);
        check_search(client);
        check_top(client);
    }
}

static void ask_when_full(struct scene *scene)
{
    struct client *readers = &scene->clients[scene->readers];
    double resets = figure(scene, "window_resets_total");
    check_health(scene->total);
    uint64_t generation = scene->total->generation;
    for (int i = 0; i < READERS; i++) {
        read_when_full(&readers[i]);
        must_be_refused(&readers[i], "/v1/annotate", scene->large_text);
        must_be_refused(&readers[i], "/admin/reload", "");
        hang_up_at_once(&readers[i], scene->large_text);
    }
    check_health(scene->total);
    if (scene->total->generation != generation)
        client_fail(scene->total, "a reload that was refused changed the generation");
    await(scene, "window_resets_total", resets + 2, 1e300,
          "the window is not reset when memory is full");
}

static void fill(struct scene *scene)
{
    struct answer answer;
    for (unsigned i = 0; i < scene->readers; i++)
        begin_upload(scene, i);
    await(scene, "http_requests_in_flight", scene->readers + 1, scene->readers + 1,
          "uploads do not arrive");
    if (!look(scene, &answer))
        return;
    double held = figure_of(answer.body, "harena_provider_in_use_bytes") +
                  figure_of(answer.body, "harena_provider_deferred_bytes");
    if (held < (double)scene->options->limit - (1 << 20))
        client_fail(scene->total, "half sent uploads do not fill the memory");
    watch_memory(scene);
}

static void hold_all(struct scene *scene)
{
    fill(scene);
    ask_when_full(scene);
    ask_for_more(scene);
    expect_within_limit(scene);
    for (unsigned i = 0; i < scene->few; i++) {
        if (i < MANY + 4)
            end_upload(&scene->clients[i], text_of(scene, i));
        else
            http_hang_up(&scene->clients[i].connection);
    }
    await_quiet(scene);
}

/* ---- 3. storm ---- */

/* Sends half of an upload, and then the rest, or nothing more. */
static void check_interrupted(struct client *client)
{
    char *text = many_codes(client, 1000 * (1 + client_random(client, 300)));
    size_t length = strlen(text);
    if (http_begin(&client->connection, "/v1/annotate", text, length, length / 2)) {
        pause_ms((unsigned)client_random(client, 20));
        if (client_random(client, 2))
            end_upload(client, text);
        else
            http_hang_up(&client->connection);
    } else {
        http_hang_up(&client->connection); /* the server may close what was kept */
    }
    free(text);
}

/* Of a hundred requests, so many. */
static const struct {
    unsigned share;
    void (*check)(struct client *client);
} MIX[] = {{30, check_any_code},    {20, check_annotate},        {12, check_annotate_large},
           {10, check_interrupted}, {5, check_annotate_members}, {5, check_search},
           {4, check_top},          {4, check_metrics},          {4, check_health},
           {2, check_malformed},    {2, check_too_large},        {2, check_reload}};

static void *run_storm(void *argument)
{
    struct scene *scene = argument;
    struct client *client = &scene->clients[scene->readers + READERS + scene->next++];
    must_be_refused(client, "/v1/annotate", scene->large_text); /* half of the memory is held */
    hang_up_at_once(client, scene->large_text);
    client->may_refuse = true;
    while (clock_ns() < scene->deadline && client->findings.errors <= 20) {
        uint64_t pick = client_random(client, 100);
        size_t at = 0;
        for (; pick >= MIX[at].share; at++)
            pick -= MIX[at].share;
        MIX[at].check(client);
    }
    return NULL;
}

static void storm(struct scene *scene)
{
    unsigned threads = scene->options->threads, held = (scene->few - MANY) / 2;
    pthread_t *ids = must(calloc(threads, sizeof *ids));
    for (unsigned i = 0; i < held; i++)
        begin_upload(scene, MANY + i);
    await(scene, "http_requests_in_flight", held + 1, held + 1, "uploads do not arrive");
    scene->deadline = clock_ns() + (uint64_t)scene->options->seconds * 1000000000;
    for (unsigned i = 0; i < threads; i++) {
        if (pthread_create(&ids[i], NULL, run_storm, scene) != 0)
            exit(3);
    }
    for (; clock_ns() < scene->deadline; pause_ms(20))
        watch_memory(scene);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    free(ids);
    expect_within_limit(scene);
    for (unsigned i = 0; i < held; i++)
        http_hang_up(&scene->clients[MANY + i].connection);
}

/* ---- 4. after ---- */

static void ask_everything(struct scene *scene, struct client *client)
{
    const char *text = scene->large_text;
    struct answer answer;
    client->may_refuse = false;
    check_reload(client);
    if (client_ask(client, "POST", "/v1/annotate", text, strlen(text), &answer))
        judge_annotated(client, text, &answer);
    for (int i = 0; i < 20; i++) {
        check_any_code(client);
        check_annotate(client);
        check_search(client);
    }
    check_top(client);
    check_metrics(client);
    check_health(client);
}

static void after(struct scene *scene)
{
    double limit = (double)scene->options->limit;
    await_quiet(scene);
    double missed = figure(scene, "window_missed_total");
    double resets = figure(scene, "window_resets_total");
    ask_everything(scene, scene->total);
    for (int i = 0; i < READERS; i += 4)
        ask_everything(scene, &scene->clients[scene->readers + (unsigned)i]);
    if (figure(scene, "window_missed_total") != missed)
        client_fail(scene->total, "the window finds no memory after the load");
    await(scene, "window_resets_total", resets + 2, 1e300,
          "the window is not reset after the load");
    await_quiet(scene);
    /* Idle arenas may keep a sixteenth of the limit. */
    await(scene, "harena_provider_in_use_bytes", 0, scene->in_use + limit / 16,
          "memory in use does not go back to what it was");
    expect_within_limit(scene);
}

static void report(struct scene *scene)
{
    const struct check_options *options = scene->options;
    const struct findings *findings = &scene->total->findings;
    struct answer answer;
    if (!look(scene, &answer))
        return;
    printf("kind=server-limit seed=%" PRIu64 " limit=%zu threads=%u seconds=%u answers_200=%" PRIu64
           " answers_503=%" PRIu64 " wrong=%" PRIu64 " errors=%" PRIu64
           " limit_events=%.0f soft_limit_events=%.0f peak=%.0f",
           options->seed, options->limit, options->threads, options->seconds, findings->served,
           findings->refused, findings->wrong, findings->errors,
           figure_of(answer.body, "harena_events_total{kind=\"limit\"}"),
           figure_of(answer.body, "harena_events_total{kind=\"soft_limit\"}"),
           figure_of(answer.body, "harena_provider_peak_bytes"));
    if (options->resident)
        printf(" resident_arenas=%zu resident_else=%zu resident_highest=%zu", scene->highest.region,
               scene->highest.outside, resident_highest(options->pid));
    printf(" result=%s\n", findings->wrong + findings->errors == 0 ? "ok" : "failed");
}

void command_limit(struct client *total)
{
    struct scene scene;
    open_scene(&scene, total);
    hold_all(&scene);
    storm(&scene);
    after(&scene);
    close_scene(&scene);
    report(&scene);
}
