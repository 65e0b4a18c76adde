/* SPDX-License-Identifier: BSD-2-Clause */
/* The file in which a process shows its figures: when it is there, whose it is, what threads and forks do to it. Each
 * test is a process of its own with a directory of its own. */
#include "../support/threads.h"
#include "unit.h"

#include "process.h"
#include "share_format.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char directory[64];

static void make_directory(void)
{
    strcpy(directory, "/tmp/harena-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", directory, 1), 0);
    unsetenv("HARENA_STAT");
}

/* How many files are there; the path of the last one. */
static unsigned files_in(const char *where, const char *prefix, char path[512])
{
    DIR *entries = opendir(where);
    const struct dirent *entry;
    unsigned count = 0;

    ck_assert_ptr_nonnull(entries);
    while ((entry = readdir(entries)) != NULL)
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
            snprintf(path, 512, "%s/%s", where, entry->d_name);
            count++;
        }
    closedir(entries);
    return count;
}

static const char *only_file(void)
{
    static char path[512];

    ck_assert_uint_eq(files_in(directory, "harena-", path), 1);
    return path;
}

static unsigned no_files(void)
{
    char path[512];

    return files_in(directory, "harena-", path);
}

static void remove_directory(void)
{
    char path[512];

    while (files_in(directory, "harena-", path) != 0)
        unlink(path);
    rmdir(directory);
}

static int file; /* as another process has it open */

/* The same, mapped. */
static struct hri_share_head *mapped(size_t *bytes)
{
    struct stat status;
    void *at;

    file = open(only_file(), O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(fstat(file, &status), 0);
    *bytes = (size_t)status.st_size;
    at = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ck_assert_ptr_ne(at, MAP_FAILED);
    return at;
}

static struct hri_share_section *section_of(struct hri_share_head *head, uint32_t index)
{
    return (void *)((char *)head + HRI_SHARE_HEAD + index * HRI_SHARE_SECTION);
}

static struct hri_share_head head_now(void)
{
    struct hri_share_head head;

    EXPECT(hri_share_read_head(file, &head));
    return head;
}

/* Asks until the thread has answered. */
static void ask(struct hri_share_head *head)
{
    struct hri_share_head seen;
    uint32_t request;

    EXPECT(hri_process_raise(&head->request) == 0);
    request = head_now().request;
    while (seen = head_now(), !hri_share_is_answered(&seen, request))
        hri_process_wait(&head->answer, seen.answer, 1000);
}

static struct hri_share_content content;

static void read_whole(uint32_t index)
{
    enum hri_share_seen seen;

    while ((seen = hri_share_read(file, index, &content)) != HRI_SHARE_WHOLE)
        EXPECT(seen == HRI_SHARE_BUSY);
}

static const struct hri_share_content *fresh(struct hri_share_head *head, uint32_t index)
{
    ask(head);
    read_whole(index);
    return &content;
}

/* ---- the file ---- */

START_TEST(the_file_is_the_users_alone)
{
    char name[128];
    struct stat status;
    const char *path;

    umask(0);
    QUIETLY(ck_assert_int_eq(harena_stat_share(NULL), 0));
    path = only_file();
    snprintf(name, sizeof name, "%s/harena-%u-%llu", directory, (unsigned)getpid(),
             (unsigned long long)hri_process_start((uint32_t)getpid()));
    ck_assert_str_eq(path, name);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert(S_ISREG(status.st_mode));
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    ck_assert_uint_eq(status.st_size, HRI_SHARE_HEAD + HRI_SHARE_SECTION);
    ck_assert_int_eq(harena_stat_share(harena_provider_default()), 0); /* again: nothing */
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_size, HRI_SHARE_HEAD + HRI_SHARE_SECTION);
}
END_TEST

