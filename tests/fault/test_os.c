/* SPDX-License-Identifier: BSD-2-Clause */
/* The n-th failure of each call of the operating system, for all n: nothing is leaked, every total
 * holds, what failed is usable afterwards. */
#include "../unit/unit.h"

#include "os.h"

/* ---- an operating system that refuses ---- */

enum call { RESERVE, COMMIT, PURGE, CALLS };

static struct hri_os real;
static struct {
    unsigned made[CALLS];  /* calls so far */
    unsigned fail[CALLS];  /* the first that fails, counted from 1; 0: none */
    bool on[CALLS];        /* and all that follow */
    unsigned refused;      /* calls that failed */
    size_t reserved;       /* bytes, that have not been released */
    unsigned reservations; /* the same, in calls */
} os;

static bool refuses(enum call call)
{
    unsigned n = ++os.made[call];

    if (os.fail[call] == 0 || n < os.fail[call] || (n > os.fail[call] && !os.on[call]))
        return false;
    os.refused++;
    return true;
}

static void *failing_reserve(size_t bytes, size_t align)
{
    void *at = refuses(RESERVE) ? NULL : real.reserve(bytes, align);

    if (at != NULL) {
        os.reserved += bytes;
        os.reservations++;
    }
    return at;
}

static int failing_commit(void *at, size_t bytes)
{
    return refuses(COMMIT) ? -ENOMEM : real.commit(at, bytes);
}

static int failing_purge(void *at, size_t bytes)
{
    return refuses(PURGE) ? -EINVAL : real.purge(at, bytes);
}

static void counting_release(void *at, size_t bytes)
{
    os.reserved -= bytes;
    os.reservations--;
    real.release(at, bytes);
}

static void with_failing_os(void)
{
    real = hri_os;
    hri_os.reserve = failing_reserve;
    hri_os.commit = failing_commit;
    hri_os.purge = failing_purge;
    hri_os.release = counting_release;
    memset(&os, 0, sizeof os);
}

static void without_failing_os(void)
{
    hri_os = real;
}

/* ---- a world that uses everything ---- */

enum { ARENAS = 6, SHARED = 3, CHUNKS = 3, CROWD = 120, KEPT = 600 };

static struct world {
    harena_provider *provider;
    struct events events;
    harena *arenas[ARENAS];
    harena_shared *shared[SHARED];
    harena *crowd[CROWD]; /* many records: the slab grows */
    void *chunks[CHUNKS];
    harena_snapshot snapshot;
    bool healthy; /* nothing may fail */
    int cleanups, registered;

    /* What was allocated since the last reset, each filled with its number. */
    struct {
        unsigned char *at;
        size_t size;
    } kept[KEPT];
    size_t kept_count;
} world;

/* A result of an allocation: there, or refused for want of memory while that may be. */
static void *granted(void *memory, int error)
{
    if (hidden(memory) == 0)
        EXPECT(error == ENOMEM && !world.healthy);
    else
        EXPECT(error == SENTINEL);
    return memory;
}

#define TRY(call)                                                                                  \
    ({                                                                                             \
        errno = SENTINEL;                                                                          \
        __auto_type result_of_try = (call);                                                        \
        granted(result_of_try, errno);                                                             \
        result_of_try;                                                                             \
    })

/* A result of another kind. */
static bool done(int result)
{
    EXPECT(result == 0 || (result == -ENOMEM && !world.healthy));
    return result == 0;
}

static void keep(void *memory, size_t size)
{
    if (memory == NULL)
        return;
    EXPECT(world.kept_count < KEPT);
    memset(memory, (int)(world.kept_count & 0xff), size);
    world.kept[world.kept_count].at = memory;
    world.kept[world.kept_count++].size = size;
}

static void kept_are_intact(void)
{
    for (size_t at = 0; at < world.kept_count; at++)
        EXPECT(all_bytes(world.kept[at].at, world.kept[at].size, (unsigned char)at));
}

