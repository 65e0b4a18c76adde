/* SPDX-License-Identifier: BSD-2-Clause */
/* What goes back to the OS by itself: a clock that the test moves, and an OS that counts what it is asked. */
#include "limit.h"
#include "os.h"
#include "provider.h"
#include "unit.h"

#define BLOCKS(bytes) ((bytes) / BLOCK)

static struct hri_os real;
static uint64_t now; /* milliseconds */
static unsigned purges;
static bool refuse_purge;
static struct events events;
static harena_provider_options options;

static uint64_t test_milliseconds(void)
{
    return now;
}

static int counting_purge(void *at, size_t bytes)
{
    __atomic_fetch_add(&purges, 1, __ATOMIC_RELAXED);
    return refuse_purge ? -EINVAL : real.purge(at, bytes);
}

static void set_up(void)
{
    real = hri_os;
    hri_os.milliseconds = test_milliseconds;
    hri_os.purge = counting_purge;
    now = 1000000;
    options = (harena_provider_options)HARENA_PROVIDER_OPTIONS_INIT;
    options.reserve = GIB;
    options.on_event = record_event;
    options.event_ctx = &events;
}

static void tear_down(void)
{
    hri_os = real;
}

static harena_provider *make(void)
{
    return SUCCEEDS(harena_provider_create(&options));
}

/* `bytes` of chunks taken and put back. */
static void use(harena_provider *p, size_t bytes)
{
    static void *chunks[16384];
    size_t count = bytes / CHUNK;

    EXPECT(count <= 16384);
    for (size_t i = 0; i < count; i++) {
        chunks[i] = harena_chunk_get(p);
        EXPECT(hidden(chunks[i]) != 0);
    }
    for (size_t i = 0; i < count; i++)
        harena_chunk_put(p, chunks[i]);
}

static int second_later(harena_provider *p)
{
    int wait;

    now += 1000;
    QUIETLY(wait = harena_provider_tick(p));
    totals_hold(p);
    return wait;
}

START_TEST(tick_halves_what_nobody_touched)
{
    harena_provider *p = make();
    uint64_t before;
    int ticks = 0;

    use(p, 256 * MIB);
    ck_assert_uint_eq(stats_of(p).free, 256 * MIB);
    ck_assert_int_eq(second_later(p), 1000); /* sees them free for the first time */
    ck_assert_uint_eq(stats_of(p).free, 256 * MIB);
    for (before = 256 * MIB; stats_of(p).free != 0; before = stats_of(p).free) {
        ck_assert_int_eq(second_later(p), BLOCKS(before) == 1 ? -1 : 1000);
        ck_assert_uint_eq(stats_of(p).free, BLOCKS(before) / 2 * BLOCK);
        ck_assert_int_le(++ticks, 9);
    }
    ck_assert_int_eq(second_later(p), -1);
    ck_assert_uint_eq(stats_of(p).committed, 0);
    ends_clean(p);
}
END_TEST

START_TEST(what_is_touched_each_second_stays)
{
    harena_provider *p = make();
    uint64_t commits;

    use(p, 64 * MIB);
    commits = stats_of(p).commits;
    for (int i = 0; i < 20; i++) {
        second_later(p);
        use(p, 64 * MIB);
    }
    ck_assert_uint_eq(stats_of(p).commits, commits);
    ck_assert_uint_eq(purges, 0);
    ends_clean(p);
}
END_TEST

START_TEST(runs_that_are_touched_stay)
{
    harena_provider *p = make();
    harena *arena = arena_of(p, 0);
    uint64_t commits = 0;

    for (int i = 0; i < 10; i++) {
        (void)SUCCEEDS(harena_alloc(arena, 16 * MIB));
        if (i == 0)
            commits = stats_of(p).commits;
        harena_reset(arena);
        second_later(p);
    }
    ck_assert_uint_eq(stats_of(p).commits, commits);
    harena_release(arena);
    ends_clean(p);
}
END_TEST

