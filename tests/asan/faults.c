/* SPDX-License-Identifier: BSD-2-Clause */
/* Each case touches a byte of an arena's memory that is no object's, and says which before it does; AddressSanitizer must
 * stop it there. Without an argument it prints the names of the cases. */
#include <harena.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void *must(void *at)
{
    if (at != NULL)
        return at;
    fprintf(stderr, "no memory for the case\n");
    exit(3);
}

static void touch(const void *at, size_t offset)
{
    const volatile char *byte = (const volatile char *)at + offset;

    printf("0x%012" PRIxPTR "\n", (uintptr_t)byte);
    fflush(stdout);
    (void)*byte;
}

static harena *arena_of(size_t alignment, bool zero)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.alignment = alignment;
    options.zero = zero;
    return must(harena_create(&options));
}

/* ---- an arena ---- */

static void reset(void)
{
    harena *a = must(harena_create(NULL));
    char *at = must(harena_alloc(a, 24));

    harena_reset(a);
    touch(at, 3);
}

/* Of a chunk that the reset keeps, and of one that it gives back. */
static void reset_of_much(size_t which)
{
    harena_options options = HARENA_OPTIONS_INIT;
    char *at[8];
    harena *a;

    options.retain = 4 * HARENA_CHUNK_SIZE;
    a = must(harena_create(&options));
    for (size_t i = 0; i < COUNT(at); i++)
        at[i] = must(harena_alloc(a, HARENA_CHUNK_SIZE));
    harena_reset(a);
    touch(at[which], 4711);
}

static void reset_kept(void)
{
    reset_of_much(0);
}

static void reset_spare(void)
{
    reset_of_much(2);
}

static void reset_given_back(void)
{
    reset_of_much(7);
}

static void reset_of_a_run(void)
{
    harena *a = arena_of(0, true);
    char *at = must(harena_alloc(a, 300001));

    harena_reset(a);
    touch(at, 300000);
}

static void rewound(void)
{
    harena *a = arena_of(0, false);
    harena_mark mark = harena_mark_get(a);
    char *at = must(harena_alloc(a, 100));

    if (harena_rewind(a, mark) != 0)
        exit(3);
    touch(at, 0);
}

static void rewound_run(void)
{
    harena *a = arena_of(0, false);
    char *at = must(harena_alloc(a, 100000));
    harena_mark mark = harena_mark_get(a);

    at = must(harena_alloc(a, 30001));
    if (harena_rewind(a, mark) != 0)
        exit(3);
    touch(at, 30000);
}

static void rewound_chunks(void)
{
    harena *a = arena_of(0, true);
    harena_mark mark = harena_mark_get(a);
    char *at = NULL;

    for (int i = 0; i < 3000; i++)
        at = must(harena_alloc(a, 100));
    if (harena_rewind(a, mark) != 0)
        exit(3);
    touch(at, 99);
}

static void frame_over(void)
{
    harena *a = arena_of(0, false);
    char *at;

    must(harena_alloc(a, 100));
    harena_keep(a);
    at = must(harena_alloc(a, 100));
    harena_reset(a);
    touch(at, 99);
}

static void scratch_over(void)
{
    harena *scratch = must(harena_scratch_begin(NULL));
    char *at = must(harena_alloc(scratch, 100));

    harena_scratch_end(scratch);
    touch(at, 0);
}

static void absorbed_and_reset(void)
{
    harena *a = arena_of(0, false), *from = arena_of(0, false);
    char *at = must(harena_alloc(from, 100));

    if (harena_absorb(a, from) != 0)
        exit(3);
    memset(at, 1, 100);
    harena_reset(a);
    touch(at, 0);
}

static void release(void)
{
    harena *a = must(harena_create(NULL));
    char *at = must(harena_alloc(a, 100));

    harena_release(a);
    touch(at, 99);
}

static void release_and_trim(void)
{
    harena *a = must(harena_create(NULL));
    char *at = must(harena_alloc(a, (size_t)8 << 20));

    harena_release(a);
    if (harena_provider_trim(NULL, 0) == 0)
        exit(3);
    touch(at, (size_t)4 << 20);
}