static void count_up(void *counter)
{
    __atomic_fetch_add((int *)counter, 1, __ATOMIC_RELAXED);
}

static bool create_provider(void)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;

    memset(&world.events, 0, sizeof world.events);
    options.reserve = 64 * MIB;
    options.ballast = 2 * CHUNK;
    options.huge_pages = HARENA_HUGE_OFF;
    options.on_event = record_event;
    options.event_ctx = &world.events;
    world.provider = TRY(harena_provider_create(&options));
    return world.provider != NULL;
}

static void create_objects(void)
{
    const harena_options fresh = HARENA_OPTIONS_INIT;
    const harena_shared_options fresh_shared = HARENA_SHARED_OPTIONS_INIT;

    for (int at = 0; at < ARENAS; at++) {
        harena_options options = fresh;

        if (world.arenas[at] != NULL)
            continue;
        options.provider = world.provider;
        options.zero = at == 1;
        options.retain_none = at == 2;
        options.initial = at == 3 ? 3 * CHUNK : 0;
        options.alignment = at == 4 ? 256 : 0;
        options.retain = at == 5 ? MIB : 0;
        world.arenas[at] = TRY(harena_create(&options));
        totals_hold(world.provider);
    }
    for (int at = 0; at < SHARED; at++) {
        harena_shared_options options = fresh_shared;

        if (world.shared[at] != NULL)
            continue;
        options.provider = world.provider;
        options.no_lanes = at == 1;
        options.lanes = at == 2 ? 512 : 0;
        world.shared[at] = TRY(harena_shared_create(&options));
    }
    for (int at = 0; at < CROWD; at++) {
        harena_options options = fresh;

        options.provider = world.provider;
        if (world.crowd[at] == NULL)
            world.crowd[at] = TRY(harena_create(&options));
    }
    for (int at = 0; at < CHUNKS; at++)
        if (world.chunks[at] == NULL)
            world.chunks[at] = TRY(harena_chunk_get(world.provider));
    totals_hold(world.provider);
}

static void use_arena(harena *arena, int which)
{
    static const size_t sizes[] = {1, 100, 3000, 20000, CHUNK, 200000};
    char *text;

    for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        unsigned char *memory = TRY(harena_alloc(arena, opaque(sizes[at])));

        if (memory != NULL && which == 1)
            EXPECT(all_bytes(memory, sizes[at], 0));
        if (memory == NULL)
            EXPECT(harena_failed(arena));
        keep(memory, sizes[at]);
        totals_hold(world.provider);
        memory = TRY(harena_alloc_zeroed(arena, opaque(100)));
        EXPECT(memory == NULL || all_bytes(memory, 100, 0));
        keep(memory, 100);
    }
    text = TRY(harena_printf(arena, "%*d", 70000, 5));
    EXPECT(text == NULL || strlen(text) == 70000);
    text = TRY(harena_realloc(arena, NULL, 0, opaque(50)));
    if (text != NULL) {
        char *larger;

        memset(text, 'r', 50);
        larger = TRY(harena_realloc(arena, text, 50, opaque(90000)));
        EXPECT(all_bytes(text, 50, 'r'));
        EXPECT(larger == NULL || all_bytes(larger, 50, 'r'));
    }
    if (which == 0) {
        unsigned char *memory = TRY(harena_alloc(arena, opaque(8 * MIB)));

        if (memory != NULL)
            memory[0] = memory[8 * MIB - 1] = 1;
    }
    /* On few of them: what RCU's worker must run takes its time. */
    if (which < 3 && done(harena_on_release(arena, count_up, &world.cleanups)))
        world.registered++;
    EXPECT(harena_len(arena) <= harena_cap(arena));
}