START_TEST(what_is_touched_stays_wherever_it_lies)
{
    harena_provider *p = make();
    uint32_t last = 7 * HRI_BLOCK_CHUNKS; /* in the block that a purge would take first */

    use(p, 8 * BLOCK);
    for (int i = 0; i < 6; i++) {
        char *chunk;

        hri_provider_prefer(p, last);
        chunk = SUCCEEDS(harena_chunk_get(p));
        ck_assert_ptr_eq(chunk, hri_chunk_address(p, last));
        EXPECT(i == 0 || *chunk == 7);
        *chunk = 7;
        harena_chunk_put(p, chunk);
        second_later(p);
    }
    ck_assert_uint_eq(stats_of(p).free, BLOCK);
    ends_clean(p);
}
END_TEST

START_TEST(no_more_stays_than_percent_of_the_recent_peak)
{
    harena_provider *p;
    static void *chunks[1024];

    options.retain_percent = 50;
    p = make();
    for (int i = 0; i < 1024; i++)
        chunks[i] = SUCCEEDS(harena_chunk_get(p));
    use(p, 192 * MIB); /* 64 MiB in use, 192 MiB more for a moment */
    second_later(p);
    /* The peak was 256 MiB: half of it may stay. */
    ck_assert_uint_le(stats_of(p).free, 128 * MIB);
    ck_assert_uint_ge(stats_of(p).free, 120 * MIB);
    for (int i = 0; i < 30; i++) { /* the peak decays to what is in use */
        second_later(p);
        use(p, stats_of(p).free);
    }
    ck_assert_uint_le(stats_of(p).free, 64 * MIB);
    for (int i = 0; i < 1024; i++)
        harena_chunk_put(p, chunks[i]);
    ends_clean(p);
}
END_TEST

START_TEST(retain_all_keeps_all)
{
    harena_provider *p;

    options.retain_percent = HARENA_RETAIN_ALL;
    p = make();
    use(p, 64 * MIB);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(second_later(p), -1);
    ck_assert_uint_eq(stats_of(p).free, 64 * MIB);
    ck_assert_uint_eq(purges, 0);
    ck_assert_uint_eq(harena_provider_trim(p, 0), 64 * MIB);
    ends_clean(p);
}
END_TEST

START_TEST(retain_none_keeps_nothing)
{
    harena_provider *p;

    options.retain_percent = HARENA_RETAIN_NONE;
    p = make();
    use(p, 64 * MIB);
    ck_assert_int_eq(second_later(p), -1);
    ck_assert_uint_eq(stats_of(p).free, 0);
    ends_clean(p);
}
END_TEST

START_TEST(ballast_is_the_floor)
{
    harena_provider *p;

    options.ballast = 16 * MIB;
    options.retain_percent = HARENA_RETAIN_NONE;
    p = make();
    ck_assert_uint_eq(stats_of(p).free, 16 * MIB);
    use(p, 64 * MIB);
    for (int i = 0; i < 20; i++)
        second_later(p);
    ck_assert_uint_eq(stats_of(p).free, 16 * MIB);
    ck_assert_int_eq(second_later(p), -1);
    ck_assert_uint_eq(harena_provider_trim(p, 0), 0);
    ends_clean(p);
}
END_TEST

START_TEST(early_ticks_do_nothing_but_say_when)
{
    harena_provider *p = make();

    use(p, 64 * MIB);
    second_later(p);
    for (int i = 0; i < 100; i++) {
        now += 9;
        ck_assert_int_eq(harena_provider_tick(p), 1000 - 9 * (i + 1));
    }
    ck_assert_uint_eq(stats_of(p).free, 64 * MIB);
    ends_clean(p);
}
END_TEST

START_TEST(nothing_to_do_is_minus_one)
{
    harena_provider *p = make();
    void *chunk;

    ck_assert_int_eq(harena_provider_tick(p), -1);
    chunk = SUCCEEDS(harena_chunk_get(p));
    ck_assert_int_eq(second_later(p), -1);
    harena_chunk_put(p, chunk);
    ck_assert_int_eq(second_later(p), 1000);
    ends_clean(p);
}
END_TEST