START_TEST(figures_are_those_of_the_moment)
{
    harena_provider *provider = provider_of(64 * MIB, 32 * MIB, NULL);
    struct hri_share_head *head;
    const struct hri_share_content *c;
    harena *arena;
    size_t bytes;

    ck_assert_int_eq(harena_stat_share(provider), 0);
    head = mapped(&bytes);
    ck_assert_int_eq(memcmp(head->magic, HRI_SHARE_MAGIC, 8), 0);
    ck_assert_uint_eq(head->version, HRI_SHARE_VERSION);
    ck_assert_uint_eq(head->pid, (unsigned)getpid());
    ck_assert_uint_eq(head->sections, 1);
    read_whole(0); /* also before anybody asks */
    ck_assert_str_eq(content.name, "test");
    ck_assert_uint_eq(content.of[HRI_LIMIT], 32 * MIB);
    ck_assert_uint_eq(content.of[HRI_IN_USE], 0);
    for (unsigned i = 1; i <= 20; i++) {
        harena_options options = HARENA_OPTIONS_INIT;

        options.provider = provider;
        options.name = "request";
        arena = SUCCEEDS(harena_create(&options));
        EXPECT(hidden(harena_alloc(arena, i * CHUNK)) != 0);
        c = fresh(head, 0);
        ck_assert_uint_eq(c->used, 1);
        ck_assert_uint_eq(c->of[HRI_IN_USE], stats_of(provider).in_use);
        ck_assert_uint_eq(c->of[HRI_COMMITTED], stats_of(provider).committed);
        ck_assert_uint_eq(c->of[HRI_GETS], stats_of(provider).gets);
        ck_assert_uint_eq(c->of[HRI_ARENAS], 1);
        ck_assert_uint_eq(c->name_count, 1);
        ck_assert_str_eq(c->names[0].name, "request");
        ck_assert_uint_eq(c->names[0].bytes, harena_cap(arena));
        ck_assert_uint_eq(c->names[0].made, i);
        harena_release(arena);
    }
    ends_clean(provider);
}
END_TEST

/* Nothing is written while nobody asks. */
START_TEST(who_does_not_ask_costs_nothing)
{
    struct hri_share_head *head;
    uint64_t sequence;
    size_t bytes;

    ck_assert_int_eq(harena_stat_share(NULL), 0);
    head = mapped(&bytes);
    ask(head);
    sequence = section_of(head, 0)->sequence;
    for (int i = 0; i < 1000; i++)
        harena_release(arena_of(NULL, 0));
    usleep(100000);
    ck_assert_uint_eq(section_of(head, 0)->sequence, sequence);
    ask(head);
    ck_assert_uint_eq(section_of(head, 0)->sequence, sequence + 2);
}
END_TEST

START_TEST(a_directory_of_others_is_not_used)
{
    char path[512], prefix[32];

    setenv("XDG_RUNTIME_DIR", "/tmp/harena-test-nowhere", 1);
    snprintf(prefix, sizeof prefix, "harena-%u-", (unsigned)getpid());
    if (access("/dev/shm", W_OK) != 0)
        return;
    ck_assert_int_eq(harena_stat_share(NULL), 0);
    ck_assert_uint_eq(files_in("/dev/shm", prefix, path), 1);
    ck_assert_uint_eq(no_files(), 0);
    unlink(path);
}
END_TEST

/* What lies in the way is replaced if it is a file of the user's. */
START_TEST(what_an_earlier_program_left_is_replaced)
{
    char name[128];
    struct stat status;
    int fd;

    snprintf(name, sizeof name, "%s/harena-%u-%llu", directory, (unsigned)getpid(),
             (unsigned long long)hri_process_start((uint32_t)getpid()));
    fd = open(name, O_WRONLY | O_CREAT, 0644);
    ck_assert_int_eq(write(fd, "old", 3), 3);
    close(fd);
    ck_assert_int_eq(harena_stat_share(NULL), 0);
    ck_assert_int_eq(stat(name, &status), 0);
    ck_assert_uint_eq(status.st_size, HRI_SHARE_HEAD + HRI_SHARE_SECTION);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
}
END_TEST