static void use_shared(harena_shared *shared)
{
    static const size_t sizes[] = {1, 100, 3000, 20000, 40000, 200000};
    harena_view *view = harena_shared_enter(shared);

    EXPECT(view != NULL);
    if (harena_view_root(view) == NULL) { /* no record was to be had */
        EXPECT(!world.healthy);
        FAILS(ENOMEM, harena_view_alloc(view, opaque(1)));
        FAILS(ENOMEM, harena_view_alloc_atomic(view, opaque(100)));
        FAILS(ENOMEM, harena_alloc(harena_view_lane(view), opaque(100)));
        EXPECT(harena_view_on_release(view, count_up, &world.cleanups) == -ENOMEM);
        EXPECT(!harena_view_contains(view, view));
    } else {
        for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
            keep(TRY(harena_view_alloc(view, opaque(sizes[at]))), sizes[at]);
            keep(TRY(harena_view_alloc_atomic(view, opaque(sizes[at]))), sizes[at]);
            keep(TRY(harena_alloc(harena_view_lane(view), opaque(sizes[at]))), sizes[at]);
        }
        if (shared == world.shared[2] &&
            done(harena_view_on_release(view, count_up, &world.cleanups)))
            world.registered++;
    }
    harena_shared_leave(shared, view);
    keep(TRY(harena_shared_alloc(shared, opaque(200))), 200);
    totals_hold(world.provider);
}

static void use_everything(void)
{
    world.kept_count = 0;
    for (int at = 0; at < ARENAS; at++)
        if (world.arenas[at] != NULL)
            use_arena(world.arenas[at], at);
    for (int at = 0; at < SHARED; at++)
        if (world.shared[at] != NULL)
            use_shared(world.shared[at]);
    for (int at = 0; at < CROWD; at += 10)
        if (world.crowd[at] != NULL)
            keep(TRY(harena_alloc(world.crowd[at], opaque(100))), 100);
    kept_are_intact();
}

/* A fresh arena takes the place of the published one. */
static void publish(void)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *arena;

    options.provider = world.provider;
    arena = TRY(harena_create(&options));
    if (arena == NULL)
        return;
    (void)TRY(harena_alloc(arena, opaque(5000)));
    if (!done(harena_snapshot_publish(&world.snapshot, arena, NULL)))
        harena_release(arena);
}

static void reset_everything(void)
{
    for (int at = 0; at < ARENAS; at++) {
        harena_reset(world.arenas[at]);
        EXPECT(world.arenas[at] == NULL || !harena_failed(world.arenas[at]));
    }
    for (int at = 0; at < SHARED; at++) {
        if (world.shared[at] == NULL)
            continue;
        EXPECT((at == 0 ? harena_shared_reset(world.shared[at])
                        : harena_shared_reset_now(world.shared[at])) == 0);
        EXPECT(!harena_shared_failed(world.shared[at]));
    }
    for (int at = 0; at < CROWD; at++)
        harena_reset(world.crowd[at]);
    publish();
    EXPECT(harena_provider_barrier(world.provider) == 0);
    EXPECT(world.cleanups == world.registered);
    harena_provider_trim(world.provider, 0);
    totals_hold(world.provider);
}

static void release_everything(void)
{
    harena_snapshot_fini(&world.snapshot);
    for (int at = 0; at < ARENAS; at++)
        (at % 2 ? harena_release_rcu : harena_release)(world.arenas[at]);
    for (int at = 0; at < SHARED; at++)
        (at % 2 ? harena_shared_release_now : harena_shared_release)(world.shared[at]);
    for (int at = 0; at < CROWD; at++)
        harena_release(world.crowd[at]);
    for (int at = 0; at < CHUNKS; at++)
        harena_chunk_put(world.provider, world.chunks[at]);
}