/* Whole blocks go back: what is left above such a ballast is less than one, and stays. */
START_TEST(nothing_to_do_is_minus_one_beside_an_odd_ballast)
{
    harena_provider *p;

    options.ballast = 5 * MIB + 3 * CHUNK;
    options.retain_percent = HARENA_RETAIN_NONE;
    p = make();
    use(p, 64 * MIB);
    for (int i = 0; i < 20 && second_later(p) != -1; i++)
        continue;
    ck_assert_int_eq(second_later(p), -1);
    ck_assert_uint_ge(stats_of(p).free, options.ballast);
    ck_assert_uint_lt(stats_of(p).free, options.ballast + BLOCK);
    ends_clean(p);
}
END_TEST

START_TEST(operations_that_pass_by_give_back_a_block_each)
{
    harena_provider *p = make();
    uint64_t free_before;

    use(p, 64 * MIB);
    for (int second = 0; second < 2; second++) {
        now += 1000;
        for (int i = 0; i < 16; i++) /* one of so many puts looks at the clock */
            use(p, CHUNK);
    }
    for (int i = 0; i < 40; i++) {
        unsigned purges_before = purges;

        use(p, CHUNK);
        ck_assert_uint_le(purges - purges_before, 1);
    }
    free_before = stats_of(p).free;
    ck_assert_uint_le(free_before, 36 * MIB);
    ck_assert_uint_ge(free_before, 32 * MIB);
    for (int second = 0; second < 13; second++) {
        now += 1000;
        for (int i = 0; i < 40; i++)
            use(p, CHUNK);
    }
    ck_assert_uint_le(stats_of(p).free, 4 * MIB); /* light activity, within 15 ticks */
    ends_clean(p);
}
END_TEST

START_TEST(refused_purge_changes_nothing)
{
    harena_provider *p = make();

    use(p, 64 * MIB);
    refuse_purge = true;
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(second_later(p), 1000);
    ck_assert_uint_gt(purges, 0);
    ck_assert_uint_eq(stats_of(p).free, 64 * MIB);
    refuse_purge = false;
    second_later(p);
    ck_assert_uint_le(stats_of(p).free, 32 * MIB);
    ends_clean(p);
}
END_TEST

/* ---- the soft limit ---- */

START_TEST(soft_limit_says_so_once_and_refuses_nobody)
{
    static void *chunks[1024];
    harena_provider *p;

    options.soft_limit = 16 * MIB;
    p = make();
    for (int i = 0; i < 256; i++)
        chunks[i] = SUCCEEDS(harena_chunk_get(p));
    ck_assert_uint_eq(events_in_all(&events), 0);
    for (int i = 256; i < 1024; i++)
        chunks[i] = SUCCEEDS(harena_chunk_get(p));
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_SOFT_LIMIT), 1);
    ck_assert_uint_eq(events_in_all(&events), 1);
    for (int i = 0; i < 1024; i++) /* each block goes back as it becomes free */
        harena_chunk_put(p, chunks[i]);
    ck_assert_uint_le(stats_of(p).committed, 16 * MIB);
    ck_assert_uint_gt(stats_of(p).committed, 16 * MIB - BLOCK);
    totals_hold(p);
    for (int i = 0; i < 257; i++)
        chunks[i] = SUCCEEDS(harena_chunk_get(p));
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_SOFT_LIMIT), 2);
    for (int i = 0; i < 257; i++)
        harena_chunk_put(p, chunks[i]);
    ends_clean(p);
}
END_TEST

