/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel really has given and got back: resident pages one by one, page faults, and the bytes that a cgroup is
 * charged with. The clock of the ticks is the test's. */
#define _GNU_SOURCE 1 /* RUSAGE_THREAD, mincore */
#include "../support/cgroup.h"
#include "../support/suite.h"
#include "../unit/unit.h"
#include "os.h"
#include "sanitizer.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#define PAGE   4096
#define REGION (128 * MIB)

static uint64_t now = 1000000;

static uint64_t test_milliseconds(void)
{
    return __atomic_load_n(&now, __ATOMIC_RELAXED);
}

static void set_up(void)
{
    hri_os.milliseconds = test_milliseconds;
}

static void a_second_passes(void)
{
    __atomic_fetch_add(&now, 1000, __ATOMIC_RELAXED);
}

/* Pages of [at, at + bytes) that the kernel has given memory. */
static size_t resident(void *at, size_t bytes)
{
    static unsigned char pages[REGION / PAGE];
    size_t count = 0;

    EXPECT(bytes <= REGION);
    ck_assert_int_eq(mincore(at, bytes, pages), 0);
    for (size_t i = 0; i < bytes / PAGE; i++)
        count += pages[i] & 1;
    return count;
}

static void *block_of(void *chunk)
{
    return (void *)((uintptr_t)chunk & ~(uintptr_t)(BLOCK - 1));
}

static bool has_huge_pages(void)
{
    return (hri_os.huge_modes() & (HRI_OS_2M_ALWAYS | HRI_OS_2M_MADVISE)) != 0;
}

START_TEST(process_that_uses_one_chunk_pays_for_one)
{
    harena_provider *p = provider_of(GIB, 0, NULL);
    char *chunk = SUCCEEDS(harena_chunk_get(p));

    memset(chunk, 1, CHUNK);
    ck_assert_uint_eq(resident(block_of(chunk), BLOCK), CHUNK / PAGE);
    harena_chunk_put(p, chunk);
    ends_clean(p);
}
END_TEST

/* Objects of a mebibyte and of a kibibyte that must be zero; the lowest of them. */
static char *make_zero(harena *a, void *(*alloc)(harena *a, size_t size))
{
    char *lowest = SUCCEEDS(alloc(a, MIB));

    for (int i = 1; i < 32; i++) {
        char *at = SUCCEEDS(alloc(a, i % 2 == 0 ? MIB : 1024));

        lowest = at < lowest ? at : lowest;
    }
    return block_of(lowest);
}

/* Memory that is zero already is not cleared, which would touch it: fresh, and when it has been back at the OS. */
START_TEST(what_is_zero_already_is_not_touched)
{
    harena_provider_options few = HARENA_PROVIDER_OPTIONS_INIT;
    harena_options options = HARENA_OPTIONS_INIT;
    void *(*alloc)(harena * a, size_t size) = _i == 0 ? harena_alloc : harena_alloc_zeroed;
    harena_provider *p;
    harena *a;
    char *at;

    few.reserve = REGION;
    few.huge_pages = HARENA_HUGE_OFF;
    p = options.provider = SUCCEEDS(harena_provider_create(&few));
    options.zero = _i == 0;
    options.retain_none = true;
    a = SUCCEEDS(harena_create(&options));
    at = make_zero(a, alloc);
    ck_assert_uint_le(resident(at, 32 * MIB), 1);
    harena_reset(a);
    at = SUCCEEDS(alloc(a, 16 * MIB));
    memset(at, 1, 16 * MIB);
    harena_reset(a);
    harena_provider_trim(p, 0);
    at = make_zero(a, alloc);
    ck_assert_uint_le(resident(at, 32 * MIB), 1);
    harena_release(a);
    ends_clean(p);
}
END_TEST

START_TEST(run_does_not_bring_a_block_for_its_last_byte)
{
    harena_provider *p = provider_of(GIB, 0, NULL);
    harena *arena = arena_of(p, 0);
    bool of_64k = (hri_os.huge_modes() & (HRI_OS_64K_ALWAYS | HRI_OS_64K_MADVISE)) != 0;
    size_t size = 16 * BLOCK + 1;
    char *run = SUCCEEDS(harena_alloc(arena, size));

    memset(run, 1, size);
    ck_assert_uint_eq(resident(run, 16 * BLOCK), 16 * BLOCK / PAGE);
    ck_assert_uint_le(resident(run + 16 * BLOCK, BLOCK), of_64k ? CHUNK / PAGE : 1);
    harena_release(arena);
    ends_clean(p);
}
END_TEST

