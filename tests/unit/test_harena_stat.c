/* SPDX-License-Identifier: BSD-2-Clause */
/* The program harena-stat against a process that shows its figures, and against files that should not be trusted. The
 * process is this program with the argument "child". */
#define _GNU_SOURCE 1 /* pipe2 */
#include "unit.h"

#include "share_format.h"

#include <cJSON.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <utmp.h>

#define STAT_PROGRAM "tools/harena-stat"

static char directory[64];
static char program[512];

/* ---- the process that is looked at ---- */

static int to_stream(void *stream, const char *bytes, size_t size)
{
    return fwrite(bytes, 1, size, stream) == size ? 0 : -1;
}

/* What it has: two providers, arenas of several names. */
static harena_provider *make_world(void)
{
    static const char *const names[] = {"request", "index", "quote\"\n\x1b[31m", "request"};
    harena_provider *provider = provider_of(64 * MIB, 48 * MIB, NULL);
    harena_options options = HARENA_OPTIONS_INIT;

    for (size_t i = 0; i < 4; i++) {
        options.provider = i % 2 == 0 ? NULL : provider;
        options.name = names[i];
        EXPECT(hidden(harena_alloc(SUCCEEDS(harena_create(&options)), (i + 1) * 100000)) != 0);
    }
    return provider;
}

static int child_main(void)
{
    harena_provider *providers[2] = {harena_provider_default(), NULL};
    char command[32];

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* when a test fails */
    setvbuf(stdin, NULL, _IONBF, 0);  /* what follows "exec" is for another program */
    providers[1] = make_world();
    for (int i = 0; i < 2; i++)
        if (getenv("HARENA_STAT") == NULL && harena_stat_share(providers[i]) != 0)
            return 1;
    do {
        for (int i = 0; i < 2; i++) {
            harena_stats_write(providers[i], HARENA_JSON, to_stream, stdout);
            putchar('\n');
        }
        fflush(stdout);
        if (fgets(command, sizeof command, stdin) == NULL)
            return 0;
        if (strcmp(command, "exec\n") == 0)
            execlp("cat", "cat", (char *)NULL);
        if (strcmp(command, "twin\n") == 0)
            EXPECT(harena_stat_share(provider_of(64 * MIB, 0, NULL)) == 0);
        if (strcmp(command, "more\n") == 0)
            EXPECT(hidden(harena_alloc(arena_of(providers[1], 0), 1000)) != 0);
    } while (strcmp(command, "end\n") != 0);
    return 0;
}

struct child {
    pid_t pid;
    FILE *to, *from;
    char figures[2][16384]; /* what it says of its providers */
};

static void read_figures(struct child *child)
{
    for (int i = 0; i < 2; i++)
        ck_assert_ptr_nonnull(fgets(child->figures[i], sizeof child->figures[i], child->from));
}

