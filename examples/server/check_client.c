/* SPDX-License-Identifier: BSD-2-Clause */
/* A client of the server that counts what it finds. */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void client_init(struct client *client, const struct check_options *options,
                 const struct reference *reference, unsigned number)
{
    memset(client, 0, sizeof *client);
    client->options = options;
    client->reference = reference;
    client->random = options->seed * UINT64_C(0x9e3779b97f4a7c15) + number;
    connection_init(&client->connection, options->port);
}

void client_fini(struct client *client)
{
    connection_close(&client->connection);
}

void client_join(struct client *client, struct client *total)
{
    findings_add(&total->findings, &client->findings);
    total->connection.reconnects += client->connection.reconnects;
    client_fini(client);
}

void findings_add(struct findings *to, const struct findings *from)
{
    to->requests += from->requests;
    to->served += from->served;
    to->refused += from->refused;
    to->checked += from->checked;
    to->wrong += from->wrong;
    to->errors += from->errors;
    to->reloads += from->reloads;
    to->codes += from->codes;
}

/* splitmix64 */
uint64_t client_random(struct client *client, uint64_t below)
{
    uint64_t z = client->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % below;
}

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static unsigned latency_bucket(uint64_t ns)
{
    unsigned power = 63u - (unsigned)__builtin_clzll(ns | LATENCY_STEPS);
    unsigned step = (unsigned)(ns >> (power - 4)) & (LATENCY_STEPS - 1);
    unsigned bucket = (power - 4) * LATENCY_STEPS + step;
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

static void latencies_record(struct latencies *latencies, uint64_t ns)
{
    latencies->counts[latency_bucket(ns)]++;
    latencies->count++;
    if (ns > latencies->highest)
        latencies->highest = ns;
}

void latencies_add(struct latencies *to, const struct latencies *from)
{
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        to->counts[i] += from->counts[i];
    to->count += from->count;
    if (from->highest > to->highest)
        to->highest = from->highest;
}

double latencies_quantile_us(const struct latencies *latencies, double quantile)
{
    uint64_t wanted = (uint64_t)((double)latencies->count * quantile), seen = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        seen += latencies->counts[i];
        if (seen > wanted) {
            uint64_t low = (uint64_t)(LATENCY_STEPS + i % LATENCY_STEPS) << (i / LATENCY_STEPS);
            return (double)low / 1000.0;
        }
    }
    return (double)latencies->highest / 1000.0;
}

void pause_ms(unsigned ms)
{
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

double figure_of(const char *metrics, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = metrics; line; line = strchr(line, '\n')) {
        line += line != metrics;
        if (strncmp(line, name, length) == 0 && line[length] == ' ')
            return strtod(line + length, NULL);
    }
    return -1;
}

/* An answer that says that there was no memory, complete, with the time to try again. */
static void take_refusal(struct client *client, const char *method, const char *target,
                         const struct answer *answer)
{
    bool whole = strcmp(method, "HEAD") == 0 ? answer->json : answer_is_error(answer, 503);
    if (client_judge(client, whole && answer->retries, target, answer,
                     "503, a JSON error, Retry-After"))
        client->findings.refused++;
}

bool client_take(struct client *client, const char *method, const char *target,
                 const struct answer *answer)
{
    client->findings.served += answer->status == 200;
    if (answer->status != 503 || !client->may_refuse)
        return true;
    take_refusal(client, method, target, answer);
    return false;
}

bool client_ask(struct client *client, const char *method, const char *target, const char *body,
                size_t length, struct answer *answer)
{
    const char *why = "";
    uint64_t begin = clock_ns();
    client->findings.requests++;
    if (!http_ask(&client->connection, method, target, body, length, answer, &why)) {
        if (client->findings.errors++ < 5)
            fprintf(stderr, "harena-server-check: error: %s %s: %s\n", method, target, why);
        return false;
    }
    latencies_record(&client->findings.latencies, clock_ns() - begin);
    return client_take(client, method, target, answer);
}

bool client_judge(struct client *client, bool right, const char *target,
                  const struct answer *answer, const char *expected)
{
    client->findings.checked++;
    if (!right && client->findings.wrong++ < 5)
        fprintf(stderr, "harena-server-check: wrong: %s: status %u, %.300s\n  expected: %.300s\n",
                target, answer->status, answer->body, expected);
    return right;
}

void client_fail(struct client *client, const char *what)
{
    client->findings.wrong++;
    fprintf(stderr, "harena-server-check: wrong: %s\n", what);
}

bool answer_is_error(const struct answer *answer, unsigned status)
{
    cJSON *root = cJSON_Parse(answer->body);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(root, "error");
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(error, "status");
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(error, "message");
    bool is = answer->status == status && answer->json && cJSON_IsNumber(number) &&
              number->valuedouble == (double)status && cJSON_IsString(message) &&
              message->valuestring[0] != '\0';
    cJSON_Delete(root);
    return is;
}

bool client_expect_error(struct client *client, const char *method, const char *target,
                         const char *body, size_t length, unsigned status)
{
    struct answer answer;
    char expected[64];
    snprintf(expected, sizeof expected, "%s gives %u and a JSON error", method, status);
    return client_ask(client, method, target, body, length, &answer) &&
           client_judge(client, answer_is_error(&answer, status), target, &answer, expected);
}

static bool same_string(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Two values, without what follows them in their lists. */
static bool same_value(const cJSON *a, const cJSON *b)
{
    if ((a->type & 0xff) != (b->type & 0xff) || !same_string(a->string, b->string))
        return false;
    if (cJSON_IsString(a))
        return same_string(a->valuestring, b->valuestring);
    if (cJSON_IsNumber(a)) /* sent with all digits: the same bits come back */
        return memcmp(&a->valuedouble, &b->valuedouble, sizeof a->valuedouble) == 0;
    const cJSON *left = a->child, *right = b->child;
    for (; left && right; left = left->next, right = right->next) {
        if (!same_value(left, right))
            return false;
    }
    return !left && !right;
}

bool same_json(const cJSON *a, const cJSON *b)
{
    return a && b && same_value(a, b);
}
