/* SPDX-License-Identifier: BSD-2-Clause */
/* A program without a mistake, in which AddressSanitizer must find none: every way to get memory, at odd sizes, written as
 * a whole. And what it gets is shown exactly: asked of AddressSanitizer itself. The seed is the argument, or the time. */
#include <harena.h>
#include <inttypes.h>
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 16, OBJECTS = 300, THREADS = 4 };

static void stop(const char *what, int line)
{
    fprintf(stderr, "line %d: not so: %s\n", line, what);
    abort();
}
#define EXPECT(condition) ((condition) ? (void)0 : stop(#condition, __LINE__))

static uint64_t next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random >> 11;
}

/* Small mostly, up to 200 KiB at times. */
static size_t size_of(uint64_t *random)
{
    static const size_t most[] = {40, 40, 40, 300, 300, 5000, 70000, 200000};

    return 1 + next(random) % most[next(random) % 8];
}

/* All of it is shown, and nothing behind it up to where the next one may begin. */
static void check_shown(const void *at, size_t size, bool zero)
{
    const char *bytes = at;
    size_t rounded = (size + 15) / 16 * 16;

    EXPECT(__asan_region_is_poisoned((void *)at, size) == NULL);
    for (size_t i = size; i < rounded; i++)
        EXPECT(__asan_address_is_poisoned(bytes + i));
    for (size_t i = 0; zero && i < size; i++)
        EXPECT(bytes[i] == 0);
}

static void *use(void *at, size_t size, bool zero)
{
    EXPECT(at != NULL);
    check_shown(at, size, zero);
    memset(at, 0xa5, size);
    return at;
}

/* ---- what works on arenas and on lanes ---- */

static void texts(harena *a)
{
    char *text = harena_printf(a, "%s, %d times: %*s", "text", 3, 700, "far");

    EXPECT(text != NULL && strlen(text) == 715);
    check_shown(text, strlen(text) + 1, false);
    text = harena_strndup(a, text, 21);
    EXPECT(text != NULL && strlen(text) == 21);
    check_shown(text, 22, false);
    EXPECT(strcmp(harena_memdup(a, text, 22), text) == 0);
}

static void reallocs(harena *a, bool zero, uint64_t *random)
{
    size_t size = size_of(random), other;
    char *at = use(harena_alloc(a, size), size, zero);

    for (int i = 0; i < 12; i++, size = other) {
        other = i % 3 == 0 ? size / 2 + 1 : size + size_of(random);
        at = harena_realloc(a, at, size, other);
        EXPECT(at != NULL);
        check_shown(at, other, false);
        for (size_t j = size; zero && j < other; j++)
            EXPECT(at[j] == 0);
        memset(at, 0xa5, other);
        if (i % 4 == 3)
            use(harena_alloc(a, 7), 7, zero);
    }
}

/* What lies before a mark stays shown, what is rewound is hidden. */
static void marks(harena *a, bool zero, uint64_t *random)
{
    char *before = use(harena_alloc(a, 33), 33, zero), *at;
    harena_mark outer = harena_mark_get(a), inner;
    size_t size;

    if (outer.opaque[0] == 0)
        return; /* a lane has none */
    for (int i = 0; i < 20; i++) {
        size = size_of(random);
        at = use(harena_alloc(a, size), size, zero);
        inner = harena_mark_get(a);
        use(harena_alloc(a, size), size, zero);
        EXPECT(harena_rewind(a, inner) == 0);
        check_shown(at, size, false);
        if (i % 4 != 3)
            continue;
        EXPECT(harena_rewind(a, outer) == 0);
        EXPECT(__asan_address_is_poisoned(at) && __asan_address_is_poisoned(at + size - 1));
        check_shown(before, 33, false);
    }
}