static void start_child(struct child *child)
{
    char self[4096] = "";
    int to[2], from[2];

    ck_assert_int_eq(pipe2(to, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(from, O_CLOEXEC), 0);
    /* By its path: /proc/self/exe is Valgrind where that runs it. */
    ck_assert_int_gt(readlink("/proc/self/exe", self, sizeof self - 1), 0);
    child->pid = fork();
    if (child->pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execl(self, "test_harena_stat", "child", (char *)NULL);
        _exit(127);
    }
    ck_assert_int_gt(child->pid, 0);
    close(to[0]);
    close(from[1]);
    child->to = fdopen(to[1], "w");
    child->from = fdopen(from[0], "r");
    read_figures(child);
}

static void tell(struct child *child, const char *command)
{
    fprintf(child->to, "%s\n", command);
    fflush(child->to);
}

static void stop_child(struct child *child)
{
    int status;

    ck_assert_int_eq(kill(child->pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(child->pid, &status, WUNTRACED), child->pid);
    ck_assert(WIFSTOPPED(status));
}

static void end_child(struct child *child, int signal)
{
    int status = -1;

    if (signal != 0)
        kill(child->pid, signal);
    fclose(child->to);
    ck_assert_int_eq(waitpid(child->pid, &status, 0), child->pid);
    ck_assert_int_eq(signal == 0 ? WEXITSTATUS(status) : WTERMSIG(status), signal);
    fclose(child->from);
}

static const char *file_of(const struct child *child)
{
    static char path[512];
    DIR *entries = opendir(directory);
    const struct dirent *entry;
    char prefix[32];

    ck_assert_ptr_nonnull(entries);
    snprintf(prefix, sizeof prefix, "harena-%d-", (int)child->pid);
    path[0] = '\0';
    while ((entry = readdir(entries)) != NULL)
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
    closedir(entries);
    ck_assert_str_ne(path, "");
    return path;
}

/* ---- running the program ---- */

struct answer {
    int status; /* exit status */
    char out[1 << 20], err[2048];
};

static size_t read_all(int fd, char *to, size_t size)
{
    size_t used = 0;
    ssize_t n;

    while ((n = read(fd, to + used, size - 1 - used)) > 0)
        used += (size_t)n;
    to[used] = '\0';
    close(fd);
    return used;
}

static pid_t start_stat(const char *option, const char *operand, int *out, int *err)
{
    int outs[2], errs[2];
    pid_t pid;

    ck_assert_int_eq(pipe2(outs, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(errs, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        dup2(outs[1], 1);
        dup2(errs[1], 2);
        execl(program, "harena-stat", option != NULL ? option : operand,
              option != NULL ? operand : NULL, (char *)NULL);
        _exit(127);
    }
    ck_assert_int_gt(pid, 0);
    close(outs[1]);
    close(errs[1]);
    *out = outs[0];
    *err = errs[0];
    return pid;
}

static const struct answer *finish_stat(pid_t pid, int out, int err)
{
    static struct answer answer;
    int status = -1;

    read_all(out, answer.out, sizeof answer.out); /* it says little on the other one */
    read_all(err, answer.err, sizeof answer.err);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "harena-stat ended by signal %d", WTERMSIG(status));
    answer.status = WEXITSTATUS(status);
    return &answer;
}

static const struct answer *run_stat(const char *option, const char *operand)
{
    int out, err;
    pid_t pid = start_stat(option, operand, &out, &err);

    return finish_stat(pid, out, err);
}

static const char *number(pid_t pid)
{
    static char text[16];

    snprintf(text, sizeof text, "%d", (int)pid);
    return text;
}

/* It says why on standard error, nothing on standard output, and fails. */
static void refuses(const struct child *child, const char *why)
{
    const struct answer *answer = run_stat("--json", number(child->pid));

    ck_assert_msg(answer->status == 1 && strstr(answer->err, why) != NULL && answer->out[0] == '\0',
                  "status %d, \"%s\" instead of \"%s\"", answer->status, answer->err, why);
}

/* ---- comparing ---- */

static const cJSON *item(const cJSON *object, const char *key)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, key);

    ck_assert_msg(found != NULL, "no %s", key);
    return found;
}

static const cJSON *named(const cJSON *array, const char *key, const char *name)
{
    const cJSON *each;

    cJSON_ArrayForEach(each,
                       array) if (strcmp(item(each, key)->valuestring, name) == 0) return each;
    ck_abort_msg("nothing has the %s %s", key, name);
    return NULL;
}

/* The same numbers and the same names, in any order. */
static void same_figures(const cJSON *one, const cJSON *other)
{
    const cJSON *field, *name;

    cJSON_ArrayForEach(field, one)
    {
        if (cJSON_IsNumber(field))
            ck_assert_msg(field->valuedouble == item(other, field->string)->valuedouble,
                          "%s: %.0f and %.0f", field->string, field->valuedouble,
                          item(other, field->string)->valuedouble);
    }
    ck_assert_int_eq(cJSON_GetArraySize(one), cJSON_GetArraySize(other));
    if (cJSON_GetObjectItemCaseSensitive(one, "names") == NULL)
        return;
    ck_assert_int_eq(cJSON_GetArraySize(item(one, "names")),
                     cJSON_GetArraySize(item(other, "names")));
    cJSON_ArrayForEach(name, item(one, "names"))
        same_figures(name, named(item(other, "names"), "name", item(name, "name")->valuestring));
}

static cJSON *json_of(const struct answer *answer)
{
    cJSON *json = cJSON_Parse(answer->out);

    ck_assert_msg(answer->status == 0 && json != NULL, "status %d: %s%s", answer->status,
                  answer->out, answer->err);
    return json;
}

static void shows_the_real_figures(const struct child *child)
{
    cJSON *json = json_of(run_stat("--json", number(child->pid)));
    const cJSON *providers = item(json, "providers");

    ck_assert_int_eq((int)item(json, "pid")->valuedouble, child->pid);
    ck_assert(cJSON_IsTrue(item(json, "fresh")));
    ck_assert_int_eq(cJSON_GetArraySize(providers), 2);
    for (int i = 0; i < 2; i++) {
        cJSON *real = cJSON_Parse(child->figures[i]);

        ck_assert_ptr_nonnull(real);
        same_figures(real, named(providers, "provider", item(real, "provider")->valuestring));
        cJSON_Delete(real);
    }
    cJSON_Delete(json);
}

/* ---- the tests ---- */

static void make_directory(void)
{
    const char *builddir = getenv("top_builddir");

    strcpy(directory, "/tmp/harena-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", directory, 1), 0);
    unsetenv("HARENA_STAT");
    snprintf(program, sizeof program, "%s/" STAT_PROGRAM, builddir != NULL ? builddir : ".");
    ck_assert_msg(access(program, X_OK) == 0, "no program %s", program);
}

