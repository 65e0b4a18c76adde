/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the checker share: one client of the server, its findings, its checks. */
#ifndef EXAMPLES_SERVER_CHECK_H
#define EXAMPLES_SERVER_CHECK_H

#include "check_data.h"
#include "check_http.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct check_options {
    uint16_t port;
    unsigned seconds, threads, reload_ms;
    uint64_t seed;
    const char *data;
    bool progress;
    pid_t pid;     /* of the server, for what sends it signals */
    size_t limit;  /* of the server, in bytes */
    bool resident; /* look at its resident memory */
};

/* Latencies in nanoseconds, in steps of a sixteenth. */
enum { LATENCY_STEPS = 16, LATENCY_BUCKETS = 48 * LATENCY_STEPS };
struct latencies {
    uint64_t counts[LATENCY_BUCKETS], count, highest;
};

/* One thread's findings; read by the progress line meanwhile, hence atomic. */
struct findings {
    _Atomic uint64_t requests; /* answered or not */
    _Atomic uint64_t served;   /* answers with status 200 */
    _Atomic uint64_t refused;  /* answers with status 503, where those are allowed */
    _Atomic uint64_t checked;  /* answers compared */
    _Atomic uint64_t wrong;    /* answers that differ */
    _Atomic uint64_t errors;   /* no whole answer */
    _Atomic uint64_t reloads, codes;
    struct latencies latencies;
};

struct client {
    const struct check_options *options;
    const struct reference *reference;
    struct connection connection;
    struct findings findings;
    bool may_refuse; /* an answer may be 503 */
    uint64_t random;
    uint64_t generation;    /* newest one seen: it never goes back */
    double requests_before; /* in the last look at /metrics: they never go back */
};

void findings_add(struct findings *to, const struct findings *from);

void client_init(struct client *client, const struct check_options *options,
                 const struct reference *reference, unsigned number);
void client_fini(struct client *client);
/* Adds what it found, latencies aside, and ends it. */
void client_join(struct client *client, struct client *total);

/* A random number below `below`, from the client's own seeded sequence. */
uint64_t client_random(struct client *client, uint64_t below);

/* Asks, measures, counts; false if there is nothing to judge: no whole answer came (an error,
 * counted), or a 503 did where that is allowed (counted; it must be a right one). */
bool client_ask(struct client *client, const char *method, const char *target, const char *body,
                size_t length, struct answer *answer);

/* What client_ask does with an answer that has come otherwise. */
bool client_take(struct client *client, const char *method, const char *target,
                 const struct answer *answer);

/* Counts an answer as checked, and as wrong if `right` is false; says what was wrong. */
bool client_judge(struct client *client, bool right, const char *target,
                  const struct answer *answer, const char *expected);
/* What is wrong, but with no answer in particular. */
void client_fail(struct client *client, const char *what);
/* Asks for `target` and expects a JSON error of that status. */
bool client_expect_error(struct client *client, const char *method, const char *target,
                         const char *body, size_t length, unsigned status);
/* Is it {"error":{"status":status,"message":text}}, as JSON? */
bool answer_is_error(const struct answer *answer, unsigned status);

/* The value of a line "name value" of /metrics; -1: there is none. */
double figure_of(const char *metrics, const char *name);

void pause_ms(unsigned ms);
uint64_t clock_ns(void);
void latencies_add(struct latencies *to, const struct latencies *from);
double latencies_quantile_us(const struct latencies *latencies, double quantile);

/* Same types, values, names and order. */
bool same_json(const cJSON *a, const cJSON *b);

/* The checks, each one request (or few) and its judgement. */
void check_code(struct client *client, const struct item *item);
void check_any_code(struct client *client);
void check_unknown(struct client *client);
void check_search(struct client *client);
void check_annotate(struct client *client);
void check_annotate_members(struct client *client);
void check_annotate_large(struct client *client);
/* The answer to this text, which was sent. */
void judge_annotated(struct client *client, const char *text, const struct answer *answer);
void check_malformed(struct client *client);
void check_too_large(struct client *client);
void check_wrong_method(struct client *client);
void check_head(struct client *client);
void check_top(struct client *client);
void check_metrics(struct client *client);
void check_health(struct client *client);
void check_reload(struct client *client);

/* The name that annotating gives to a value, else NULL. */
const char *annotation(const struct reference *reference, const cJSON *value);
/* What annotating `value` shall give, by malloc. */
cJSON *expected_annotation(const struct reference *reference, const cJSON *value);
/* An array of known codes, as text of about `size` bytes, by malloc. */
char *many_codes(struct client *client, size_t size);

/* The commands: findings are added to `total`, whose client is connected to nothing. */
void command_load(struct client *total, struct latencies *reload_latencies);
void command_exact(struct client *total);
void command_drain(struct client *total);
void command_limit(struct client *total);
void command_broken(struct client *total);
void command_hangup(struct client *total);

#endif