static void release_rcu(void)
{
    harena *a = must(harena_create(NULL));
    char *at = must(harena_alloc(a, 100));

    harena_provider_read_lock(NULL);
    harena_release_rcu(a);
    memset(at, 1, 100); /* a reader may */
    harena_provider_read_unlock(NULL);
    if (harena_provider_barrier(NULL) != 0)
        exit(3);
    touch(at, 50);
}

static void overflow(void)
{
    harena *a = must(harena_create(NULL));
    char *at = must(harena_alloc(a, 13));

    must(harena_alloc(a, 13));
    touch(at, 13);
}

static void overflow_of_16(void)
{
    harena *a = must(harena_create(NULL));
    char *at = must(harena_alloc(a, 16));

    touch(at, 16);
}

static void overflow_of_zeroed(void)
{
    harena *a = arena_of(0, true);
    char *at = must(harena_alloc_zeroed(a, 21));

    touch(at, 21);
}

static void overflow_of_aligned(void)
{
    harena *a = arena_of(256, false);
    char *at = must(harena_alloc_aligned(a, 100, 1024));

    must(harena_alloc(a, 1));
    touch(at, 100);
}

static void overflow_of_large(void)
{
    harena *a = must(harena_create(NULL));
    char *at = must(harena_alloc(a, 100001));

    must(harena_alloc(a, 100001));
    touch(at, 100001);
}

static void overflow_of_text(void)
{
    harena *a = must(harena_create(NULL));
    char *at = must(harena_strdup(a, "four"));

    must(harena_strdup(a, "more"));
    touch(at, 5);
}

static void overflow_of_printf(void)
{
    harena *a = must(harena_create(NULL));
    char *at = must(harena_printf(a, "%d", 12345));

    touch(at, 6);
}

static void overflow_of_array(void)
{
    HARENA_ARRAY(int) numbers = {0};
    harena *a = must(harena_create(NULL));

    if (!harena_array_push(a, &numbers, 1))
        exit(3);
    touch(numbers.items, numbers.cap * sizeof(*numbers.items));
}

static void overflow_of_buf(void)
{
    harena_buf b;

    harena_buf_init(&b, must(harena_create(NULL)));
    if (harena_buf_write_string(&b, "text") != 0)
        exit(3);
    touch(b.data, b.cap);
}

static void realloc_shrunk(void)
{
    harena *a = must(harena_create(NULL));
    char *at = must(harena_alloc(a, 200));

    at = must(harena_realloc(a, at, 200, 100));
    touch(at, 100);
}

static void realloc_shrunk_inside(void)
{
    harena *a = must(harena_create(NULL));
    char *at = must(harena_alloc(a, 200));

    must(harena_alloc(a, 1));
    at = must(harena_realloc(a, at, 200, 100));
    touch(at, 199);
}

static void realloc_grown(void)
{
    harena *a = arena_of(0, true);
    char *at = must(harena_alloc(a, 10));

    at = must(harena_realloc(a, at, 10, 12));
    touch(at, 12);
}

static void realloc_grown_large(void)
{
    harena *a = must(harena_create(NULL));
    char *at = must(harena_alloc(a, 70000));

    at = must(harena_realloc(a, at, 70000, 90001));
    touch(at, 90001);
}

static void pool_give(void)
{
    harena_pool *pool = must(harena_pool_create(NULL));
    harena *a = must(harena_pool_acquire(pool, 1));
    char *at = must(harena_alloc(a, 64));

    harena_pool_give(pool, a);
    touch(at, 63);
}

/* ---- the caller's memory ---- */

static char own[4096];

static void fixed_behind(void)
{
    harena *a = must(harena_create_fixed(own, sizeof(own), NULL));
    char *at = must(harena_alloc(a, 40));

    touch(at, 40);
}

static void fixed_reset(void)
{
    harena *a = must(harena_create_fixed(own, sizeof(own), NULL));
    char *at = must(harena_alloc(a, 40));

    harena_reset(a);
    touch(at, 0);
}

static void first_reset(void)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *a;
    char *at;

    options.first = own;
    options.first_size = sizeof(own);
    a = must(harena_create(&options));
    at = must(harena_alloc(a, 40));
    must(harena_alloc(a, 50000));
    harena_reset(a);
    touch(at, 32);
}

/* ---- shared arenas, snapshots, raw chunks ---- */

static harena_shared *shared_of(bool no_lanes)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;

    options.no_lanes = no_lanes;
    return must(harena_shared_create(&options));
}