static void remove_directory(void)
{
    DIR *entries = opendir(directory);
    const struct dirent *entry;
    char path[512];

    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        unlink(path);
    }
    closedir(entries);
    rmdir(directory);
}

START_TEST(json_shows_the_real_figures)
{
    struct child child;

    start_child(&child);
    shows_the_real_figures(&child);
    tell(&child, "more");
    read_figures(&child);
    shows_the_real_figures(&child);
    end_child(&child, 0);
}
END_TEST

START_TEST(the_environment_does_without_a_call)
{
    struct child child;

    setenv("HARENA_STAT", "1", 1);
    start_child(&child);
    shows_the_real_figures(&child);
    end_child(&child, 0);
}
END_TEST

START_TEST(text_and_prometheus)
{
    const struct answer *answer;
    struct child child;
    const char *head;

    start_child(&child);
    answer = run_stat("--once", number(child.pid));
    ck_assert_int_eq(answer->status, 0);
    ck_assert_ptr_nonnull(strstr(answer->out, "provider default\n"));
    ck_assert_ptr_nonnull(strstr(answer->out, "provider test\n"));
    ck_assert_ptr_nonnull(strstr(answer->out, "\n  quote\"\\x0a\\x1b[31m "));
    ck_assert_ptr_null(strchr(answer->out, '\x1b'));
    answer = run_stat(NULL, number(child.pid)); /* no terminal: once */
    ck_assert_int_eq(answer->status, 0);
    ck_assert_ptr_nonnull(strstr(answer->out, "provider test\n"));
    answer = run_stat("--prometheus", number(child.pid));
    ck_assert_int_eq(answer->status, 0);
    head = strstr(answer->out, "# TYPE harena_in_use_bytes gauge\n"); /* once, then both */
    ck_assert_ptr_nonnull(head);
    ck_assert_ptr_null(strstr(head + 1, "# TYPE harena_in_use_bytes "));
    ck_assert_ptr_nonnull(strstr(head, "\nharena_in_use_bytes{provider=\"test\"} "));
    ck_assert_ptr_nonnull(strstr(head, "\nharena_in_use_bytes{provider=\"default\"} "));
    for (int i = 0; i < 2; i++) {
        tell(&child, "twin");
        read_figures(&child);
    }
    answer = run_stat("--prometheus", number(child.pid));
    head = strstr(answer->out, "\nharena_in_use_bytes{provider=\"test\"} ");
    ck_assert_ptr_nonnull(head);
    ck_assert_ptr_null(strstr(head + 1, "\nharena_in_use_bytes{provider=\"test\"} "));
    ck_assert_ptr_nonnull(strstr(answer->out, "\nharena_in_use_bytes{provider=\"test#2\"} 0\n"));
    ck_assert_ptr_nonnull(strstr(answer->out, "\nharena_in_use_bytes{provider=\"test#3\"} 0\n"));
    end_child(&child, 0);
}
END_TEST