static void containers(harena *a, uint64_t *random)
{
    HARENA_ARRAY(uint64_t) numbers = {0};
    harena_buf b;
    int fds[2];

    harena_buf_init(&b, a);
    for (uint64_t i = 0; i < 2000; i++) {
        EXPECT(harena_array_push(a, &numbers, i));
        EXPECT(harena_buf_printf(&b, "%" PRIu64 " ", next(random)) == 0);
    }
    EXPECT(harena_array_append(a, &numbers, numbers.items, 1000) && numbers.items[2999] == 999);
    EXPECT(pipe(fds) == 0);
    EXPECT(harena_buf_truncate(&b, 3000) == 0);
    EXPECT(harena_buf_write_to(&b, fds[1]) == 3000 && close(fds[1]) == 0);
    EXPECT(harena_buf_read_from(&b, fds[0]) == 3000 && close(fds[0]) == 0);
    EXPECT(strlen(harena_buf_string(&b)) == 3000);
}

static void allocate(harena *a, bool zero, uint64_t *random)
{
    for (int i = 0; i < OBJECTS; i++) {
        size_t size = size_of(random), alignment = (size_t)16 << next(random) % 9;

        switch (next(random) % 5) {
        case 0:
            use(harena_alloc_zeroed(a, size), size, true);
            break;
        case 1:
            use(harena_alloc_aligned(a, size, alignment), size, zero);
            break;
        case 2:
            use(harena_alloc_aligned_zeroed(a, size, alignment), size, true);
            break;
        default:
            use(harena_alloc(a, size), size, zero);
        }
    }
    texts(a);
    reallocs(a, zero, random);
    marks(a, zero, random);
    containers(a, random);
}

static void count(void *counter)
{
    ++*(int *)counter;
}

/* ---- arenas ---- */

static void arenas(harena_provider *p, uint64_t *random)
{
    harena_options options = HARENA_OPTIONS_INIT;
    int cleanups = 0;
    harena *a;

    options.provider = p;
    for (unsigned i = 0; i < ROUNDS; i++) {
        options.zero = i % 2 != 0;
        options.alignment = i % 5 == 0 ? 64 : 0;
        options.retain = i % 3 == 0 ? (size_t)1 << 20 : 0;
        options.initial = i % 4 == 0 ? 300000 : 0;
        a = harena_create(&options);
        EXPECT(a != NULL);
        for (int turn = 0; turn < 3; turn++) {
            EXPECT(harena_on_release(a, count, &cleanups) == 0);
            allocate(a, options.zero, random);
            harena_reset(a);
        }
        if (i % 2 == 0)
            harena_release(a);
        else
            harena_release_rcu(a);
    }
    EXPECT(harena_provider_barrier(p) == 0 && cleanups == 3 * ROUNDS);
}

/* The caller's memory is its own again after the release. */
static void own_memory(harena_provider *p, uint64_t *random)
{
    static char memory[100001];
    harena_options options = HARENA_OPTIONS_INIT, first = HARENA_OPTIONS_INIT;
    size_t offset = next(random) % 40, size = sizeof(memory) - offset;
    harena *a;

    options.zero = offset % 2 != 0;
    a = harena_create_fixed(memory + offset, size, &options);
    EXPECT(a != NULL);
    for (int turn = 0; turn < 2; turn++) {
        while (harena_alloc(a, 1000) != NULL)
            use(harena_alloc(a, 3), 3, options.zero);
        harena_reset(a);
    }
    harena_release(a);
    memset(memory, 1, sizeof(memory));
    EXPECT(harena_create_fixed(memory + offset, size, &options) != NULL); /* and never released */
    first.provider = p;
    first.zero = options.zero;
    first.first = memory + offset;
    first.first_size = size;
    a = harena_create(&first);
    EXPECT(a != NULL);
    allocate(a, first.zero, random);
    harena_reset(a);
    allocate(a, first.zero, random);
    harena_release(a);
    memset(memory, 2, sizeof(memory));
}

static void pools(harena_provider *p, uint64_t *random)
{
    harena_pool_options options = HARENA_POOL_OPTIONS_INIT;
    harena_pool *pool;

    options.arena.provider = p;
    pool = harena_pool_create(&options);
    EXPECT(pool != NULL);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        harena *a = harena_pool_acquire(pool, i % 3);

        EXPECT(a != NULL);
        allocate(a, false, random);
        harena_pool_give(pool, a);
    }
    harena_pool_destroy(pool);
}

/* ---- shared arenas ---- */