/* How many pages come with the first byte of a block, by the provider's policy. */
static size_t brought_by_one_byte(enum harena_huge_pages policy)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider *p;
    harena *arena;
    char *run;
    size_t pages;

    options.reserve = GIB;
    options.huge_pages = policy;
    p = SUCCEEDS(harena_provider_create(&options));
    arena = arena_of(p, 0);
    run = SUCCEEDS(harena_alloc(arena, 4 * BLOCK));
    run[2 * BLOCK] = 1;
    pages = resident(run + 2 * BLOCK, BLOCK);
    harena_release(arena);
    ends_clean(p);
    return pages;
}

START_TEST(huge_pages_come_where_they_are_asked_for)
{
    ck_assert_uint_eq(brought_by_one_byte(HARENA_HUGE_OFF), 1);
    if (!has_huge_pages()) {
        printf("real_memory: this kernel gives no huge pages; nothing else to see\n");
        return;
    }
    ck_assert_uint_eq(brought_by_one_byte(HARENA_HUGE_ON), BLOCK / PAGE);
    ck_assert_uint_eq(brought_by_one_byte(HARENA_HUGE_AUTO), BLOCK / PAGE);
}
END_TEST

/* Runs of `length` chunks, or random ones for 0, until the limit refuses: how much is resident beyond what was
 * committed. */
static size_t brought_in_vain(uint32_t length, test_rng *random)
{
    harena_provider *p = provider_of(GIB, 16 * MIB, NULL);
    harena *arena = arena_of(p, 0);
    size_t bytes, committed;
    char *run, *lowest = NULL;

    for (;;) {
        size_t size = (length != 0 ? length : 1 + test_random(random) % 40) * CHUNK;

        run = harena_alloc(arena, size);
        if (run == NULL)
            break;
        memset(run, 1, size);
        lowest = lowest == NULL || run < lowest ? run : lowest;
    }
    bytes = resident(block_of(lowest), 64 * MIB) * PAGE;
    committed = stats_of(p).committed;
    harena_release(arena);
    ends_clean(p);
    return bytes > committed ? bytes - committed : 0;
}

START_TEST(resident_memory_stays_near_the_limit)
{
    test_rng random = test_rng_for(1);

    for (uint32_t length = 1; length < 40; length++)
        ck_assert_uint_le(brought_in_vain(length, &random), BLOCK);
    for (int i = 0; i < 40; i++)
        ck_assert_uint_lt(brought_in_vain(0, &random), 2 * BLOCK);
}
END_TEST

/* An object of each size for each arena in turn, as threads come by: from 2 MiB on their runs have room to become longer, so
 * each begins a block of its own. Then runs of whole blocks until the limit refuses, then single chunks. */
START_TEST(many_that_grow_stay_near_the_limit)
{
    enum { ARENAS = 12, LIMIT = 64 * MIB };
    static const size_t sizes[] = {40000, 70000, 250000};
    harena_provider *p = provider_of(REGION, LIMIT, NULL);
    harena *arenas[ARENAS], *whole = arena_of(p, 0);
    char *first = SUCCEEDS(harena_chunk_get(p)), *memory;
    size_t size = sizes[_i], used;

    harena_chunk_put(p, first);
    for (int i = 0; i < ARENAS; i++)
        arenas[i] = arena_of(p, 0);
    for (size_t n = 0; stats_of(p).committed < LIMIT / 8 * 5; n++)
        memset(SUCCEEDS(harena_alloc(arenas[n % ARENAS], size)), 1, size);
    while ((memory = harena_alloc(whole, BLOCK)) != NULL)
        memset(memory, 1, BLOCK);
    while ((memory = harena_alloc(whole, CHUNK)) != NULL)
        memset(memory, 1, CHUNK);
    used = resident(first, REGION) * PAGE;
    ck_assert_uint_eq(stats_of(p).committed, LIMIT);
    ck_assert_uint_le(used, LIMIT + BLOCK);
    for (int i = 0; i < ARENAS; i++)
        harena_release(arenas[i]);
    harena_release(whole);
    ends_clean(p);
}
END_TEST

/* ---- many threads at the limit ---- */

enum { WORKERS = 4, OBJECTS = 4096, STORM_LIMIT = 48 * MIB };

struct worker {
    harena_provider *provider;
    harena *arenas[4];
    struct {
        unsigned char *at;
        size_t size;
    } objects[OBJECTS];
    size_t count;
    test_rng random;
};

static pthread_barrier_t everybody;

