/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of /v1/top and /metrics, whose figures move: each row and line must be possible. */
#include "check.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length of the answer to a path if it is a known code's, 0 if the length may be any; -1 if
 * nobody who loads this server asks for that path. */
static long answer_length(const struct reference *reference, const char *path)
{
    static const char *const whole[] = {"/v1/search", "/v1/annotate",  "/v1/top",
                                        "/healthz",   "/admin/reload", "/metrics"};
    static const char *const starts[] = {"/v1/search?q=",   "/v1/subdivisions/ZZ-",
                                         "/v1/languages/0", "/nowhere/",
                                         "/v1/search/",     "/v1/languages/deu/"};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        if (strcmp(path, whole[i]) == 0)
            return 0;
    }
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        if (strncmp(path, starts[i], strlen(starts[i])) == 0)
            return 0;
    }
    const struct item *item = NULL;
    if (strncmp(path, "/v1/subdivisions/", 17) == 0)
        item = reference_find(&reference->subdivisions, path + 17);
    else if (strncmp(path, "/v1/languages/", 14) == 0)
        item = reference_find(&reference->languages, path + 14);
    return item ? (long)item->answer_length : -1;
}

struct top_row {
    const char *path;
    double hits, bytes;
};

static bool read_row(const cJSON *row, struct top_row *read)
{
    const cJSON *hits = cJSON_GetObjectItemCaseSensitive(row, "hits");
    const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(row, "bytes");
    read->path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "path"));
    if (!read->path || !cJSON_IsNumber(hits) || !cJSON_IsNumber(bytes))
        return false;
    read->hits = hits->valuedouble;
    read->bytes = bytes->valuedouble;
    return read->hits > 0 && read->bytes > 0;
}

/* A row by itself. Others count while the server reads it, hits and bytes one after the other, so
 * the bytes of a known code may be some answers off; HEAD and wrong methods have other lengths. */
static bool is_possible(const struct reference *reference, const struct top_row *row)
{
    const double slack = 256;
    long length = answer_length(reference, row->path);
    if (length <= 0 || strcmp(row->path, "/v1/languages/deu") == 0 ||
        strcmp(row->path, "/v1/subdivisions/AD-02") == 0)
        return length >= 0;
    return row->bytes >= (row->hits - slack) * (double)length &&
           row->bytes <= (row->hits + slack) * (double)length;
}

static bool is_top(const struct reference *reference, const cJSON *rows)
{
    struct top_row before = {NULL, 0, 0}, row;
    const cJSON *each;
    if (!cJSON_IsArray(rows) || cJSON_GetArraySize(rows) > 100)
        return false;
    cJSON_ArrayForEach(each, rows)
    {
        if (!read_row(each, &row) || !is_possible(reference, &row))
            return false;
        if (before.path && (before.hits < row.hits ||
                            (before.hits == row.hits && strcmp(before.path, row.path) >= 0)))
            return false; /* not sorted, or one path twice with the same hits */
        for (const cJSON *other = each->next; other; other = other->next) {
            struct top_row later;
            if (read_row(other, &later) && strcmp(later.path, row.path) == 0)
                return false; /* two rows of one path: the table lost an insertion */
        }
        before = row;
    }
    return true;
}

void check_top(struct client *client)
{
    struct answer answer;
    if (!client_ask(client, "GET", "/v1/top", NULL, 0, &answer))
        return;
    cJSON *root = cJSON_Parse(answer.body);
    bool right = answer.status == 200 && answer.json &&
                 is_top(client->reference, cJSON_GetObjectItemCaseSensitive(root, "top"));
    client_judge(client, right, "/v1/top", &answer, "up to 100 possible rows, most hits first");
    cJSON_Delete(root);
}

/* What reading /metrics has found so far. */
struct exposition {
    char type_name[128];  /* of the last # TYPE line */
    double requests;      /* sum over all statuses */
    double bucket, count; /* of the histogram: last bucket, count */
    unsigned samples, histogram_lines;
};

static bool starts_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_comment(struct exposition *found, const char *line)
{
    if (sscanf(line, "# TYPE %127s", found->type_name) == 1)
        return true;
    return starts_with(line, "# HELP ");
}

static bool is_sample(struct exposition *found, const char *line)
{
    char *end;
    const char *space = strrchr(line, ' ');
    if (!space || !starts_with(line, found->type_name))
        return false;
    double value = strtod(space + 1, &end);
    if (end == space + 1 || *end != '\0' || value < 0)
        return false;
    found->samples++;
    if (starts_with(line, "http_requests_total{"))
        found->requests += value;
    if (starts_with(line, "http_request_duration_seconds_bucket{")) {
        found->histogram_lines++;
        if (value < found->bucket)
            return false; /* buckets are cumulative */
        found->bucket = value;
    }
    if (starts_with(line, "http_request_duration_seconds_count"))
        found->count = value;
    return true;
}

static bool is_exposition(struct exposition *found, char *text)
{
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (line[0] == '\0')
            return rest == NULL; /* the text ends with the last line's end */
        if (line[0] == '#' ? !is_comment(found, line) : !is_sample(found, line))
            return false;
    }
    return false;
}

void check_metrics(struct client *client)
{
    struct answer answer;
    struct exposition found = {.type_name = "#"};
    if (!client_ask(client, "GET", "/metrics", NULL, 0, &answer))
        return;
    char *text = must(strdup(answer.body));
    bool right = answer.status == 200 && is_exposition(&found, text) && found.samples >= 40 &&
                 found.histogram_lines >= 8 && found.bucket == found.count &&
                 found.requests >= client->requests_before;
    client_judge(client, right, "/metrics", &answer, "Prometheus text, counters that do not fall");
    if (right)
        client->requests_before = found.requests;
    free(text);
}
