/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens once: an exact count, a drain, a full provider, broken data, SIGHUP. */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EXACT_CODES = 60, EXACT_THREADS = 4 };

static void pause_ms(unsigned ms)
{
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

static void fail(struct client *client, const char *what)
{
    client->findings.wrong++;
    fprintf(stderr, "harena-server-check: wrong: %s\n", what);
}

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
        total->findings.checked += clients[i].findings.checked;
        total->findings.wrong += clients[i].findings.wrong;
        total->findings.errors += clients[i].findings.errors;
        client_fini(&clients[i]);
    }
    free(clients);
    compare_exact(total);
}

/* drain: a request that is half sent when SIGTERM comes is answered. */

static bool send_half(struct client *client, const char *body, size_t length)
{
    char head[128];
    int head_length = snprintf(head, sizeof head,
                               "POST /v1/annotate HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                               "Content-Length: %zu\r\n\r\n",
                               length);
    return http_connect(&client->connection) &&
           http_send(&client->connection, head, (size_t)head_length) &&
           http_send(&client->connection, body, length / 2);
}

/* Waits until the server works on the half and on the request that asks for this figure. */
static bool half_arrived(const struct client *client)
{
    static const char FIGURE[] = "\nhttp_requests_in_flight ";
    struct connection other;
    unsigned long in_flight = 0;
    connection_init(&other, client->options->port);
    for (int i = 0; i < 500 && in_flight < 2; i++) {
        struct answer answer;
        const char *why;
        pause_ms(10);
        if (!http_ask(&other, "GET", "/metrics", NULL, 0, &answer, &why))
            break;
        const char *figure = strstr(answer.body, FIGURE);
        in_flight = figure ? strtoul(figure + sizeof FIGURE - 1, NULL, 10) : 0;
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
    if (!send_half(total, body, length) || !half_arrived(total))
        fail(total, "cannot begin a request");
    kill(total->options->pid, SIGTERM);
    if (!refuses(total))
        fail(total, "still accepts connections after SIGTERM");
    finish_half(total, body, length);
    free(body);
}

/* limit: more than the provider may hold gives 503, and the next request is served. */

static void overfill(struct client *client, const char *body, unsigned *refused)
{
    struct answer answer;
    if (!client_ask(client, "POST", "/v1/annotate", body, strlen(body), &answer))
        return;
    bool no_memory = answer_is_error(&answer, 503);
    *refused += no_memory;
    client_judge(client, no_memory || answer.status == 200, "/v1/annotate", &answer,
                 "503 and a JSON error");
}

void command_limit(struct client *total)
{
    unsigned refused = 0;
    char *body = many_codes(total, 1000000);
    for (int round = 0; round < 20; round++) {
        overfill(total, body, &refused);
        check_health(total);
        for (unsigned i = 0; i < 50; i++) {
            check_code(total, &total->reference->languages.items[i]);
            check_annotate(total);
            check_search(total);
        }
        check_top(total);
        check_metrics(total);
    }
    free(body);
    if (refused == 0)
        fail(total, "the limit refused nothing");
    printf("refused %u\n", refused);
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
        fail(total, "the generation changed");
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
        fail(total, "SIGHUP did not reload the data once");
}