START_TEST(free_memory_goes_back_before_a_run_stays_above_the_soft_limit)
{
    harena_provider *p;
    harena *arena;

    options.soft_limit = 64 * MIB;
    p = make();
    use(p, 60 * MIB);
    arena = arena_of(p, 0);
    (void)SUCCEEDS(harena_alloc(arena, 62 * MIB)); /* finds no such run that is warm */
    for (int i = 0; i < 64; i++)
        use(p, CHUNK);
    ck_assert_uint_le(stats_of(p).committed, 64 * MIB);
    harena_release(arena);
    ends_clean(p);
}
END_TEST

START_TEST(run_above_the_soft_limit_goes_back_when_it_is_put)
{
    harena_provider *p;
    harena *arena;

    options.soft_limit = 8 * MIB;
    p = make();
    arena = arena_of(p, 0);
    (void)SUCCEEDS(harena_alloc(arena, 64 * MIB));
    ck_assert_uint_eq(events_of(&events, HARENA_EVENT_SOFT_LIMIT), 1);
    harena_release(arena);
    ck_assert_uint_le(stats_of(p).committed, 8 * MIB);
    ck_assert_uint_gt(stats_of(p).committed, 8 * MIB - BLOCK);
    ends_clean(p);
}
END_TEST

START_TEST(soft_limit_holds_although_all_is_retained)
{
    harena_provider *p;

    options.soft_limit = 16 * MIB;
    options.retain_percent = HARENA_RETAIN_ALL;
    p = make();
    use(p, 64 * MIB);
    for (int i = 0; i < 64; i++)
        use(p, CHUNK);
    ck_assert_uint_le(stats_of(p).committed, 16 * MIB);
    ck_assert_uint_gt(stats_of(p).committed, 16 * MIB - BLOCK);
    ends_clean(p);
}
END_TEST

START_TEST(ballast_is_the_floor_below_a_soft_limit)
{
    harena_provider *p;
    harena *arena;

    options.ballast = 8 * MIB;
    options.soft_limit = 4 * MIB;
    p = make();
    ck_assert_uint_ge(stats_of(p).free, 8 * MIB);
    arena = arena_of(p, 0);
    (void)SUCCEEDS(harena_alloc(arena, 32 * MIB));
    harena_release(arena);
    for (int i = 0; i < 20; i++) {
        use(p, CHUNK);
        second_later(p);
    }
    ck_assert_uint_ge(stats_of(p).free, 8 * MIB);
    ends_clean(p);
}
END_TEST

/* What a look has found to be due may be in use when it goes back. */
START_TEST(ballast_is_the_floor_whatever_was_due)
{
    harena_provider *p;
    harena *arena;

    options.ballast = 8 * MIB;
    p = make();
    use(p, 20 * MIB);
    for (int i = 0; i < 1000 && purges == 0; i++) { /* one of so many puts looks at the clock */
        now += 100;
        use(p, CHUNK);
    }
    ck_assert_uint_eq(purges, 1); /* others are due */
    arena = arena_of(p, 0);
    (void)SUCCEEDS(harena_alloc(arena, 12 * MIB));
    ck_assert_uint_le(stats_of(p).free, 8 * MIB);
    for (int i = 0; i < 100; i++)
        use(p, CHUNK);
    ck_assert_uint_eq(purges, 1);
    harena_release(arena);
    ends_clean(p);
}
END_TEST

START_TEST(a_run_at_the_limit_takes_no_more_than_it_needs)
{
    static void *chunks[64 * MIB / CHUNK];
    harena_provider *p;
    harena *arena;

    options.limit = 64 * MIB;
    options.retain_percent = HARENA_RETAIN_ALL;
    p = make();
    for (size_t i = 0; i < 64 * MIB / CHUNK; i++)
        chunks[i] = SUCCEEDS(harena_chunk_get(p));
    for (size_t i = 0; i < 64 * MIB / CHUNK; i++) /* every second block is free */
        if (((size_t)((char *)chunks[i] - p->region) / BLOCK) % 2 == 0)
            harena_chunk_put(p, chunks[i]);
    purges = 0;
    arena = arena_of(p, 0);
    (void)SUCCEEDS(harena_alloc(arena, 3 * BLOCK));
    ck_assert_uint_le(purges, 4);
    ck_assert_uint_ge(stats_of(p).free, 24 * MIB);
    harena_release(arena);
    for (size_t i = 0; i < 64 * MIB / CHUNK; i++)
        if (((size_t)((char *)chunks[i] - p->region) / BLOCK) % 2 != 0)
            harena_chunk_put(p, chunks[i]);
    ends_clean(p);
}
END_TEST