struct crowd {
    harena_shared *s;
    bool zero;
    uint64_t seed;
};

static void *member(void *shared)
{
    struct crowd *c = shared;
    uint64_t random = __atomic_add_fetch(&c->seed, 0x9e3779b97f4a7c15, __ATOMIC_RELAXED);

    for (int i = 0; i < ROUNDS; i++) {
        harena_view *view = harena_shared_enter(c->s);
        size_t size = size_of(&random);

        use(harena_view_alloc_atomic(view, size), size, c->zero);
        use(harena_view_alloc(view, size), size, c->zero);
        use(harena_view_alloc_zeroed(view, size), size, true);
        use(harena_view_alloc_aligned(view, size, 512), size, c->zero);
        if (i % 8 == 0)
            allocate(harena_view_lane(view), c->zero, &random);
        harena_shared_leave(c->s, view);
        if (i % 4 == 0)
            EXPECT(harena_shared_reset(c->s) == 0);
    }
    return NULL;
}

static void crowds(harena_provider *p, uint64_t *random)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;
    pthread_t threads[THREADS];
    struct crowd crowd;

    options.provider = p;
    for (unsigned i = 0; i < 4; i++) {
        options.zero = i % 2 != 0;
        options.no_lanes = i == 2;
        options.alignment = i == 3 ? 128 : 0;
        crowd = (struct crowd){harena_shared_create(&options), options.zero, next(random)};
        EXPECT(crowd.s != NULL);
        for (int t = 0; t < THREADS; t++)
            EXPECT(pthread_create(&threads[t], NULL, member, &crowd) == 0);
        for (int t = 0; t < THREADS; t++)
            EXPECT(pthread_join(threads[t], NULL) == 0);
        harena_shared_release(crowd.s);
    }
    EXPECT(harena_provider_barrier(p) == 0);
}

/* ---- providers ---- */

static void *source_reserve(void *ctx, size_t bytes, size_t align)
{
    return aligned_alloc(*(size_t *)ctx = align, bytes);
}

/* Writes where it purges. */
static int source_purge(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    memset(at, 0, bytes);
    return 0;
}

static void source_release(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    memset(at, 3, bytes); /* it is the application's again */
    free(at);
}

static void all(harena_provider *p, uint64_t *random)
{
    char *chunk = harena_chunk_get(p);

    EXPECT(chunk != NULL);
    memset(chunk, 1, HARENA_CHUNK_SIZE);
    harena_chunk_put(p, chunk);
    arenas(p, random);
    own_memory(p, random);
    pools(p, random);
    crowds(p, random);
    harena_provider_trim(p, 0);
    arenas(p, random);
}

static void own_source(uint64_t *random)
{
    size_t align;
    harena_page_source source = {&align, source_reserve, NULL, source_purge, source_release, false};
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider *p;

    options.page_source = &source;
    options.reserve = (size_t)512 << 20;
    options.ballast = (size_t)1 << 20;
    p = harena_provider_create(&options);
    EXPECT(p != NULL);
    all(p, random);
    EXPECT(harena_provider_destroy(p) == 0);
}

/* What had been a region is anybody's: mapped anew, it is not poisoned. */
static void region_again(uint64_t *random)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_provider *p;
    void *chunk, *at;

    options.reserve = (size_t)64 << 20;
    p = harena_provider_create(&options);
    EXPECT(p != NULL);
    chunk = harena_chunk_get(p);
    EXPECT(chunk != NULL);
    harena_chunk_put(p, chunk);
    arenas(p, random);
    EXPECT(harena_provider_destroy(p) == 0);
    at = mmap(chunk, HARENA_CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(at != MAP_FAILED);
    EXPECT(__asan_region_is_poisoned(at, HARENA_CHUNK_SIZE) == NULL);
    munmap(at, HARENA_CHUNK_SIZE);
}

int main(int argc, char **argv)
{
    uint64_t random = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);

    printf("seed=%" PRIu64 "\n", random);
    fflush(stdout);
    random = random * 2 + 1;
    all(harena_provider_default(), &random);
    own_source(&random);
    region_again(&random);
    puts("clean");
    return 0;
}