START_TEST(wrong_use_is_told)
{
    static const char *const wrong[][2] = {{"--once", NULL},     {NULL, NULL},
                                           {"--json", "x"},      {"--what", "1"},
                                           {NULL, "-1"},         {NULL, "0"},
                                           {NULL, "1x"},         {"12", "13"},
                                           {NULL, "4294967296"}, {"--json", "--prometheus"}};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const struct answer *answer = run_stat(wrong[i][0], wrong[i][1]);

        ck_assert_int_eq(answer->status, 2);
        ck_assert_ptr_nonnull(strstr(answer->err, "usage: harena-stat"));
    }
    ck_assert_ptr_nonnull(strstr(run_stat("--help", NULL)->out, "usage: harena-stat"));
    ck_assert_int_eq(strncmp(run_stat("--version", NULL)->out, "harena-stat ", 12), 0);
}
END_TEST

START_TEST(who_shows_nothing)
{
    struct child self = {.pid = getpid()}, nobody;

    refuses(&self, "shows nothing: it has to run with HARENA_STAT=1");
    start_child(&nobody);
    end_child(&nobody, 0);
    refuses(&nobody, "there is no process");
}
END_TEST

/* Killed, a process leaves its file. */
START_TEST(a_stale_file_is_told)
{
    struct child child;

    start_child(&child);
    file_of(&child);
    end_child(&child, SIGKILL);
    refuses(&child, "is stale: the process that made it has ended");
}
END_TEST

/* The number and the beginning of a process stay when it runs another program; what it has mapped does not. */
START_TEST(another_program_of_the_process)
{
    struct child child;
    char line[16];

    start_child(&child);
    tell(&child, "exec");
    tell(&child, "cat"); /* that one answers */
    ck_assert_ptr_nonnull(fgets(line, sizeof line, child.from));
    ck_assert_str_eq(line, "cat\n");
    refuses(&child, "runs another program by now");
    end_child(&child, 0);
}
END_TEST

START_TEST(a_file_that_others_may_use)
{
    static const mode_t modes[] = {0604, 0602, 0640, 0660, 0601};
    struct child child;

    start_child(&child);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        ck_assert_int_eq(chmod(file_of(&child), modes[i]), 0);
        refuses(&child, "is not trusted: others than its owner");
    }
    ck_assert_int_eq(chmod(file_of(&child), 0600), 0);
    shows_the_real_figures(&child);
    if (geteuid() == 0) { /* who else may give a file away */
        ck_assert_int_eq(chown(file_of(&child), 65534, 65534), 0);
        refuses(&child, "its owner is not the user of process");
    } else {
        puts("a_file_that_others_may_use: the owner was not tried, that needs root");
    }
    end_child(&child, 0);
}
END_TEST

/* Moves the file aside and puts something else in its place. */
static const char *moved(const struct child *child)
{
    static char aside[600];

    snprintf(aside, sizeof aside, "%s.aside", file_of(child));
    ck_assert_int_eq(rename(file_of(child), aside), 0);
    return aside;
}

START_TEST(no_link_is_followed)
{
    char path[512];
    struct child child;

    start_child(&child);
    strcpy(path, file_of(&child));
    ck_assert_int_eq(symlink(moved(&child), path), 0);
    refuses(&child, "symbolic link");
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    refuses(&child, "no regular file");
    unlink(path);
    end_child(&child, 0);
}
END_TEST

static void write_at(const char *path, off_t at, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    ck_assert_int_eq(pwrite(fd, bytes, size, at), (ssize_t)size);
    close(fd);
}

/* A copy is a file of the right name and contents that the process knows nothing of. */
START_TEST(a_copy_is_not_the_file)
{
    static char bytes[8 * HRI_SHARE_SECTION];
    char path[512];
    struct child child;
    size_t size;

    start_child(&child);
    strcpy(path, file_of(&child));
    size = read_all(open(moved(&child), O_RDONLY), bytes, sizeof bytes);
    write_at(path, 0, bytes, size);
    refuses(&child, "runs another program by now");
    end_child(&child, 0);
}
END_TEST

START_TEST(a_file_that_is_none)
{
    const uint32_t other_version = 77, other_pid = 1;
    struct child child;
    char path[512];

    start_child(&child);
    stop_child(&child);
    strcpy(path, file_of(&child));
    write_at(path, offsetof(struct hri_share_head, pid), &other_pid, 4);
    refuses(&child, "is of another process (1)");
    write_at(path, offsetof(struct hri_share_head, version), &other_version, 4);
    refuses(&child, "is of another version of Harena (77");
    write_at(path, 0, "what", 4);
    refuses(&child, "is no file of Harena's");
    ck_assert_int_eq(truncate(path, 100), 0);
    refuses(&child, "is no file of Harena's: too short");
    end_child(&child, SIGKILL);
}
END_TEST

