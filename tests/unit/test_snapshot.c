/* SPDX-License-Identifier: BSD-2-Clause */
/* The published arena: publish, readers, refusals, the end. */
#include "unit.h"

#include <sched.h>

static harena_provider *provider;
static harena_snapshot snapshot;

static void with_provider(void)
{
    const harena_snapshot fresh = HARENA_SNAPSHOT_INIT;

    provider = provider_of(64 * MIB, 0, NULL);
    snapshot = fresh;
}

static void without_provider(void)
{
    harena_snapshot_fini(&snapshot);
    ends_clean(provider);
}

static void count_up(void *counter)
{
    __atomic_fetch_add((int *)counter, 1, __ATOMIC_RELAXED);
}

/* An arena with 10000 bytes of `value`, published or refused. */
static unsigned char *published(int value, int *cleanups)
{
    harena *arena = arena_of(provider, 0);
    unsigned char *root = memset(SUCCEEDS(harena_alloc(arena, opaque(10000))), value, 10000);

    if (cleanups != NULL)
        ck_assert_int_eq(harena_on_release(arena, count_up, cleanups), 0);
    QUIETLY(ck_assert_int_eq(harena_snapshot_publish(&snapshot, arena, root), 0));
    return root;
}

static void *entered(void)
{
    void *root;

    QUIETLY(root = harena_snapshot_enter(&snapshot));
    return root;
}

static void left(void)
{
    QUIETLY(harena_snapshot_leave(&snapshot));
}

START_TEST(nothing_is_published_at_first)
{
    ck_assert_ptr_null(entered());
    ck_assert_ptr_null(harena_snapshot_read(&snapshot));
    left();
    harena_snapshot_fini(&snapshot);
    ck_assert_ptr_null(entered());
    left();
}
END_TEST

START_TEST(readers_see_the_newest_root)
{
    for (int value = 1; value < 20; value++) {
        unsigned char *root = published(value, NULL);

        ck_assert_ptr_eq(entered(), root);
        ck_assert_ptr_eq(harena_snapshot_read(&snapshot), root);
        ck_assert(all_bytes(root, 10000, (unsigned char)value));
        left();
    }
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_uint_eq(in_use(provider), CHUNK); /* the last one only */
    totals_hold(provider);
}
END_TEST

START_TEST(publish_retires_the_one_before_after_its_readers)
{
    int first = 0, second = 0;
    unsigned char *old = published(0x21, &first), *new;

    ck_assert_ptr_eq(entered(), old);
    new = published(0x22, &second);
    ck_assert_ptr_eq(entered(), new); /* nests; sees the newest */
    left();
    for (int round = 0; round < 20; round++) {
        harena *other = arena_of(provider, 0);

        memset(SUCCEEDS(harena_alloc(other, opaque(30000))), 0xff, 30000);
        harena_release(other);
        sched_yield();
    }
    ck_assert(all_bytes(old, 10000, 0x21));
    ck_assert_int_eq(__atomic_load_n(&first, __ATOMIC_ACQUIRE), 0);
    ck_assert_uint_gt(stats_of(provider).deferred, 0);
    ck_assert_int_eq(harena_provider_barrier(provider), -EDEADLK);
    left();
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_int_eq(first, 1);
    ck_assert_int_eq(second, 0);
    ck_assert(all_bytes(new, 10000, 0x22));
    harena_snapshot_fini(&snapshot); /* here: the cleanup counts on this stack */
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_int_eq(second, 1);
}
END_TEST

START_TEST(null_publishes_nothing)
{
    int cleanups = 0;

    published(1, &cleanups);
    ck_assert_int_eq(harena_snapshot_publish(&snapshot, NULL, NULL), 0);
    ck_assert_ptr_null(entered());
    left();
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_int_eq(cleanups, 1);
    ck_assert_uint_eq(in_use(provider), 0);
    ck_assert_int_eq(harena_snapshot_publish(&snapshot, NULL, NULL), 0); /* again: nothing */
    published(2, &cleanups);
    harena_snapshot_fini(&snapshot); /* here: the cleanup counts on this stack */
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_int_eq(cleanups, 2);
}
END_TEST

START_TEST(a_null_root_may_be_published_with_an_arena)
{
    int cleanups = 0;
    harena *arena = arena_of(provider, 0);

    ck_assert_int_eq(harena_on_release(arena, count_up, &cleanups), 0);
    ck_assert_int_eq(harena_snapshot_publish(&snapshot, arena, NULL), 0);
    ck_assert_ptr_null(entered());
    left();
    harena_snapshot_fini(&snapshot);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_int_eq(cleanups, 1);
}
END_TEST