START_TEST(no_link_is_followed)
{
    char name[128], victim[128], text[8] = "";
    int fd;

    snprintf(name, sizeof name, "%s/harena-%u-%llu", directory, (unsigned)getpid(),
             (unsigned long long)hri_process_start((uint32_t)getpid()));
    snprintf(victim, sizeof victim, "%s/victim", directory);
    fd = open(victim, O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(write(fd, "mine", 4), 4);
    ck_assert_int_eq(symlink(victim, name), 0);
    (void)harena_stat_share(NULL); /* in /dev/shm, or not at all */
    ck_assert_int_eq(pread(fd, text, 8, 0), 4);
    ck_assert_str_eq(text, "mine");
    ck_assert_int_eq(unlink(victim), 0);
}
END_TEST

/* ---- refusals ---- */

START_TEST(without_descriptors_it_fails_and_works_later)
{
    struct rlimit limit, none;
    char name[64];
    unsigned left;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    ck_assert_ptr_nonnull(harena_provider_default());
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    QUIETLY(ck_assert_int_eq(harena_stat_share(NULL), -EMFILE));
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    left = no_files();
    ck_assert_uint_eq(left, under_valgrind()); /* it makes a file before it refuses it */
    snprintf(name, sizeof name, "/dev/shm/harena-%u-0", (unsigned)getpid());
    unlink(name); /* and another one there */
    ck_assert_int_eq(harena_stat_share(NULL), 0);
    ck_assert_uint_eq(no_files(), left + 1);
}
END_TEST

START_TEST(sixty_four_providers_at_once)
{
    harena_provider *providers[HRI_SHARE_SECTIONS + 1];
    struct hri_share_head *head;
    size_t bytes;

    for (unsigned i = 0; i <= HRI_SHARE_SECTIONS; i++)
        providers[i] = provider_of(2 * MIB, 0, NULL);
    for (unsigned i = 0; i < HRI_SHARE_SECTIONS; i++)
        ck_assert_int_eq(harena_stat_share(providers[i]), 0);
    ck_assert_int_eq(harena_stat_share(providers[HRI_SHARE_SECTIONS]), -ENOSPC);
    ck_assert_int_eq(harena_stat_share(providers[7]), 0);
    ck_assert_int_eq(harena_provider_destroy(providers[7]), 0); /* its place is free */
    head = mapped(&bytes);
    ck_assert_uint_eq(bytes, HRI_SHARE_HEAD + HRI_SHARE_SECTIONS * HRI_SHARE_SECTION);
    ck_assert_uint_eq(fresh(head, 7)->used, 0);
    ck_assert_int_eq(harena_stat_share(providers[HRI_SHARE_SECTIONS]), 0);
    ck_assert_uint_eq(fresh(head, 7)->used, 1);
    for (unsigned i = 0; i <= HRI_SHARE_SECTIONS; i++)
        if (i != 7)
            ck_assert_int_eq(harena_provider_destroy(providers[i]), 0);
    for (unsigned i = 0; i < HRI_SHARE_SECTIONS; i++)
        ck_assert_uint_eq(fresh(head, i)->used, 0);
}
END_TEST

/* Its files are cancellation points, and it holds a lock meanwhile. */
static void *share_cancelled(void *provider)
{
    pthread_cancel(pthread_self());
    harena_stat_share(provider);
    pthread_testcancel();
    return NULL;
}

START_TEST(a_cancelled_thread_leaves_no_lock_taken)
{
    harena_provider *one = provider_of(2 * MIB, 0, NULL), *two = provider_of(2 * MIB, 0, NULL);
    struct stat status;
    pthread_t thread;
    void *result;

    ck_assert_int_eq(pthread_create(&thread, NULL, share_cancelled, one), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, PTHREAD_CANCELED);
    ck_assert_int_eq(harena_stat_share(two), 0);
    ck_assert_int_eq(stat(only_file(), &status), 0);
    ck_assert_uint_eq(status.st_size, HRI_SHARE_HEAD + 2 * HRI_SHARE_SECTION);
    ends_clean(one);
    ends_clean(two);
}
END_TEST

START_TEST(a_file_that_was_removed_does_not_grow)
{
    harena_provider *one = provider_of(2 * MIB, 0, NULL), *two = provider_of(2 * MIB, 0, NULL);

    ck_assert_int_eq(harena_stat_share(one), 0);
    unlink(only_file());
    ck_assert_int_eq(harena_stat_share(two), -ENOENT);
    ends_clean(one); /* its place in the file is free now */
    ck_assert_int_eq(harena_stat_share(two), -ENOENT);
    ends_clean(two);
}
END_TEST

/* ---- the environment ---- */

START_TEST(the_environment_shows_every_provider)
{
    struct hri_share_head *head;
    harena_provider *one;
    size_t bytes;

    setenv("HARENA_STAT", "1", 1);
    one = provider_of(2 * MIB, 0, NULL);
    ck_assert_ptr_nonnull(harena_provider_default());
    head = mapped(&bytes);
    ck_assert_uint_eq(head->sections, 2);
    ck_assert_str_eq(fresh(head, 0)->name, "test");
    ck_assert_str_eq(fresh(head, 1)->name, "default");
    ends_clean(one);
}
END_TEST

START_TEST(no_environment_shows_none)
{
    setenv("HARENA_STAT", "0", 1);
    ck_assert_ptr_nonnull(harena_provider_default());
    ends_clean(provider_of(2 * MIB, 0, NULL));
    ck_assert_uint_eq(no_files(), 0);
}
END_TEST

/* ---- processes ---- */

static bool is_child;

/* LeakSanitizer asks this when a process exits. It stops threads for its search, and in the child of one with threads it has
 * waited for ever. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return is_child;
}

/* Runs fn in a child and returns its exit status. */
static int in_child(void (*fn)(void))
{
    int status = -1;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        is_child = true;
        fn();
    }
    ck_assert_int_gt(child, 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "a child ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static void share_and_exit(void)
{
    char path[512];

    if (harena_stat_share(NULL) != 0 || files_in(directory, "harena-", path) == 0)
        _exit(1);
    exit(0); /* as main does */
}

START_TEST(exit_removes_the_file)
{
    ck_assert_int_eq(in_child(share_and_exit), 0);
    ck_assert_uint_eq(no_files(), 0);
}
END_TEST

static bool maps_show_a_file(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    bool found = false;

    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        found |= strstr(line, "/harena-") != NULL && strstr(line, "rw-s") != NULL;
    if (maps != NULL)
        fclose(maps);
    return found;
}

static void child_of_a_process_that_shows(void)
{
    char path[512];

    if (maps_show_a_file())
        _exit(1);
    if (harena_release(arena_of(NULL, 0)), no_files() != 1)
        _exit(2);
    if (!TEST_TSAN && (harena_stat_share(NULL) != 0 || files_in(directory, "harena-", path) != 2))
        _exit(3);
    exit(0);
}

START_TEST(a_child_shows_its_own_or_nothing)
{
    struct hri_share_head *head;
    size_t bytes;

    ck_assert_int_eq(harena_stat_share(NULL), 0);
    ck_assert(maps_show_a_file());
    head = mapped(&bytes);
    /* So its thread has begun: AddressSanitizer's locks would not survive a fork in the middle of that. */
    fresh(head, 0);
    munmap(head, bytes);
    close(file);
    ck_assert_int_eq(in_child(child_of_a_process_that_shows), 0);
    head = mapped(&bytes); /* there is one file, the parent's */
    ck_assert_uint_eq(head->pid, (unsigned)getpid());
    ck_assert_uint_eq(fresh(head, 0)->used, 1);
}
END_TEST

START_TEST(signals_are_for_the_others)
{
    DIR *tasks;
    const struct dirent *entry;
    unsigned others = 0;
    size_t bytes;

    ck_assert_int_eq(harena_stat_share(NULL), 0);
    ask(mapped(&bytes)); /* before it runs the C library blocks them all */
    tasks = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(tasks);
    while ((entry = readdir(tasks)) != NULL) {
        char path[300], line[256], name[32] = "";
        unsigned long long blocked = 0;
        FILE *status;

        snprintf(path, sizeof path, "/proc/self/task/%.32s/status", entry->d_name);
        status = fopen(path, "r");
        while (status != NULL && fgets(line, sizeof line, status) != NULL) {
            sscanf(line, "Name: %31s", name);
            sscanf(line, "SigBlk: %llx", &blocked);
        }
        if (status != NULL)
            fclose(status);
        if (strcmp(name, "harena-stat") != 0)
            continue;
        others++;
        for (int signal = 1; signal < 32; signal++)
            ck_assert_msg(signal == SIGKILL || signal == SIGSTOP || (blocked >> (signal - 1) & 1),
                          "signal %d is not blocked", signal);
    }
    closedir(tasks);
    ck_assert_uint_eq(others, 1);
}
END_TEST

/* ---- sections: no version is ever mixed with another ---- */

static struct {
    struct hri_share_section *section;
    int file;
    atomic_uint writing;
    atomic_uint read;
} race;

static void write_versions(void *ctx, unsigned index)
{
    static struct hri_share_content mine;
    uint64_t *words = (uint64_t *)(void *)&mine;

    (void)ctx, (void)index;
    for (uint64_t version = 1; version <= test_rounds(4000) || atomic_load(&race.read) < 100;
         version++) {
        for (int i = 0; i < HRI_SHARE_WORDS; i++)
            words[i] = version;
        hri_share_write(race.section, &mine);
        if (test_failed())
            break;
        if (version % 16 == 0)
            sched_yield();
    }
    atomic_store(&race.writing, 0);
}

static void read_versions(void *ctx, unsigned index)
{
    static struct hri_share_content mine[8];
    const uint64_t *words = (const uint64_t *)(const void *)&mine[index];
    uint64_t last = 0;

    (void)ctx;
    while (atomic_load(&race.writing) != 0) {
        enum hri_share_seen seen = hri_share_read(race.file, 0, &mine[index]);

        if (!TEST_EXPECT(seen != HRI_SHARE_SHORT))
            return;
        if (seen == HRI_SHARE_BUSY)
            continue;
        atomic_fetch_add(&race.read, 1);
        TEST_EXPECT(words[0] >= last);
        last = words[0];
        for (int i = 1; i < HRI_SHARE_WORDS; i++)
            if (!TEST_EXPECT_MSG(words[i] == words[0], "word %d of version %llu in version %llu", i,
                                 (unsigned long long)words[i], (unsigned long long)words[0]))
                return;
    }
}

START_TEST(a_section_is_read_whole)
{
    const test_role roles[] = {{write_versions, 1}, {read_versions, 3}, {NULL, 0}};
    const size_t bytes = HRI_SHARE_HEAD + HRI_SHARE_SECTION;
    char path[128];
    void *at;

    snprintf(path, sizeof path, "%s/harena-race", directory);
    race.file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(ftruncate(race.file, (off_t)bytes), 0);
    at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, race.file, 0);
    ck_assert_ptr_ne(at, MAP_FAILED);
    race.section = section_of(at, 0);
    atomic_store(&race.writing, 1);
    test_team(roles, NULL);
}
END_TEST

/* Threads make, show and destroy providers while others ask. */
static atomic_uint makers;

static void make_and_destroy(void *ctx, unsigned index)
{
    (void)ctx, (void)index;
    for (unsigned round = 0; round < test_rounds(60) && !test_failed(); round++) {
        harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
        harena_provider *provider;
        void *chunk;

        options.reserve = 2 * MIB;
        options.name = "short";
        provider = harena_provider_create(&options);
        if (!TEST_EXPECT(provider != NULL))
            break;
        TEST_EXPECT(harena_stat_share(provider) == 0);
        chunk = harena_chunk_get(provider);
        harena_chunk_put(provider, chunk);
        TEST_EXPECT(harena_provider_destroy(provider) == 0);
    }
    atomic_fetch_sub(&makers, 1);
}

static void ask_meanwhile(void *head, unsigned index)
{
    (void)index;
    do
        ask(head);
    while (atomic_load(&makers) != 0 && !test_failed());
}

START_TEST(providers_come_and_go_while_somebody_looks)
{
    const test_role roles[] = {{make_and_destroy, 4}, {ask_meanwhile, 2}, {NULL, 0}};
    struct hri_share_head *head;
    size_t bytes;

    ck_assert_int_eq(harena_stat_share(NULL), 0);
    head = mapped(&bytes);
    atomic_store(&makers, 4);
    test_team(roles, head);
    ck_assert_uint_le(head->sections, 5); /* places are used again */
}
END_TEST

/* ---- forks while the figures' lock is taken ---- */

static atomic_bool forking;

/* Is in the lock for most of its time: the provider is shown already, and others before it. */
static void show_again_until_told(void *provider, unsigned index)
{
    (void)index;
    while (atomic_load(&forking) && TEST_EXPECT(harena_stat_share(provider) == 0))
        continue;
}

/* Each step takes the lock, but for the first. */
static void child_of_a_fork_under_the_lock(void)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider *provider;

    signal(SIGALRM, SIG_DFL); /* Check's own would kill the test, too, and say nothing of a child */
    alarm(20);
    options.reserve = 2 * MIB;
    provider = harena_provider_create(&options);
    if (provider == NULL)
        _exit(1);
    if (!TEST_TSAN && harena_stat_share(provider) != 0) /* no thread in a child of that one */
        _exit(2);
    if (harena_provider_destroy(provider) != 0)
        _exit(3);
    _exit(0); /* LeakSanitizer would miss the stacks of threads that are not there */
}