/* A file of two providers is as long as that: one that is cut short is not taken for one of fewer, and no more is read
 * of a long one than there can be. */
START_TEST(a_file_of_a_wrong_length)
{
    const off_t one = HRI_SHARE_HEAD + HRI_SHARE_SECTION;
    struct child child;
    char path[512];

    start_child(&child);
    stop_child(&child);
    strcpy(path, file_of(&child));
    ck_assert_int_eq(truncate(path, (off_t)(64 * GIB)), 0);
    refuses(&child, "is no file of Harena's: too long");
    ck_assert_int_eq(truncate(path, one + 100), 0);
    refuses(&child, "is no file of Harena's: too short for the 2 providers");
    ck_assert_int_eq(truncate(path, (off_t)HRI_SHARE_HEAD), 0);
    refuses(&child, "is no file of Harena's: too short for the 2 providers");
    end_child(&child, SIGKILL);
}
END_TEST

enum {
    TRIES = 10
}; /* of what takes longer than the second that harena-stat waits, if the machine is slow */

/* Waits until harena-stat has asked, which it does when it has found the file good. */
static void await_request(const char *path, uint32_t before)
{
    uint32_t now = before;
    int fd = open(path, O_RDONLY);

    ck_assert_int_ge(fd, 0);
    while (now == before) {
        usleep(1000);
        ck_assert_int_eq(
            pread(fd, &now, sizeof now, (off_t)offsetof(struct hri_share_head, request)),
            sizeof now);
    }
    close(fd);
}

/* Cuts the file between harena-stat's readings, while it waits for a process that is stopped. NULL: the second that it
 * waits was over before, which only the machine can help. */
static const struct answer *cut_while_asked(off_t size)
{
    const struct answer *answer;
    struct child child;
    char path[512];
    int out, err;
    pid_t stat;

    start_child(&child);
    stop_child(&child); /* before anybody has asked it */
    strcpy(path, file_of(&child));
    stat = start_stat("--json", number(child.pid), &out, &err);
    await_request(path, 0);
    ck_assert_int_eq(truncate(path, size), 0);
    answer = finish_stat(stat, out, err);
    end_child(&child, SIGKILL);
    return answer->status != 0 ? answer : NULL;
}

START_TEST(a_file_that_is_cut_while_it_is_read)
{
    static const off_t sizes[] = {0, HRI_SHARE_HEAD, HRI_SHARE_HEAD + HRI_SHARE_SECTION + 100};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const struct answer *answer = NULL;

        for (int tries = 0; tries < TRIES && answer == NULL; tries++)
            answer = cut_while_asked(sizes[i]);
        ck_assert_msg(answer != NULL, "what is cut to %jd bytes is shown", (intmax_t)sizes[i]);
        ck_assert_int_eq(answer->status, 1);
        ck_assert_ptr_nonnull(strstr(answer->err, "is no file of Harena's: too short"));
        ck_assert_str_eq(answer->out, "");
    }
}
END_TEST

/* Counts, names and sections that lie lead nowhere. */
START_TEST(what_the_file_says_is_not_believed)
{
    const uint64_t many = UINT64_MAX;
    const uint32_t two = 2;
    const off_t section = (off_t)HRI_SHARE_HEAD;
    char names[HRI_NAME_SIZE];
    struct child child;
    char path[512];
    cJSON *json;

    start_child(&child);
    stop_child(&child);
    strcpy(path, file_of(&child));
    memset(names, '\xff', sizeof names);
    write_at(path, offsetof(struct hri_share_head, sections), &many, 4);
    refuses(&child, "too short for the 4294967295 providers it tells of");
    write_at(path, offsetof(struct hri_share_head, sections), &two, 4);
    write_at(path, section + 8 + (off_t)offsetof(struct hri_share_content, name_count), &many, 8);
    write_at(path, section + 8 + (off_t)offsetof(struct hri_share_content, name), names,
             sizeof names);
    write_at(path, section + 8 + (off_t)offsetof(struct hri_share_content, names), names,
             sizeof names);
    json = json_of(run_stat("--json", number(child.pid)));
    ck_assert(cJSON_IsFalse(item(json, "fresh")));
    ck_assert_int_eq(cJSON_GetArraySize(item(json, "providers")), 2);
    ck_assert_str_eq(item(cJSON_GetArrayItem(item(json, "providers"), 0), "provider")->valuestring,
                     "???????????????????????????????");
    cJSON_Delete(json);
    ck_assert_int_eq(run_stat("--once", number(child.pid))->status, 0);
    ck_assert_int_eq(run_stat("--prometheus", number(child.pid))->status, 0);
    end_child(&child, SIGKILL);
}
END_TEST