START_TEST(refusals_change_nothing)
{
    static unsigned char memory[4096];
    unsigned char *root = published(0x31, NULL);
    harena_options options = HARENA_OPTIONS_INIT;
    harena *fixed = SUCCEEDS(harena_create_fixed(memory, sizeof memory, NULL));
    harena *with_first, *arena = arena_of(provider, 0), *lane;
    harena_shared *shared = shared_of(provider, 0);
    harena_view *view = harena_shared_enter(shared);
    static unsigned char first[256];

    options.provider = provider;
    options.first = first;
    options.first_size = sizeof first;
    with_first = SUCCEEDS(harena_create(&options));
    memset(SUCCEEDS(harena_view_alloc(view, opaque(8))), 1, 8);
    lane = harena_view_lane(view);
    QUIETLY(ck_assert_int_eq(harena_snapshot_publish(NULL, arena, NULL), -EINVAL));
    QUIETLY(ck_assert_int_eq(harena_snapshot_publish(NULL, NULL, NULL), -EINVAL));
    QUIETLY(ck_assert_int_eq(harena_snapshot_publish(&snapshot, NULL, memory), -EINVAL));
    QUIETLY(ck_assert_int_eq(harena_snapshot_publish(&snapshot, fixed, memory), -EINVAL));
    QUIETLY(ck_assert_int_eq(harena_snapshot_publish(&snapshot, with_first, first), -EINVAL));
    QUIETLY(ck_assert_int_eq(harena_snapshot_publish(&snapshot, lane, NULL), -EINVAL));
    ck_assert_ptr_eq(entered(), root);
    ck_assert(all_bytes(root, 10000, 0x31));
    left();
    ck_assert_uint_eq(stats_of(provider).retired, 0);
    memset(SUCCEEDS(harena_alloc(arena, opaque(100))), 1, 100); /* all of them live */
    memset(SUCCEEDS(harena_alloc(fixed, opaque(100))), 1, 100);
    memset(SUCCEEDS(harena_alloc(with_first, opaque(100))), 1, 100);
    memset(SUCCEEDS(harena_alloc(lane, opaque(100))), 1, 100);
    harena_shared_leave(shared, view);
    harena_shared_release_now(shared);
    harena_release(arena);
    harena_release(with_first);
    harena_release(fixed);
}
END_TEST

START_TEST(fini_retires_the_last_one)
{
    int cleanups = 0;
    unsigned char *root = published(0x41, &cleanups);

    ck_assert_ptr_eq(entered(), root);
    QUIETLY(harena_snapshot_fini(&snapshot));
    ck_assert(all_bytes(root, 10000, 0x41)); /* the reader inside goes on */
    left();
    ck_assert_ptr_null(entered());
    left();
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_int_eq(cleanups, 1);
    ck_assert_uint_eq(in_use(provider), 0);
    harena_snapshot_fini(&snapshot);
    QUIETLY(harena_snapshot_fini(NULL));
    published(0x42, &cleanups); /* as initialized: it can be used again */
    harena_snapshot_fini(&snapshot);
    ck_assert_int_eq(harena_provider_barrier(provider), 0);
    ck_assert_int_eq(cleanups, 2);
}
END_TEST

START_TEST(arenas_of_several_providers_in_turn)
{
    harena_provider *other = provider_of(64 * MIB, 0, NULL);

    for (int round = 0; round < 10; round++) {
        harena *arena = arena_of(round % 2 ? other : provider, 0);
        unsigned char *root = memset(SUCCEEDS(harena_alloc(arena, opaque(100))), round, 100);

        ck_assert_int_eq(harena_snapshot_publish(&snapshot, arena, root), 0);
        ck_assert(all_bytes(entered(), 100, (unsigned char)round));
        left();
    }
    harena_snapshot_fini(&snapshot);
    ends_clean(other);
}
END_TEST

struct readers {
    int stop;   /* atomic */
    int broken; /* atomic */
    int reads;  /* atomic */
};

static void *read_on(void *ctx)
{
    struct readers *readers = ctx;
    unsigned char value = 0;

    while (!__atomic_load_n(&readers->stop, __ATOMIC_ACQUIRE)) {
        unsigned char *root = harena_snapshot_enter(&snapshot);

        for (int looks = 0; looks < 3 && root != NULL; looks++) { /* others go on between them */
            if (looks == 0)
                value = root[0];
            if (!all_bytes(root, 10000, value))
                __atomic_store_n(&readers->broken, 1, __ATOMIC_RELEASE);
            sched_yield();
        }
        harena_snapshot_leave(&snapshot);
        __atomic_fetch_add(&readers->reads, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

START_TEST(a_reader_never_sees_half_of_one)
{
    struct readers readers = {0, 0, 0};
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, read_on, &readers), 0);
    for (int value = 0; value < 500 || __atomic_load_n(&readers.reads, __ATOMIC_ACQUIRE) < 2000;
         value++) {
        published(value, NULL);
        if (value % 100 == 0) /* no more than that is held back at once */
            ck_assert_int_eq(harena_provider_barrier(provider), 0);
    }
    __atomic_store_n(&readers.stop, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    ck_assert_int_eq(readers.broken, 0);
}
END_TEST

RUN_TESTS_AROUND("snapshot", with_provider, without_provider, nothing_is_published_at_first,
                 readers_see_the_newest_root, publish_retires_the_one_before_after_its_readers,
                 null_publishes_nothing, a_null_root_may_be_published_with_an_arena,
                 refusals_change_nothing, fini_retires_the_last_one,
                 arenas_of_several_providers_in_turn, a_reader_never_sees_half_of_one)
