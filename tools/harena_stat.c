/* SPDX-License-Identifier: BSD-2-Clause */
/* harena-stat: the providers and arena names of a running process. Layer 9. */
#include "config.h"

#include "report.h"
#include "screen.h"
#include "share_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MS = 1000, REFRESH_MS = 1000 };
enum status { SHOWN = 0, NOT_SHOWN = 1, WRONG_USE = 2 };

struct options {
    bool once;
    enum harena_format format;
    uint32_t pid;
};

/* What was read of a process at one time. */
static struct {
    struct hri_share_content contents[HRI_SHARE_SECTIONS];
    struct hri_report reports[HRI_SHARE_SECTIONS];
    uint32_t count;
    uint64_t time;
    bool fresh;
} seen;

/* ---- figures ---- */

static bool next_name(void *ctx, uint32_t *at, struct hri_name_sums *sums)
{
    const struct hri_share_content *content = ctx;
    const struct hri_share_name *name = &content->names[*at];

    if (*at >= content->name_count)
        return false;
    ++*at;
    *sums = (struct hri_name_sums){name->name,  name->arenas, name->made,
                                   name->bytes, name->peak,   name->failures};
    return true;
}

/* The largest first, then by name. */
static int compare_names(const void *a, const void *b)
{
    const struct hri_share_name *one = a, *other = b;

    if (one->bytes != other->bytes)
        return one->bytes < other->bytes ? 1 : -1;
    return strcmp(one->name, other->name);
}

/* Providers of one name are told apart by a number, as Prometheus needs it. From the last to the first: those before it
 * still have their own names. */
static void number_names(struct hri_share_content *contents, unsigned count)
{
    while (count-- > 1) {
        char name[HRI_NAME_SIZE];
        unsigned same = 0;

        for (unsigned i = 0; i < count; i++)
            same += strcmp(contents[i].name, contents[count].name) == 0;
        if (same == 0)
            continue;
        snprintf(name, sizeof(name), "%.26s#%u", contents[count].name, same + 1);
        memcpy(contents[count].name, name, sizeof(name));
    }
}

static bool read_providers(struct share_file *file)
{
    if (!share_file_read(file, seen.contents, &seen.count))
        return false;
    for (uint32_t i = 0; i < seen.count; i++) {
        struct hri_share_content *content = &seen.contents[i];
        struct hri_report *report = &seen.reports[i];

        qsort(content->names, content->name_count, sizeof(*content->names), compare_names);
        report->figures.name = content->name;
        memcpy(report->figures.of, content->of, sizeof(content->of));
        report->next_name = next_name;
        report->ctx = content;
    }
    number_names(seen.contents, seen.count);
    seen.time = file->head.time;
    return true;
}

/* What an open file has to show, also if its process is stopped. */
static bool ask_and_read(struct share_file *file)
{
    seen.fresh = share_file_ask(file, ANSWER_MS);
    if (!read_providers(file))
        return false;
    if (seen.fresh)
        return true;
    if (!share_file_lives(file))
        return false;
    snprintf(file->why, sizeof(file->why), "process %u does not answer: is it stopped?", file->pid);
    return true;
}

/* False: there is nothing to see; file->why says why. */
static bool look(struct share_file *file, uint32_t pid)
{
    bool is_shown;

    if (!share_file_open(file, pid))
        return false;
    is_shown = ask_and_read(file);
    share_file_close(file);
    return is_shown;
}

/* ---- once ---- */

static int to_stream(void *stream, const char *bytes, size_t size)
{
    return fwrite(bytes, 1, size, stream) == size ? 0 : -1;
}

static void write_json(struct hri_out *out, uint32_t pid)
{
    hri_out_string(out, "{\"pid\":");
    hri_out_number(out, pid);
    hri_out_string(out, ",\"time\":");
    hri_out_number(out, seen.time);
    hri_out_string(out, seen.fresh ? ",\"fresh\":true" : ",\"fresh\":false");
    hri_out_string(out, ",\"providers\":[");
    for (uint32_t i = 0; i < seen.count; i++) {
        hri_out_string(out, i > 0 ? "," : "");
        hri_report_json(out, &seen.reports[i]);
    }
    hri_out_string(out, "]}\n");
}

static void write_text(struct hri_out *out)
{
    for (uint32_t i = 0; i < seen.count; i++)
        hri_report_text(out, &seen.reports[i]);
    if (seen.count == 0)
        hri_out_string(out, "no provider is shown\n");
}