/* Objects of many sizes until the limit refuses, each filled with its number. */
static void take_all(struct worker *w)
{
    static const size_t most[] = {4000, 100000, 400000, 3000000};
    size_t kind = test_random(&w->random) % 4;

    for (w->count = 0; w->count < OBJECTS; w->count++) {
        size_t size = 1 + test_random(&w->random) % most[kind];
        void *at = harena_alloc(w->arenas[w->count % 4], size);

        if (at == NULL && size <= CHUNK)
            break;
        w->objects[w->count].at = at;
        w->objects[w->count].size = at != NULL ? size : 0;
        if (at != NULL)
            memset(at, (int)(w->count % 251), size);
    }
}

/* Nothing was lost when rests of huge pages went back. */
static void give_most(struct worker *w)
{
    size_t kept = test_random(&w->random) % 4;

    for (size_t i = 0; i < w->count; i++)
        EXPECT(all_bytes(w->objects[i].at, w->objects[i].size, (unsigned char)(i % 251)));
    for (size_t i = 0; i < 4; i++)
        if (i != kept)
            harena_reset(w->arenas[i]);
    if (test_random(&w->random) % 2 == 0)
        harena_reset(w->arenas[kept]);
    if (test_random(&w->random) % 4 == 0)
        harena_provider_trim(w->provider, 0);
}

static void *work(void *argument)
{
    struct worker *w = argument;

    for (int round = 0; round < 40; round++) {
        take_all(w);
        pthread_barrier_wait(&everybody); /* to be looked at */
        pthread_barrier_wait(&everybody);
        give_most(w);
    }
    return NULL;
}

START_TEST(many_threads_at_the_limit_stay_near_it)
{
    static struct worker workers[WORKERS];
    harena_provider *p = provider_of(REGION, STORM_LIMIT, NULL);
    char *first = SUCCEEDS(harena_chunk_get(p));
    pthread_t threads[WORKERS];

    ck_assert_int_eq(pthread_barrier_init(&everybody, NULL, WORKERS + 1), 0);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.provider = p, .random = test_rng_for((unsigned)i)};
        for (int n = 0; n < 4; n++)
            workers[i].arenas[n] = arena_of(p, 0);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int round = 0; round < 40; round++) {
        pthread_barrier_wait(&everybody);
        ck_assert_uint_le(resident(first, REGION) * PAGE, STORM_LIMIT + BLOCK);
        pthread_barrier_wait(&everybody);
    }
    for (int i = 0; i < WORKERS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        for (int n = 0; n < 4; n++)
            harena_release(workers[i].arenas[n]);
    }
    harena_chunk_put(p, first);
    ends_clean(p);
    pthread_barrier_destroy(&everybody);
}
END_TEST

/* ---- given back ---- */

static void *chunks[16384];

static void use(harena_provider *p, size_t bytes)
{
    size_t count = bytes / CHUNK;

    for (size_t i = 0; i < count; i++) {
        chunks[i] = harena_chunk_get(p);
        EXPECT(hidden(chunks[i]) != 0);
        memset(chunks[i], 1, CHUNK);
    }
    for (size_t i = 0; i < count; i++)
        harena_chunk_put(p, chunks[i]);
}

/* A request. */
static void light_activity(harena_provider *p)
{
    harena *arena = arena_of(p, 0);

    memset(SUCCEEDS(harena_alloc(arena, 10000)), 1, 10000);
    harena_release(arena);
}

START_TEST(after_a_peak_the_memory_is_really_back)
{
    harena_provider *p = provider_of(4 * GIB, 0, NULL);
    bool at_once = _i == 0;
    int64_t before, after;

    if (!test_cgroup_enter()) {
        printf("real_memory: no memory cgroup to be had: not tested\n");
        return;
    }
    use(p, 16 * MIB);
    harena_provider_trim(p, 0);
    light_activity(p);
    before = test_cgroup_bytes();
    use(p, GIB);
    ck_assert_int_ge(test_cgroup_bytes(), before + (int64_t)GIB - (int64_t)(4 * MIB));
    if (at_once)
        harena_provider_trim(p, 0);
    for (int tick = 0; !at_once && tick < 15; tick++) {
        a_second_passes();
        light_activity(p);
        harena_provider_tick(p);
    }
    after = test_cgroup_bytes();
    if (hri_sanitizer_is_on()) /* what it remembers of a GiB stays */
        before += (int64_t)GIB / 8;
    ck_assert_msg(after <= before + (int64_t)(4 * MIB), "%lld KiB before, %lld KiB after",
                  (long long)before / 1024, (long long)after / 1024);
    ends_clean(p);
}
END_TEST

