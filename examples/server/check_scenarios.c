/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens once: an exact count, a drain, broken data, SIGHUP. */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT_CODES = 60, EXACT_THREADS = 4 };

/* exact: a window that is never reset must count each request once. */

static unsigned exact_hits(unsigned at)
{
    return 3 + at * 2;
}

static void *ask_exactly(void *argument)
{
    struct client *client = argument;
    for (unsigned round = 0; round < exact_hits(EXACT_CODES - 1); round++) {
        for (unsigned i = 0; i < EXACT_CODES; i++) {
            if (round < exact_hits(i))
                check_code(client, &client->reference->subdivisions.items[i]);
        }
    }
    return NULL;
}

static bool is_exact_row(const struct client *client, const cJSON *row, unsigned at)
{
    const struct item *item = &client->reference->subdivisions.items[at];
    char path[64];
    snprintf(path, sizeof path, "/v1/subdivisions/%s", item->code);
    const char *got = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "path"));
    const cJSON *hits = cJSON_GetObjectItemCaseSensitive(row, "hits");
    const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(row, "bytes");
    double expected = (double)exact_hits(at) * EXACT_THREADS;
    return got && strcmp(got, path) == 0 && cJSON_IsNumber(hits) && hits->valuedouble == expected &&
           cJSON_IsNumber(bytes) && bytes->valuedouble == expected * (double)item->answer_length;
}

static void compare_exact(struct client *client)
{
    struct answer answer;
    if (!client_ask(client, "GET", "/v1/top", NULL, 0, &answer))
        return;
    cJSON *root = cJSON_Parse(answer.body);
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(root, "top");
    bool right = cJSON_GetArraySize(rows) == EXACT_CODES;
    for (unsigned i = 0; right && i < EXACT_CODES; i++) /* most hits first */
        right = is_exact_row(client, cJSON_GetArrayItem(rows, (int)i), EXACT_CODES - 1 - i);
    client_judge(client, right, "/v1/top", &answer, "each request counted once");
    cJSON_Delete(root);
}

void command_exact(struct client *total)
{
    pthread_t threads[EXACT_THREADS];
    struct client *clients = must(calloc(EXACT_THREADS, sizeof *clients));
    for (unsigned i = 0; i < EXACT_THREADS; i++) {
        client_init(&clients[i], total->options, total->reference, i);
        if (pthread_create(&threads[i], NULL, ask_exactly, &clients[i]) != 0)
            exit(3);
    }
    for (unsigned i = 0; i < EXACT_THREADS; i++) {
        pthread_join(threads[i], NULL);
        client_join(&clients[i], total);
    }
    free(clients);
    compare_exact(total);
}

/* drain: a request that is half sent when SIGTERM comes is answered. */

/* Waits until the server works on the half and on the request that asks for this figure. */
static bool half_arrived(const struct client *client)
{
    struct connection other;
    double in_flight = 0;
    connection_init(&other, client->options->port);
    for (int i = 0; i < 500 && in_flight < 2; i++) {
        struct answer answer;
        const char *why;
        pause_ms(10);
        if (!http_ask(&other, "GET", "/metrics", NULL, 0, &answer, &why))
            break;
        in_flight = figure_of(answer.body, "http_requests_in_flight");
    }
    connection_close(&other);
    return in_flight >= 2;
}

static bool refuses(const struct client *client)
{
    for (int i = 0; i < 100; i++) {
        struct connection fresh;
        connection_init(&fresh, client->options->port);
        bool connected = http_connect(&fresh);
        connection_close(&fresh);
        if (!connected)
            return true;
        pause_ms(20);
    }
    return false;
}

static void finish_half(struct client *client, const char *body, size_t length)
{
    struct answer answer;
    const char *why = "cannot send";
    if (!http_send(&client->connection, body + length / 2, length - length / 2) ||
        !http_read(&client->connection, false, &answer, &why)) {
        client->findings.errors++;
        fprintf(stderr, "harena-server-check: error: while draining: %s\n", why);
        return;
    }
    cJSON *sent = cJSON_Parse(body), *got = cJSON_Parse(answer.body);
    cJSON *expected = expected_annotation(client->reference, sent);
    client_judge(client, answer.status == 200 && answer.closes && same_json(expected, got),
                 "/v1/annotate while draining", &answer, "the right answer, and close");
    cJSON_Delete(sent);
    cJSON_Delete(got);
    cJSON_Delete(expected);
}

void command_drain(struct client *total)
{
    char *body = many_codes(total, 10000);
    size_t length = strlen(body);
    if (!http_begin(&total->connection, "/v1/annotate", body, length, length / 2) ||
        !half_arrived(total))
        client_fail(total, "cannot begin a request");
    kill(total->options->pid, SIGTERM);
    if (!refuses(total))
        client_fail(total, "still accepts connections after SIGTERM");
    finish_half(total, body, length);
    free(body);
}

/* broken: a reload of data that is not there or not JSON is an error; the old data stays. */

void command_broken(struct client *total)
{
    check_health(total);
    uint64_t before = total->generation;
    client_expect_error(total, "POST", "/admin/reload", "", 0, 500);
    kill(total->options->pid, SIGHUP);
    pause_ms(200);
    check_health(total);
    if (total->generation != before)
        client_fail(total, "the generation changed");
    for (size_t i = 0; i < total->reference->languages.count; i += 50)
        check_code(total, &total->reference->languages.items[i]);
}

/* hangup: SIGHUP publishes a new generation. */

void command_hangup(struct client *total)
{
    check_health(total);
    uint64_t before = total->generation;
    kill(total->options->pid, SIGHUP);
    for (int i = 0; i < 100 && total->generation == before; i++) {
        pause_ms(50);
        check_health(total);
    }
    if (total->generation != before + 1)
        client_fail(total, "SIGHUP did not reload the data once");
}