static enum status show_once(const struct options *options)
{
    struct share_file file;
    struct hri_out out;

    if (!look(&file, options->pid)) {
        fprintf(stderr, "harena-stat: %s\n", file.why);
        return NOT_SHOWN;
    }
    if (!seen.fresh)
        fprintf(stderr, "harena-stat: %s These figures are older.\n", file.why);
    hri_out_init(&out, to_stream, stdout);
    if (options->format == HARENA_JSON)
        write_json(&out, options->pid);
    else if (options->format == HARENA_PROMETHEUS)
        hri_report_prometheus(&out, seen.reports, seen.count);
    else
        write_text(&out);
    if (hri_out_finish(&out) != 0 || fflush(stdout) != 0) {
        fprintf(stderr, "harena-stat: cannot write: %s\n", strerror(errno));
        return NOT_SHOWN;
    }
    return SHOWN;
}

/* ---- live ---- */

static int to_screen(void *unused, const char *bytes, size_t size)
{
    (void)unused;
    screen_add(bytes, size);
    return 0;
}

static void draw(const struct share_file *file)
{
    time_t seconds = (time_t)(seen.time / 1000);
    struct hri_out out;
    struct tm broken;
    char line[900];

    strftime(line, sizeof(line), "%H:%M:%S", localtime_r(&seconds, &broken));
    hri_out_init(&out, to_screen, NULL);
    hri_out_string(&out, "harena-stat: process ");
    hri_out_number(&out, file->pid);
    hri_out_string(&out, ", ");
    hri_out_string(&out, line);
    hri_out_string(&out, "; q ends\n");
    hri_out_string(&out, seen.fresh ? "" : file->why);
    hri_out_string(&out, "\n");
    write_text(&out);
    hri_out_finish(&out);
    screen_show();
}

static enum status show_live(const struct options *options)
{
    struct share_file file;
    bool lives = look(&file, options->pid);

    if (lives && screen_begin()) {
        do
            draw(&file);
        while (!screen_wait(REFRESH_MS) && (lives = look(&file, options->pid)));
        screen_end();
    }
    if (!lives)
        fprintf(stderr, "harena-stat: %s\n", file.why);
    return lives ? SHOWN : NOT_SHOWN;
}

/* ---- options ---- */

static const char usage[] = "usage: harena-stat [--once | --json | --prometheus] PID\n"
                            "Shows the memory of a process that uses Harena and shows its figures: "
                            "by HARENA_STAT=1 in its\n"
                            "environment, or by calling harena_stat_share().\n"
                            "  --once         text, once (also if the output is no terminal)\n"
                            "  --json         one line of JSON\n"
                            "  --prometheus   Prometheus's text format\n"
                            "  --version, --help\n";

static bool read_pid(const char *text, uint32_t *pid)
{
    char *end;
    unsigned long number;

    errno = 0;
    number = strtoul(text, &end, 10);
    *pid = (uint32_t)number;
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && number > 0 &&
           number <= INT32_MAX;
}

/* True: go on; else *status is how to end. */
static bool read_options(int argc, char **argv, struct options *options, enum status *status)
{
    *options = (struct options){.once = !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)};
    *status = SHOWN;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return fputs(usage, stdout), false;
        if (strcmp(argv[i], "--version") == 0)
            return puts("harena-stat " PACKAGE_VERSION), false;
        if (strcmp(argv[i], "--once") == 0) {
            options->once = true;
        } else if (strcmp(argv[i], "--json") == 0 && options->format == HARENA_TEXT) {
            options->format = HARENA_JSON;
        } else if (strcmp(argv[i], "--prometheus") == 0 && options->format == HARENA_TEXT) {
            options->format = HARENA_PROMETHEUS;
        } else if (options->pid != 0 || !read_pid(argv[i], &options->pid)) {
            options->pid = 0;
            break;
        }
    }
    if (options->pid != 0)
        return true;
    fputs(usage, stderr);
    *status = WRONG_USE;
    return false;
}

int main(int argc, char **argv)
{
    struct options options;
    enum status status;

    if (!read_options(argc, argv, &options, &status))
        return status;
    if (options.once || options.format != HARENA_TEXT)
        return show_once(&options);
    return show_live(&options);
}