/* Lives through failures, then through a day without any, then ends. False: no failure came. */
static bool live(enum call call, unsigned n, bool and_all_that_follow)
{
    const harena_snapshot fresh = HARENA_SNAPSHOT_INIT;

    memset(&world, 0, sizeof world);
    memset(&os, 0, sizeof os);
    world.snapshot = fresh;
    os.fail[call] = n;
    os.on[call] = and_all_that_follow;
    if (create_provider()) {
        create_objects();
        use_everything();
        reset_everything();
        use_everything();
        if (os.refused != 0) { /* with it gone, all is as if it had not been */
            os.fail[call] = 0;
            world.healthy = true;
            create_objects();
            reset_everything();
            use_everything();
            reset_everything();
        }
        release_everything();
        ends_clean(world.provider);
        EXPECT(world.cleanups == world.registered);
        events_in_all(&world.events);
        EXPECT(events_of(&world.events, HARENA_EVENT_MISUSE) == 0);
    } else {
        EXPECT(os.refused != 0);
    }
    EXPECT(os.reservations == 0 && os.reserved == 0);
    return os.refused != 0;
}

static void every_failure_of(enum call call, bool and_all_that_follow, unsigned least)
{
    unsigned n = 1;

    while (live(call, n, and_all_that_follow))
        n++;
    ck_assert_msg(n > least, "only %u calls were there to fail", n - 1);
    os.fail[call] = 0;
}

START_TEST(no_failure_is_no_failure)
{
    world.healthy = true;
    ck_assert(!live(COMMIT, 0, false));
    ck_assert_uint_ge(os.made[RESERVE], 1);
    ck_assert_uint_ge(os.made[COMMIT], 6);
    ck_assert_uint_ge(os.made[PURGE], 2);
}
END_TEST

START_TEST(each_reserve_may_fail)
{
    every_failure_of(RESERVE, false, 1);
}
END_TEST

START_TEST(each_commit_may_fail)
{
    every_failure_of(COMMIT, false, 6);
}
END_TEST

START_TEST(each_purge_may_fail)
{
    every_failure_of(PURGE, false, 2);
}
END_TEST

START_TEST(all_reserves_from_one_on_may_fail)
{
    every_failure_of(RESERVE, true, 1);
}
END_TEST

START_TEST(all_commits_from_one_on_may_fail)
{
    every_failure_of(COMMIT, true, 6);
}
END_TEST

START_TEST(all_purges_from_one_on_may_fail)
{
    every_failure_of(PURGE, true, 2);
}
END_TEST

/* ---- single places ---- */

START_TEST(a_refused_commit_is_told_and_counted)
{
    struct events events = {.count = {0}};
    harena_provider *provider = provider_of(16 * MIB, 0, &events);

    os.fail[COMMIT] = os.made[COMMIT] + 1;
    FAILS(ENOMEM, harena_chunk_get(provider));
    os.fail[COMMIT] = 0;
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_OS_ERROR), 1);
    ck_assert_int_eq(events.last_error, ENOMEM);
    ck_assert_uint_eq(events.last_bytes, CHUNK);
    ck_assert_uint_eq(stats_of(provider).failures, 1);
    ck_assert_uint_eq(stats_of(provider).committed, 0);
    harena_chunk_put(provider, SUCCEEDS(harena_chunk_get(provider)));
    ends_clean(provider);
}
END_TEST

START_TEST(a_shared_arena_without_a_record_recovers)
{
    enum { COUNT = 400 };
    static harena_shared *shared[COUNT];
    harena_provider *provider = provider_of(64 * MIB, 0, NULL);
    int without = 0;

    for (int at = 0; at < COUNT; at++)
        shared[at] = shared_of(provider, 0);
    os.fail[COMMIT] = os.made[COMMIT] + 1;
    os.on[COMMIT] = true;
    for (int at = 0; at < COUNT; at++) {
        harena_view *view = harena_shared_enter(shared[at]);

        if (harena_view_root(view) == NULL) {
            without++;
            FAILS(ENOMEM, harena_view_alloc(view, opaque(0)));
            FAILS(ENOMEM, harena_view_alloc(view, opaque(8)));
            FAILS(ENOMEM, harena_shared_alloc(shared[at], opaque(8)));
            FAILS(ENOMEM, harena_shared_printf(shared[at], "%d", 5));
            ck_assert_int_eq(harena_shared_on_release(shared[at], count_up, NULL), -ENOMEM);
            ck_assert_uint_eq(harena_shared_len(shared[at]), 0);
            ck_assert_uint_eq(harena_shared_cap(shared[at]), 0);
            ck_assert_int_eq(harena_shared_reset(shared[at]), 0);
        }
        harena_shared_leave(shared[at], view);
    }
    ck_assert_int_gt(without, 0);
    os.fail[COMMIT] = 0;
    for (int at = 0; at < COUNT; at++)
        memset(SUCCEEDS(harena_shared_alloc(shared[at], opaque(100))), 1, 100);
    for (int at = 0; at < COUNT; at++)
        harena_shared_release_now(shared[at]);
    ends_clean(provider);
}
END_TEST