static void shared_reset(void)
{
    harena_shared *s = shared_of(false);
    harena_view *view = harena_shared_enter(s);
    char *at = must(harena_view_alloc(view, 77));

    harena_shared_leave(s, view);
    if (harena_shared_reset(s) != 0 || harena_provider_barrier(NULL) != 0)
        exit(3);
    touch(at, 76);
}

static void shared_reset_now(void)
{
    harena_shared *s = shared_of(false);
    char *at = must(harena_shared_alloc(s, 200000));

    if (harena_shared_reset_now(s) != 0)
        exit(3);
    must(harena_shared_alloc(s, 200000));
    touch(at, 200000);
}

static void overflow_in_lane(void)
{
    harena_shared *s = shared_of(false);
    char *at;

    must(harena_shared_alloc(s, 1));
    at = must(harena_shared_alloc(s, 9));
    must(harena_shared_alloc(s, 9));
    touch(at, 9);
}

static void overflow_of_atomic(void)
{
    harena_shared *s = shared_of(false);
    char *at = must(harena_shared_alloc_atomic(s, 1000));

    touch(at, 1000);
}

static void overflow_without_lanes(void)
{
    harena_shared *s = shared_of(true);
    char *at = must(harena_shared_alloc_zeroed(s, 30));

    must(harena_shared_alloc_zeroed(s, 30));
    touch(at, 30);
}

static void overflow_of_shared_text(void)
{
    harena_shared *s = shared_of(false);
    char *at = must(harena_shared_printf(s, "%s", "abc"));

    touch(at, 4);
}

static void snapshot_replaced(void)
{
    harena_snapshot snapshot = HARENA_SNAPSHOT_INIT;
    harena *a = must(harena_create(NULL));
    char *at = must(harena_strdup(a, "the first version"));

    if (harena_snapshot_publish(&snapshot, a, at) != 0)
        exit(3);
    harena_snapshot_fini(&snapshot);
    if (harena_provider_barrier(NULL) != 0)
        exit(3);
    touch(at, 0);
}

static void raw_chunk(void)
{
    char *at = must(harena_chunk_get(NULL));

    memset(at, 1, HARENA_CHUNK_SIZE);
    harena_chunk_put(NULL, at);
    touch(at, HARENA_CHUNK_SIZE - 1);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"reset", reset},
    {"reset_kept", reset_kept},
    {"reset_spare", reset_spare},
    {"reset_given_back", reset_given_back},
    {"reset_of_a_run", reset_of_a_run},
    {"rewound", rewound},
    {"rewound_run", rewound_run},
    {"rewound_chunks", rewound_chunks},
    {"frame_over", frame_over},
    {"scratch_over", scratch_over},
    {"absorbed_and_reset", absorbed_and_reset},
    {"release", release},
    {"release_and_trim", release_and_trim},
    {"release_rcu", release_rcu},
    {"overflow", overflow},
    {"overflow_of_16", overflow_of_16},
    {"overflow_of_zeroed", overflow_of_zeroed},
    {"overflow_of_aligned", overflow_of_aligned},
    {"overflow_of_large", overflow_of_large},
    {"overflow_of_text", overflow_of_text},
    {"overflow_of_printf", overflow_of_printf},
    {"overflow_of_array", overflow_of_array},
    {"overflow_of_buf", overflow_of_buf},
    {"realloc_shrunk", realloc_shrunk},
    {"realloc_shrunk_inside", realloc_shrunk_inside},
    {"realloc_grown", realloc_grown},
    {"realloc_grown_large", realloc_grown_large},
    {"pool_give", pool_give},
    {"fixed_behind", fixed_behind},
    {"fixed_reset", fixed_reset},
    {"first_reset", first_reset},
    {"shared_reset", shared_reset},
    {"shared_reset_now", shared_reset_now},
    {"overflow_in_lane", overflow_in_lane},
    {"overflow_of_atomic", overflow_of_atomic},
    {"overflow_without_lanes", overflow_without_lanes},
    {"overflow_of_shared_text", overflow_of_shared_text},
    {"snapshot_replaced", snapshot_replaced},
    {"raw_chunk", raw_chunk},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (argc < 2) {
            puts(cases[i].name);
        } else if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 2; /* nobody has stopped it */
        }
    }
    return argc < 2 ? 0 : 3;
}