/* The thread that has the lock is not in the child, which takes it when a provider begins or ends to be shown. */
START_TEST(a_fork_leaves_no_lock_taken)
{
    harena_provider *providers[HRI_SHARE_SECTIONS];
    test_thread threads[2];

    if (under_valgrind()) { /* which calls the stacks of threads that the child has not leaks of the child */
        puts("a_fork_leaves_no_lock_taken: not under Valgrind");
        return;
    }
    for (unsigned i = 0; i < HRI_SHARE_SECTIONS; i++) {
        providers[i] = provider_of(2 * MIB, 0, NULL);
        ck_assert_int_eq(harena_stat_share(providers[i]), 0);
    }
    atomic_store(&forking, true);
    for (unsigned i = 0; i < 2; i++)
        test_spawn(&threads[i], show_again_until_told, providers[HRI_SHARE_SECTIONS - 1], i);
    for (unsigned i = 0; i < test_rounds(100) && !test_failed(); i++)
        ck_assert_int_eq(in_child(child_of_a_fork_under_the_lock), 0);
    atomic_store(&forking, false);
    for (unsigned i = 0; i < 2; i++)
        test_join(&threads[i]);
    TEST_NO_FAILURE();
}
END_TEST

RUN_TESTS_AROUND("share", make_directory, remove_directory, the_file_is_the_users_alone,
                 figures_are_those_of_the_moment, who_does_not_ask_costs_nothing,
                 a_directory_of_others_is_not_used, what_an_earlier_program_left_is_replaced,
                 no_link_is_followed, without_descriptors_it_fails_and_works_later,
                 sixty_four_providers_at_once, a_cancelled_thread_leaves_no_lock_taken,
                 a_file_that_was_removed_does_not_grow, the_environment_shows_every_provider,
                 no_environment_shows_none, exit_removes_the_file, a_child_shows_its_own_or_nothing,
                 signals_are_for_the_others, a_section_is_read_whole,
                 providers_come_and_go_while_somebody_looks, a_fork_leaves_no_lock_taken)