START_TEST(reset_allocates_nothing_of_the_os)
{
    harena_provider *provider = provider_of(64 * MIB, 8 * CHUNK, NULL);
    harena_shared *shared = shared_of(provider, 0);

    while (hidden(harena_shared_alloc(shared, opaque(5000))) != 0)
        continue;
    os.fail[COMMIT] = os.made[COMMIT] + 1;
    os.fail[RESERVE] = os.made[RESERVE] + 1;
    os.on[COMMIT] = os.on[RESERVE] = true;
    ck_assert_int_eq(harena_shared_reset(shared), 0);
    ck_assert_uint_eq(os.refused, 0);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    memset(SUCCEEDS(harena_shared_alloc(shared, opaque(100))), 1, 100); /* a record used before */
    harena_shared_close(shared);
    harena_shared_release(shared);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_uint_eq(os.refused, 0);
    os.fail[COMMIT] = os.fail[RESERVE] = 0;
    ends_clean(provider);
}
END_TEST

START_TEST(no_default_provider_is_enomem_until_there_is_one)
{
    harena_provider_stats stats = {.size = sizeof stats};

    os.fail[RESERVE] = 1;
    os.on[RESERVE] = true;
    FAILS(ENOMEM, harena_provider_default());
    FAILS(ENOMEM, harena_create(NULL));
    FAILS(ENOMEM, harena_shared_create(NULL));
    FAILS(ENOMEM, harena_chunk_get(NULL));
    ck_assert_int_eq(harena_provider_set_limit(NULL, CHUNK), -ENOMEM);
    ck_assert_int_eq(harena_provider_barrier(NULL), 0);
    ck_assert_uint_eq(harena_provider_trim(NULL, 0), 0);
    harena_provider_stats_get(NULL, &stats);
    ck_assert_uint_eq(stats.reserved, 0);
    harena_chunk_put(NULL, NULL);
    harena_provider_read_lock(NULL);
    harena_provider_read_unlock(NULL);
    ck_assert_uint_eq(os.reserved, 0);
    os.fail[RESERVE] = 0;
    harena_release(SUCCEEDS(harena_create(NULL)));
    ck_assert_ptr_nonnull(harena_provider_default());
}
END_TEST

START_TEST(default_region_shrinks_until_the_os_agrees)
{
    os.fail[RESERVE] = 1;
    harena_release(SUCCEEDS(harena_create(NULL)));
    ck_assert_uint_ge(os.made[RESERVE], 2);
    ck_assert_uint_eq(os.refused, 1);
    ck_assert_uint_gt(stats_of(NULL).reserved, 0);
}
END_TEST

RUN_TESTS_AROUND("os", with_failing_os, without_failing_os, no_failure_is_no_failure,
                 each_reserve_may_fail, each_commit_may_fail, each_purge_may_fail,
                 all_reserves_from_one_on_may_fail, all_commits_from_one_on_may_fail,
                 all_purges_from_one_on_may_fail, a_refused_commit_is_told_and_counted,
                 a_shared_arena_without_a_record_recovers, reset_allocates_nothing_of_the_os,
                 no_default_provider_is_enomem_until_there_is_one,
                 default_region_shrinks_until_the_os_agrees)