/* What the OS does not take back is no reason to ask it again and again: the test's clock stands still. */
START_TEST(a_run_at_the_limit_is_refused_at_once_where_nothing_goes_back)
{
    static void *chunks[16 * MIB / CHUNK];
    harena_provider *p;
    harena *arena;

    options.limit = 16 * MIB;
    options.retain_percent = HARENA_RETAIN_ALL;
    p = make();
    for (size_t i = 0; i < 16 * MIB / CHUNK; i++)
        chunks[i] = SUCCEEDS(harena_chunk_get(p));
    for (size_t i = 0; i < 16 * MIB / CHUNK; i++) /* a free block, and every second chunk */
        if (i < BLOCK / CHUNK || i % 2 == 0)
            harena_chunk_put(p, chunks[i]);
    refuse_purge = true;
    purges = 0;
    arena = arena_of(p, 0);
    FAILS(ENOMEM, harena_alloc(arena, 2 * BLOCK));
    ck_assert_uint_ge(purges, 1);
    ck_assert_uint_le(purges, 4);
    harena_release(arena);
    for (size_t i = BLOCK / CHUNK + 1; i < 16 * MIB / CHUNK; i += 2)
        harena_chunk_put(p, chunks[i]);
    refuse_purge = false;
    ends_clean(p);
}
END_TEST

/* What is free is not given back for a run that could not be had with all of it either. */
START_TEST(a_run_beyond_all_that_is_free_purges_nothing)
{
    harena_provider *p;
    harena *arena, *other;

    options.limit = 16 * MIB;
    options.retain_percent = HARENA_RETAIN_ALL;
    p = make();
    arena = arena_of(p, 0);
    other = arena_of(p, 0);
    (void)SUCCEEDS(harena_alloc(arena, 8 * MIB));
    (void)SUCCEEDS(harena_alloc(other, 6 * MIB));
    harena_release(other);
    FAILS(ENOMEM, harena_alloc(arena, 10 * MIB));
    ck_assert_uint_eq(purges, 0);
    ck_assert_uint_ge(stats_of(p).free, 6 * MIB);
    harena_release(arena);
    ends_clean(p);
}
END_TEST

/* A look is no purge: it wakes nobody, though a put above the soft limit looks each time. */
START_TEST(puts_above_the_soft_limit_wake_nobody)
{
    uint32_t before;
    harena_provider *p;
    void *chunk;

    options.soft_limit = BLOCK;
    options.limit = 4 * BLOCK;
    p = make();
    for (size_t i = 0; i < 2 * BLOCK / CHUNK; i++)
        chunk = SUCCEEDS(harena_chunk_get(p));
    before = p->reclaims;
    for (int i = 0; i < 1000; i++) {
        harena_chunk_put(p, chunk);
        chunk = SUCCEEDS(harena_chunk_get(p));
    }
    ck_assert_uint_eq(p->reclaims, before);
}
END_TEST

/* ---- requests during a purge ---- */

static struct other {
    harena_provider *p;
    void *chunk;
    int waits;    /* atomic */
    bool is_done; /* atomic */
    pthread_t thread;
} other;

static void note_wait(uint32_t *word, uint32_t seen, int milliseconds)
{
    __atomic_fetch_add(&other.waits, 1, __ATOMIC_RELEASE);
    real.wait(word, seen, milliseconds);
}