/* A process that is stopped, also in the middle of writing: what it wrote last is shown, and that it is old. */
START_TEST(a_stopped_process_is_told)
{
    const struct answer *answer;
    const uint64_t odd = 3;
    struct child child;
    cJSON *json;

    start_child(&child);
    shows_the_real_figures(&child);
    stop_child(&child);
    answer = run_stat("--json", number(child.pid));
    ck_assert_ptr_nonnull(strstr(answer->err, "does not answer: is it stopped?"));
    json = json_of(answer);
    ck_assert(cJSON_IsFalse(item(json, "fresh")));
    ck_assert_int_eq(cJSON_GetArraySize(item(json, "providers")), 2);
    cJSON_Delete(json);
    write_at(file_of(&child), (off_t)HRI_SHARE_HEAD, &odd, 8);
    json = json_of(run_stat("--json", number(child.pid)));
    ck_assert_int_eq(cJSON_GetArraySize(item(json, "providers")), 1);
    cJSON_Delete(json);
    end_child(&child, SIGKILL);
}
END_TEST

/* harena-stat has asked, and waits for the answer. NULL: as cut_while_asked. */
static const struct answer *end_while_asked(void)
{
    const struct answer *answer;
    struct child child;
    int out, err;
    pid_t stat;

    start_child(&child);
    stop_child(&child);
    stat = start_stat("--json", number(child.pid), &out, &err);
    await_request(file_of(&child), 0);
    end_child(&child, SIGKILL);
    answer = finish_stat(stat, out, err);
    return answer->status != 0 ? answer : NULL;
}

START_TEST(a_process_that_dies_while_it_is_asked)
{
    const struct answer *answer = NULL;

    for (int i = 0; i < TRIES && answer == NULL; i++)
        answer = end_while_asked();
    ck_assert_ptr_nonnull(answer);
    ck_assert_int_eq(answer->status, 1);
    ck_assert_ptr_nonnull(strstr(answer->err, "has ended"));
    ck_assert_str_eq(answer->out, "");
}
END_TEST

/* ---- live ---- */

/* Reads from the terminal until the text is there. */
static void await(int terminal, char *seen, size_t size, const char *text)
{
    size_t used = strlen(seen);
    struct pollfd ready = {.fd = terminal, .events = POLLIN};
    time_t until = time(NULL) + 30;

    while (strstr(seen, text) == NULL) {
        ssize_t n;

        ck_assert_msg(time(NULL) < until && poll(&ready, 1, 30000) == 1, "no \"%s\" in \"%s\"",
                      text, seen);
        n = read(terminal, seen + used, size - 1 - used);
        ck_assert_msg(n > 0, "no \"%s\" in \"%s\"", text, seen);
        used += (size_t)n;
        seen[used] = '\0';
    }
}

/* Ctrl-C, again after each picture that still comes: ThreadSanitizer puts signals off, at times for good. */
static void interrupt(int terminal, char *seen, size_t size)
{
    for (char *from = seen; strstr(seen, "\x1b[?1049l") == NULL; from = seen + strlen(seen)) {
        ck_assert_int_eq(write(terminal, "\x03", 1), 1);
        await(terminal, from, size - (size_t)(from - seen), "\x1b[");
    }
}

/* *before, if it is wanted: how the terminal was. Where Ctrl-C does not flush: that throws away what the program has written
 * and nobody has read, the end of it too. */
static pid_t start_live(const struct child *child, int *terminal, const struct winsize *size,
                        struct termios *before)
{
    struct termios modes;
    int end;
    pid_t pid;