START_TEST(steady_load_faults_no_page)
{
    harena_provider *p = provider_of(GIB, 0, NULL);
    harena *arenas[16];
    struct rusage before, after;
    uint64_t purges = 0;

    for (int i = 0; i < 16; i++)
        arenas[i] = arena_of(p, 0);
    for (int second = -3; second < 30; second++) {
        if (second == 0) { /* warm */
            purges = stats_of(p).purges;
            getrusage(RUSAGE_THREAD, &before);
        }
        for (int i = 0; i < 64; i++) {
            harena *arena = arenas[i % 16];

            for (int object = 0; object < 300; object++)
                memset(SUCCEEDS(harena_alloc(arena, 1000)), 1, 1000);
            if (i % 4 == 0)
                memset(SUCCEEDS(harena_alloc(arena, 300000)), 1, 300000);
            harena_reset(arena);
        }
        a_second_passes();
        harena_provider_tick(p);
    }
    getrusage(RUSAGE_THREAD, &after);
    ck_assert_uint_eq(stats_of(p).purges, purges);
    if (!hri_sanitizer_is_on())
        ck_assert_int_eq(after.ru_minflt, before.ru_minflt);
    for (int i = 0; i < 16; i++)
        harena_release(arenas[i]);
    ends_clean(p);
}
END_TEST

START_TEST(ballast_faults_no_page)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider *p;
    struct rusage before, after;

    options.reserve = GIB;
    options.ballast = 16 * MIB;
    p = SUCCEEDS(harena_provider_create(&options));
    for (size_t i = 0; i < 256; i++)
        chunks[i] = p; /* this has pages, too */
    getrusage(RUSAGE_THREAD, &before);
    use(p, 16 * MIB);
    getrusage(RUSAGE_THREAD, &after);
    ck_assert_uint_eq(stats_of(p).committed, 16 * MIB);
    if (!hri_sanitizer_is_on())
        ck_assert_int_lt(after.ru_minflt - before.ru_minflt, 64); /* of records, not of 4,096 */
    ends_clean(p);
}
END_TEST

static bool kernel_is_at_least(int major, int minor)
{
    struct utsname name;
    int has_major = 0, has_minor = 0;

    uname(&name);
    EXPECT(sscanf(name.release, "%d.%d", &has_major, &has_minor) == 2);
    return has_major > major || (has_major == major && has_minor >= minor);
}

START_TEST(locked_memory_goes_back_too)
{
    harena_provider *p;
    void *block;
    size_t given;

    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        printf("real_memory: mlockall is not allowed here: not tested\n");
        return;
    }
    p = provider_of(64 * MIB, 0, NULL);
    use(p, CHUNK);
    block = block_of(chunks[0]);
    ck_assert_uint_le(resident(block, 32 * MIB), BLOCK / PAGE); /* not ahead of use */
    use(p, 32 * MIB);
    given = harena_provider_trim(p, 0);
    if (!kernel_is_at_least(5, 18)) { /* it refuses: nothing has changed */
        ck_assert_uint_eq(given, 0);
        ck_assert_uint_eq(stats_of(p).free, 32 * MIB);
    } else {
        ck_assert_uint_eq(given, 32 * MIB);
        ck_assert_uint_eq(resident(block, 32 * MIB), 0);
        use(p, MIB);
        ck_assert_uint_ge(resident(block, 32 * MIB), MIB / PAGE);
    }
    totals_hold(p);
    ends_clean(p);
    munlockall();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("real memory");
    TCase *tests = test_case(suite, "real memory");

    tcase_add_unchecked_fixture(tests, test_cgroup_make, test_cgroup_remove);
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, process_that_uses_one_chunk_pays_for_one);
    tcase_add_loop_test(tests, what_is_zero_already_is_not_touched, 0, 2);
    tcase_add_test(tests, run_does_not_bring_a_block_for_its_last_byte);
    tcase_add_test(tests, huge_pages_come_where_they_are_asked_for);
    tcase_add_test(tests, resident_memory_stays_near_the_limit);
    tcase_add_loop_test(tests, many_that_grow_stay_near_the_limit, 0, 3);
    tcase_add_test(tests, many_threads_at_the_limit_stay_near_it);
    if (TEST_TSAN) {
        printf("real_memory: ThreadSanitizer's shadow counts as memory of the process: not all is "
               "tested\n");
    } else {
        tcase_add_loop_test(tests, after_a_peak_the_memory_is_really_back, 0, 2);
        tcase_add_test(tests, steady_load_faults_no_page);
        tcase_add_test(tests, ballast_faults_no_page);
    }
    tcase_add_test(tests, locked_memory_goes_back_too);
    return test_main(suite);
}