static void *ask_for_a_chunk(void *unused)
{
    (void)unused;
    other.chunk = harena_chunk_get(other.p);
    __atomic_store_n(&other.is_done, true, __ATOMIC_RELEASE);
    return NULL;
}

/* All free memory is in this purge's hands when the other thread looks for some. */
static int purge_and_be_asked(void *at, size_t bytes)
{
    ck_assert_int_eq(pthread_create(&other.thread, NULL, ask_for_a_chunk, NULL), 0);
    while (__atomic_load_n(&other.waits, __ATOMIC_ACQUIRE) == 0 &&
           !__atomic_load_n(&other.is_done, __ATOMIC_ACQUIRE))
        sched_yield();
    return counting_purge(at, bytes);
}

/* Whether the purge succeeds, or the OS refuses and what was in hand is warm again. */
static void ask_during_a_purge(bool refuse)
{
    other = (struct other){.p = make()};
    use(other.p, BLOCK);
    refuse_purge = refuse;
    hri_os.purge = purge_and_be_asked;
    ck_assert_uint_eq(harena_provider_trim(other.p, 0), refuse ? 0 : BLOCK);
    ck_assert_int_eq(pthread_join(other.thread, NULL), 0);
    hri_os.purge = counting_purge;
    (void)SUCCEEDS(other.chunk);
    ck_assert_int_gt(other.waits, 0);
    ck_assert_uint_eq(stats_of(other.p).failures, 0);
    harena_chunk_put(other.p, other.chunk);
    ends_clean(other.p);
}

/* One who never lets go, as in a thread that was suspended there. */
START_TEST(who_holds_for_ever_is_not_waited_for_for_ever)
{
    harena_provider *p;
    void *chunk;

    options.limit = CHUNK;
    p = make();
    hri_os.wait = note_wait;
    chunk = SUCCEEDS(harena_chunk_get(p));
    hri_limit_begin_hold(p);
    other.waits = 0;
    FAILS(ENOMEM, harena_chunk_get(p));
    ck_assert_int_gt(other.waits, 0);
    ck_assert_int_le(other.waits, 10);
    hri_limit_end_hold(p, false);
    other.waits = 0;
    FAILS(ENOMEM, harena_chunk_get(p));
    ck_assert_int_eq(other.waits, 0);
    harena_chunk_put(p, chunk);
    ends_clean(p);
}
END_TEST

START_TEST(nobody_is_refused_because_of_a_purge)
{
    options.limit = BLOCK;
    options.retain_percent = HARENA_RETAIN_ALL;
    hri_os.wait = note_wait;
    ask_during_a_purge(false);
    ask_during_a_purge(true);
}
END_TEST

RUN_TESTS_AROUND(
    "retention", set_up, tear_down, tick_halves_what_nobody_touched,
    what_is_touched_each_second_stays, runs_that_are_touched_stay,
    what_is_touched_stays_wherever_it_lies, no_more_stays_than_percent_of_the_recent_peak,
    retain_all_keeps_all, retain_none_keeps_nothing, ballast_is_the_floor,
    early_ticks_do_nothing_but_say_when, nothing_to_do_is_minus_one,
    nothing_to_do_is_minus_one_beside_an_odd_ballast,
    operations_that_pass_by_give_back_a_block_each, refused_purge_changes_nothing,
    soft_limit_says_so_once_and_refuses_nobody,
    free_memory_goes_back_before_a_run_stays_above_the_soft_limit,
    run_above_the_soft_limit_goes_back_when_it_is_put, soft_limit_holds_although_all_is_retained,
    ballast_is_the_floor_below_a_soft_limit, ballast_is_the_floor_whatever_was_due,
    a_run_at_the_limit_takes_no_more_than_it_needs,
    a_run_at_the_limit_is_refused_at_once_where_nothing_goes_back,
    a_run_beyond_all_that_is_free_purges_nothing, puts_above_the_soft_limit_wake_nobody,
    who_holds_for_ever_is_not_waited_for_for_ever, nobody_is_refused_because_of_a_purge)