    ck_assert_int_eq(openpty(terminal, &end, NULL, NULL, size), 0);
    ck_assert_int_eq(tcgetattr(end, &modes), 0);
    modes.c_lflag |= NOFLSH;
    ck_assert_int_eq(tcsetattr(end, TCSANOW, &modes), 0);
    if (before != NULL)
        *before = modes;
    pid = fork();
    if (pid == 0) {
        close(*terminal);
        if (login_tty(end) == 0)
            execl(program, "harena-stat", number(child->pid), (char *)NULL);
        _exit(127);
    }
    ck_assert_int_gt(pid, 0);
    close(end);
    return pid;
}

static int exit_status(pid_t pid)
{
    int status = -1;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

START_TEST(live_until_q)
{
    const struct winsize size = {.ws_row = 40, .ws_col = 100};
    static char seen[1 << 20];
    struct termios before, after;
    struct child child;
    int terminal;
    pid_t live;

    start_child(&child);
    live = start_live(&child, &terminal, &size, &before);
    await(terminal, seen, sizeof seen, "\x1b[?1049h");
    await(terminal, seen, sizeof seen, "provider test");
    await(terminal, seen, sizeof seen, "\x1b[J"); /* one picture is complete */
    tell(&child, "more");
    read_figures(&child);
    await(terminal, seen, sizeof seen, "  arena  "); /* and there is another one with what is new */
    ck_assert_int_eq(write(terminal, "q", 1), 1);
    await(terminal, seen, sizeof seen, "\x1b[?1049l");
    ck_assert_int_eq(exit_status(live), 0);
    ck_assert_int_eq(tcgetattr(terminal, &after), 0);
    ck_assert_uint_eq(after.c_lflag, before.c_lflag);
    end_child(&child, 0);
}
END_TEST

START_TEST(live_until_ctrl_c_and_no_wider_than_the_terminal)
{
    const struct winsize size = {.ws_row = 5, .ws_col = 20};
    static char seen[1 << 20];
    struct child child;
    unsigned column = 0, lines = 0;
    char *at;
    int terminal;
    pid_t live;

    start_child(&child);
    live = start_live(&child, &terminal, &size, NULL);
    await(terminal, seen, sizeof seen, "\x1b[J");
    interrupt(terminal, seen, sizeof seen);
    ck_assert_int_eq(exit_status(live), 0);
    *strstr(seen, "\x1b[J") = '\0';
    for (at = strstr(seen, "\x1b[H") + 3; *at != '\0'; at++) {
        if (*at == '\x1b')
            at += 2; /* [K */
        else if (*at == '\n')
            lines++, column = 0;
        else if (*at != '\r')
            ck_assert_uint_le(++column, 20);
    }
    ck_assert_uint_eq(lines, 4);
    end_child(&child, 0);
}
END_TEST

START_TEST(live_until_the_process_ends)
{
    const struct winsize size = {.ws_row = 40, .ws_col = 100};
    static char seen[1 << 20];
    struct child child;
    int terminal;
    pid_t live;

    start_child(&child);
    live = start_live(&child, &terminal, &size, NULL);
    await(terminal, seen, sizeof seen, "provider test");
    end_child(&child, SIGKILL);
    await(terminal, seen, sizeof seen, "\x1b[?1049l");
    await(terminal, seen, sizeof seen, "has ended");
    ck_assert_int_eq(exit_status(live), 1);
}
END_TEST

static int tests_main(void);

int main(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], "child") == 0 ? child_main() : tests_main();
}

#define main tests_main
static RUN_TESTS_AROUND("harena_stat", make_directory, remove_directory,
                        json_shows_the_real_figures, the_environment_does_without_a_call,
                        text_and_prometheus, wrong_use_is_told, who_shows_nothing,
                        a_stale_file_is_told, another_program_of_the_process,
                        a_file_that_others_may_use, no_link_is_followed, a_copy_is_not_the_file,
                        a_file_that_is_none, a_file_of_a_wrong_length,
                        a_file_that_is_cut_while_it_is_read, what_the_file_says_is_not_believed,
                        a_stopped_process_is_told, a_process_that_dies_while_it_is_asked,
                        live_until_q, live_until_ctrl_c_and_no_wider_than_the_terminal,
                        live_until_the_process_ends)
