/* SPDX-License-Identifier: BSD-2-Clause */
/* Random sequences of all operations, by one thread, against a model that is a plain list of what is
 * alive: nothing overlaps, contents last until reset, cleanups run newest first, totals always hold. */
#include "../support/rng.h"
#include "../support/stamp.h"
#include "../support/suite.h"
#include "../unit/unit.h"

#include <stdarg.h>

enum {
    RUNS = 16,
    STEPS = 2500,
    ARENAS = 5,
    SHARED = 3,
    OBJECTS = 4000,
    CHUNKS = 8,
    VIEWS = 4,
    CLEANUPS = 64
};
#define REGION (96 * MIB)

/* ---- the model ---- */

/* Something that was handed out and must stay as it was written. */
struct object {
    unsigned char *at;
    size_t size;
    uint64_t stamp;
    unsigned holder; /* the life that it belongs to: an arena's between resets, or a generation */
};

struct cleanup {
    unsigned id;
};

/* An arena, with what was asked of it. */
struct arena_model {
    harena *arena;
    harena_options options;
    unsigned holder;
    bool failed;
    size_t peak;
    unsigned char *first;
    struct cleanup *registered[CLEANUPS]; /* oldest first */
    size_t registrations;
};

struct shared_model {
    harena_shared *shared;
    harena_shared_options options;
    unsigned holder;
    bool failed;
};

/* A view that is entered; they are left in the order of a stack. */
struct view_model {
    struct shared_model *of;
    harena_shared *shared;
    harena_view *view;
    unsigned holder; /* its generation; another than the arena's if that was reset */
};

static struct {
    test_rng rng;
    unsigned run, step;
    const char *doing;
    harena_provider *provider;
    struct events events;
    size_t limit;
    struct arena_model arenas[ARENAS];
    struct shared_model shared[SHARED];
    struct view_model views[VIEWS];
    size_t view_count;
    unsigned char *chunks[CHUNKS];
    struct object objects[OBJECTS];
    size_t object_count;
    uint64_t stamps;
    unsigned holders;
    unsigned cleanup_ids;
    bool late; /* a retired generation may have taken more since */
} m;

/* What cleanups ran, in order; those of shared arenas on another thread are counted only. */
static unsigned ran[100000];
static size_t ran_count;
static unsigned shared_registered, shared_ran;

#define HOLDS(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            ck_abort_msg("run %u, step %u, %s (line %d): %s", m.run, m.step, m.doing, __LINE__,    \
                         #condition);                                                              \
    } while (0)

static uint64_t below(uint64_t n)
{
    return test_below(&m.rng, n);
}

/* Sizes as programs ask for them: mostly small, at times at a boundary, seldom large. */
static size_t some_size(void)
{
    switch (below(20)) {
    case 0:
        return 0;
    case 1:
        return below(3000);
    case 2:
        return 2048 * (1 + below(64)) - 8 + below(17);
    case 3:
        return below(40) == 0 ? below(3 * MIB) : below(20000);
    case 4:
        return below(8) == 0 ? CHUNK * (1 + below(4)) - 2 + below(4) : below(300);
    default:
        return below(250);
    }
}

static size_t some_alignment(void)
{
    return (size_t)1 << (below(8) == 0 ? below(17) : below(7));
}

/* ---- objects ---- */

static struct object *overlapping(const unsigned char *at, size_t size)
{
    for (size_t i = 0; i < m.object_count; i++)
        if (at < m.objects[i].at + m.objects[i].size && m.objects[i].at < at + size)
            return &m.objects[i];
    return NULL;
}

static bool intact(const struct object *object)
{
    return test_stamp_intact(object->at, object->size, object->stamp);
}

/* Notes what was handed out. */
static void add_object(void *at, size_t size, unsigned holder)
{
    struct object *object;

    if (size == 0)
        return;
    HOLDS(overlapping(at, size) == NULL);
    HOLDS(m.object_count < OBJECTS);
    object = &m.objects[m.object_count++];
    *object = (struct object){at, size, test_stamp(m.run, ++m.stamps), holder};
    test_stamp_fill(at, size, object->stamp);
}

static void drop_object(struct object *object)
{
    HOLDS(intact(object));
    *object = m.objects[--m.object_count];
}

/* The holder's memory is about to go: it must have been intact to the last. */
static void drop_holder(unsigned holder)
{
    for (size_t i = m.object_count; i-- > 0;)
        if (m.objects[i].holder == holder)
            drop_object(&m.objects[i]);
}

static size_t bytes_of_holder(unsigned holder)
{
    size_t sum = 0;

    for (size_t i = 0; i < m.object_count; i++)
        if (m.objects[i].holder == holder)
            sum += (m.objects[i].size + 15) / 16 * 16;
    return sum;
}

static struct object *some_object_of(unsigned holder)
{
    for (int tries = 0; tries < 20 && m.object_count > 0; tries++) {
        struct object *object = &m.objects[below(m.object_count)];

        if (object->holder == holder)
            return object;
    }
    return NULL;
}

/* Whether a refusal of `size` bytes can be in order at all. */
static bool may_refuse(size_t size, size_t limit)
{
    return limit != 0 || m.limit != 0 || size > REGION ||
           stats_of(m.provider).committed + size + 4 * MIB > REGION;
}

/* ---- arenas ---- */

static void note_run(void *ctx)
{
    struct cleanup *cleanup = ctx;

    if (ran_count < sizeof ran / sizeof *ran)
        ran[ran_count++] = cleanup->id;
    free(cleanup);
}

static void create_arena(struct arena_model *a)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.provider = m.provider;
    options.limit = below(3) == 0 ? CHUNK * (1 + below(40)) : 0;
    options.alignment = below(4) == 0 ? some_alignment() : 0;
    options.zero = below(4) == 0;
    options.retain_none = below(4) == 0;
    if (!options.retain_none && below(3) == 0)
        options.retain = below(MIB);
    if (below(5) == 0)
        options.initial = below(6 * CHUNK);
    a->first = NULL;
    if (below(5) == 0) {
        options.first_size = 1 + below(20000);
        options.first = a->first = malloc(options.first_size);
        memset(a->first, 0xa5, options.first_size);
    }
    errno = SENTINEL;
    a->arena = harena_create(&options);
    if (a->arena == NULL) {
        HOLDS(errno == ENOMEM && options.initial != 0 &&
              may_refuse(options.initial, options.limit));
        free(a->first);
        return;
    }
    HOLDS(errno == SENTINEL);
    a->options = options;
    a->holder = ++m.holders;
    a->failed = false;
    a->peak = 0;
    a->registrations = 0;
    HOLDS(harena_len(a->arena) == 0 && harena_cap(a->arena) >= options.initial);
}

/* Objects that an arena would still hold are dropped before it lets go; its cleanups must then run, newest first. */
static void cleanups_ran(struct arena_model *a, size_t before)
{
    HOLDS(ran_count == before + a->registrations);
    for (size_t i = 0; i < a->registrations; i++)
        HOLDS(ran[before + i] == (unsigned)(uintptr_t)a->registered[a->registrations - 1 - i]);
    a->registrations = 0;
}

/* What runs frees its record: the model remembers the numbers only. */
static void remember_ids(struct arena_model *a)
{
    for (size_t i = 0; i < a->registrations; i++)
        a->registered[i] = (struct cleanup *)(uintptr_t)a->registered[i]->id;
}

static void reset_arena(struct arena_model *a)
{
    size_t before = ran_count, keep = a->options.retain_none ? 0
                                      : a->options.retain    ? a->options.retain
                                      : a->options.initial > CHUNK
                                          ? (a->options.initial + CHUNK - 1) / CHUNK * CHUNK
                                          : CHUNK;

    drop_holder(a->holder);
    remember_ids(a);
    harena_reset(a->arena);
    cleanups_ran(a, before);
    a->holder = ++m.holders;
    a->failed = false;
    HOLDS(harena_len(a->arena) == 0);
    HOLDS(harena_cap(a->arena) <= keep + a->options.first_size);
}

static void release_arena(struct arena_model *a)
{
    size_t before = ran_count;

    drop_holder(a->holder);
    remember_ids(a);
    if (below(2) == 0 || a->first != NULL || m.view_count > 0 || m.step == STEPS) {
        harena_release(a->arena);
    } else {
        harena_release_rcu(a->arena);
        HOLDS(harena_provider_barrier(m.provider) == 0);
    }
    cleanups_ran(a, before);
    free(a->first);
    a->arena = NULL;
    a->first = NULL;
}

/* An allocation by one of all the ways. */
static void alloc_of_arena(struct arena_model *a)
{
    size_t size = some_size(), alignment = 16, written = 0;
    bool zeroed = a->options.zero;
    unsigned char *at;
    char text[512];

    errno = SENTINEL;
    switch (below(10)) {
    case 0:
        at = harena_alloc_zeroed(a->arena, size);
        zeroed = true;
        break;
    case 1:
        alignment = some_alignment();
        at = harena_alloc_aligned(a->arena, size, alignment);
        break;
    case 2:
        alignment = some_alignment();
        at = harena_alloc_aligned_zeroed(a->arena, size, alignment);
        zeroed = true;
        break;
    case 3:
        size = size / 3 * 3;
        at = harena_alloc_array(a->arena, size / 3, 3);
        break;
    case 4:
        at = harena_alloc(a->arena, 40);
        size = 40;
        break;
    case 5:
        size = below(sizeof text - 1);
        memset(text, 'p', size);
        text[size] = '\0';
        at = (unsigned char *)(below(2) ? harena_strdup(a->arena, text)
                                        : harena_printf(a->arena, "%s", text));
        written = ++size;
        HOLDS(at == NULL || strcmp((char *)at, text) == 0);
        break;
    default:
        at = harena_alloc(a->arena, opaque(size));
    }
    if (at == NULL) {
        HOLDS(errno == ENOMEM && size > 0);
        HOLDS(may_refuse(size + alignment, a->options.limit));
        a->failed = true;
        return;
    }
    HOLDS(errno == SENTINEL);
    if (size == 0)
        return;
    HOLDS(aligned_to(at, 16) && aligned_to(at, alignment) &&
          (a->options.alignment == 0 || aligned_to(at, a->options.alignment)));
    HOLDS(harena_contains(a->arena, at) && harena_contains(a->arena, at + size - 1));
    if (zeroed && written == 0)
        HOLDS(all_bytes(at, size, 0));
    add_object(at, size, a->holder);
}

static void realloc_of_arena(struct arena_model *a)
{
    struct object *object = some_object_of(a->holder);
    size_t size = some_size(), before;
    unsigned char *at, *old;
    uint64_t stamp;

    if (object == NULL)
        return;
    HOLDS(intact(object));
    before = object->size;
    stamp = object->stamp;
    old = object->at;
    errno = SENTINEL;
    at = harena_realloc(a->arena, old, before, opaque(size));
    HOLDS(at != NULL || intact(object)); /* what it has lost is not to be read */
    if (at == NULL) {
        HOLDS(errno == ENOMEM && may_refuse(size, a->options.limit));
        a->failed = true;
        return;
    }
    HOLDS(size > before || same(at, old));
    *object = m.objects[--m.object_count];
    HOLDS(test_stamp_intact(at, size < before ? size / 8 * 8 : before / 8 * 8, stamp));
    if (a->options.zero && size > before)
        HOLDS(all_bytes(at + before, size - before, 0));
    add_object(at, size, a->holder);
    if (!same(at, old) && before >= 16) { /* the old bytes stay taken, and nobody else's */
        HOLDS(overlapping(old, before) == NULL);
        add_object(old, before, a->holder);
    }
}

static void impossible_of_arena(struct arena_model *a)
{
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX,
                            REGION + 1};
    size_t len = harena_len(a->arena);

    FAILS(ENOMEM, harena_alloc(a->arena, opaque(sizes[below(5)])));
    FAILS(EINVAL, harena_alloc_aligned(a->arena, opaque(8), opaque(24)));
    FAILS(ENOMEM, harena_alloc_array(a->arena, opaque(SIZE_MAX / 2), opaque(3)));
    HOLDS(harena_len(a->arena) == len);
    a->failed = true;
}

static void register_of_arena(struct arena_model *a)
{
    struct cleanup *cleanup;
    int result;

    if (a->registrations == CLEANUPS)
        return;
    cleanup = malloc(sizeof *cleanup);
    cleanup->id = ++m.cleanup_ids;
    result = harena_on_release(a->arena, note_run, cleanup);
    if (result == 0) {
        a->registered[a->registrations++] = cleanup;
    } else {
        HOLDS(result == -ENOMEM && may_refuse(100, a->options.limit));
        free(cleanup);
        a->failed = true;
    }
}

static void forget_of_arena(struct arena_model *a)
{
    size_t which;

    HOLDS(!harena_forget(a->arena, note_run, &which));
    if (a->registrations == 0)
        return;
    which = below(a->registrations);
    HOLDS(harena_forget(a->arena, note_run, a->registered[which]));
    HOLDS(!harena_forget(a->arena, note_run, a->registered[which]));
    free(a->registered[which]);
    a->registrations--;
    memmove(&a->registered[which], &a->registered[which + 1],
            (a->registrations - which) * sizeof *a->registered);
}

static void step_of_arena(struct arena_model *a)
{
    if (a->arena == NULL) {
        m.doing = "create";
        create_arena(a);
        return;
    }
    switch (below(60)) {
    case 0:
        m.doing = "reset";
        reset_arena(a);
        break;
    case 1:
        m.doing = "release";
        if (below(4) == 0)
            release_arena(a);
        break;
    case 2:
        m.doing = "impossible";
        impossible_of_arena(a);
        break;
    case 3:
        m.doing = "clear_failed";
        harena_clear_failed(a->arena);
        a->failed = false;
        break;
    case 4:
    case 5:
    case 6:
        m.doing = "on_release";
        register_of_arena(a);
        break;
    case 7:
        m.doing = "forget";
        forget_of_arena(a);
        break;
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
    case 13:
    case 14:
    case 15:
        m.doing = "realloc";
        realloc_of_arena(a);
        break;
    default:
        m.doing = "alloc";
        alloc_of_arena(a);
    }
}

static void check_arena(struct arena_model *a)
{
    size_t len, cap, peak;

    if (a->arena == NULL)
        return;
    len = harena_len(a->arena);
    cap = harena_cap(a->arena);
    peak = harena_peak(a->arena);
    HOLDS(len <= cap);
    HOLDS(bytes_of_holder(a->holder) <= len);
    HOLDS(peak >= len && peak >= a->peak);
    HOLDS(harena_failed(a->arena) == a->failed);
    HOLDS(a->options.limit == 0 || cap <= a->options.limit + a->options.first_size);
    a->peak = peak;
}

/* ---- shared arenas ---- */

static void count_shared(void *ctx)
{
    (void)ctx;
    __atomic_fetch_add(&shared_ran, 1, __ATOMIC_RELAXED);
}

static void create_shared(struct shared_model *s)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;

    options.provider = m.provider;
    options.limit = below(3) == 0 ? CHUNK * (1 + below(40)) : 0;
    options.alignment = below(5) == 0 ? some_alignment() : 0;
    options.zero = below(4) == 0;
    options.no_lanes = below(3) == 0;
    options.lanes = options.no_lanes ? 0 : (uint32_t)below(20);
    s->shared = SUCCEEDS(harena_shared_create(&options));
    s->options = options;
    s->holder = ++m.holders;
    s->failed = false;
}

static bool is_entered(unsigned holder)
{
    for (size_t i = 0; i < m.view_count; i++)
        if (m.views[i].holder == holder)
            return true;
    return false;
}

/* The generation is removed: what no view has entered is gone for the model at once. */
static void retire_holder(struct shared_model *s)
{
    if (!is_entered(s->holder))
        drop_holder(s->holder);
    s->holder = ++m.holders;
    s->failed = false;
}

static void enter_shared(struct shared_model *s)
{
    struct view_model *v;

    if (m.view_count == VIEWS)
        return;
    v = &m.views[m.view_count++];
    *v = (struct view_model){s, s->shared, harena_shared_enter(s->shared), s->holder};
    HOLDS(harena_view_root(v->view) != NULL);
}

static void leave_last(void)
{
    struct view_model *v = &m.views[--m.view_count];

    harena_shared_leave(v->shared, v->view);
    /* Left by the last section, a generation that was reset is nobody's. Objects of other sections that are still
     * open are safe all the same: one section keeps all. */
    if (m.view_count > 0)
        return;
    for (size_t i = m.object_count; i-- > 0;) {
        bool present = false;

        for (int at = 0; at < ARENAS; at++)
            present = present || m.objects[i].holder == m.arenas[at].holder;
        for (int at = 0; at < SHARED; at++)
            present = present || m.objects[i].holder == m.shared[at].holder;
        if (!present)
            *(&m.objects[i]) = m.objects[--m.object_count];
    }
}

static void alloc_of_view(struct shared_model *s, harena_view *view, unsigned holder)
{
    size_t size = some_size(), alignment = 16;
    bool zeroed = s->options.zero;
    unsigned char *at;

    errno = SENTINEL;
    switch (below(9)) {
    case 0:
        at = harena_view_alloc_zeroed(view, size);
        zeroed = true;
        break;
    case 1:
        alignment = some_alignment();
        at = harena_view_alloc_aligned(view, size, alignment);
        break;
    case 2:
        at = harena_view_alloc_atomic(view, size);
        break;
    case 3:
        at = harena_alloc(harena_view_lane(view), opaque(size));
        break;
    case 4:
        at = harena_alloc(harena_view_lane(view), 24);
        size = 24;
        break;
    case 5:
        alignment = some_alignment();
        at = harena_alloc_aligned_zeroed(harena_view_lane(view), size, alignment);
        zeroed = true;
        break;
    case 6:
        at = harena_realloc(harena_view_lane(view), NULL, 0, size);
        break;
    default:
        at = harena_view_alloc(view, opaque(size));
    }
    if (at == NULL) {
        HOLDS(errno == ENOMEM && size > 0);
        HOLDS(may_refuse(size + alignment, s->options.limit));
        s->failed = s->failed || holder == s->holder;
        return;
    }
    HOLDS(errno == SENTINEL);
    if (size == 0)
        return;
    HOLDS(aligned_to(at, 16) && aligned_to(at, alignment) &&
          (s->options.alignment == 0 || aligned_to(at, s->options.alignment)));
    HOLDS(harena_view_contains(view, at) && harena_view_contains(view, at + size - 1));
    if (zeroed)
        HOLDS(all_bytes(at, size, 0));
    add_object(at, size, holder);
}

static void realloc_of_lane(struct shared_model *s, harena_view *view, unsigned holder)
{
    struct object *object = some_object_of(holder);
    size_t size = some_size(), before;
    uint64_t stamp;
    unsigned char *at, *old;

    if (object == NULL || size == 0)
        return;
    HOLDS(intact(object));
    before = object->size;
    stamp = object->stamp;
    old = object->at;
    errno = SENTINEL;
    at = harena_realloc(harena_view_lane(view), old, before, opaque(size));
    if (at == NULL) {
        HOLDS(errno == ENOMEM && may_refuse(size, s->options.limit) && intact(object));
        s->failed = s->failed || holder == s->holder;
        return;
    }
    HOLDS(size > before || same(at, old));
    *object = m.objects[--m.object_count];
    HOLDS(test_stamp_intact(at, (size < before ? size : before) / 8 * 8, stamp));
    if (s->options.zero && size > before)
        HOLDS(all_bytes(at + before, size - before, 0));
    add_object(at, size, holder);
}

static void alloc_of_shared(struct shared_model *s)
{
    size_t size = some_size();
    unsigned char *at;

    if (m.view_count > 0 && below(2) == 0) {
        struct view_model *v = &m.views[below(m.view_count)];

        if (v->of->shared == v->shared) { /* its options are known; it may have been reset */
            m.late = m.late || v->holder != v->of->holder;
            if (below(8) == 0)
                realloc_of_lane(v->of, v->view, v->holder);
            else
                alloc_of_view(v->of, v->view, v->holder);
        }
        return;
    }
    errno = SENTINEL;
    at = below(4) == 0 ? harena_shared_alloc_atomic(s->shared, size)
                       : harena_shared_alloc(s->shared, opaque(size));
    if (at == NULL) {
        HOLDS(errno == ENOMEM && size > 0 && may_refuse(size, s->options.limit));
        s->failed = true;
        return;
    }
    if (size == 0)
        return;
    HOLDS(harena_shared_contains(s->shared, at) && aligned_to(at, 16));
    if (s->options.zero)
        HOLDS(all_bytes(at, size, 0));
    add_object(at, size, s->holder);
}

static void reset_shared(struct shared_model *s)
{
    retire_holder(s);
    if (m.view_count == 0 && below(2) == 0)
        HOLDS(harena_shared_reset_now(s->shared) == 0);
    else
        HOLDS(harena_shared_reset(s->shared) == 0);
    HOLDS(harena_shared_len(s->shared) == 0 && harena_shared_cap(s->shared) == 0);
    HOLDS(!harena_shared_failed(s->shared));
}

static void release_shared(struct shared_model *s)
{
    for (size_t i = 0; i < m.view_count; i++)
        if (m.views[i].shared == s->shared)
            return; /* its handle is still needed to leave */
    retire_holder(s);
    if (below(2) == 0) {
        harena_shared_close(s->shared);
        FAILS(ESHUTDOWN, harena_shared_alloc(s->shared, opaque(8)));
        HOLDS(harena_shared_reset(s->shared) == -ESHUTDOWN);
    }
    if (m.view_count == 0 && below(2) == 0)
        harena_shared_release_now(s->shared);
    else
        harena_shared_release(s->shared);
    s->shared = NULL;
}

static void step_of_shared(struct shared_model *s)
{
    int result;

    if (s->shared == NULL) {
        m.doing = "shared create";
        create_shared(s);
        return;
    }
    switch (below(60)) {
    case 0:
    case 1:
        m.doing = "shared reset";
        reset_shared(s);
        break;
    case 2:
        m.doing = "shared release";
        if (below(4) == 0)
            release_shared(s);
        break;
    case 3:
    case 4:
    case 5:
        m.doing = "enter";
        enter_shared(s);
        break;
    case 6:
    case 7:
    case 8:
    case 9:
        m.doing = "leave";
        if (m.view_count > 0)
            leave_last();
        break;
    case 10:
    case 11:
        m.doing = "shared on_release";
        result = harena_shared_on_release(s->shared, count_shared, NULL);
        HOLDS(result == 0 || (result == -ENOMEM && may_refuse(100, s->options.limit)));
        s->failed = s->failed || result != 0;
        shared_registered += result == 0;
        break;
    default:
        m.doing = "shared alloc";
        alloc_of_shared(s);
    }
}

static void check_shared(struct shared_model *s)
{
    size_t len, cap;

    if (s->shared == NULL)
        return;
    len = harena_shared_len(s->shared);
    cap = harena_shared_cap(s->shared);
    HOLDS(len <= cap);
    HOLDS(bytes_of_holder(s->holder) <= len);
    HOLDS(harena_shared_peak(s->shared) >= len);
    HOLDS(harena_shared_failed(s->shared) == s->failed);
    HOLDS(s->options.limit == 0 || cap <= s->options.limit);
}

/* ---- the provider ---- */

static unsigned chunk_holder; /* of all raw chunks */

static void step_of_chunks(void)
{
    unsigned which = (unsigned)below(CHUNKS);

    if (m.chunks[which] != NULL) {
        m.doing = "chunk_put";
        for (size_t i = m.object_count; i-- > 0;)
            if (m.objects[i].at == m.chunks[which])
                drop_object(&m.objects[i]);
        harena_chunk_put(m.provider, m.chunks[which]);
        m.chunks[which] = NULL;
        return;
    }
    m.doing = "chunk_get";
    errno = SENTINEL;
    m.chunks[which] = harena_chunk_get(m.provider);
    if (m.chunks[which] == NULL) {
        HOLDS(errno == ENOMEM && may_refuse(CHUNK, 0));
        return;
    }
    HOLDS(errno == SENTINEL && aligned_to(m.chunks[which], CHUNK));
    add_object(m.chunks[which], CHUNK, chunk_holder);
}

static void step_of_provider(void)
{
    size_t free;

    switch (below(6)) {
    case 0:
        m.doing = "trim";
        free = stats_of(m.provider).free;
        HOLDS(harena_provider_trim(m.provider, below(4 * MIB)) <= free);
        break;
    case 1:
        m.doing = "barrier";
        if (m.view_count > 0) {
            HOLDS(harena_provider_barrier(m.provider) == -EDEADLK);
        } else if (below(4) == 0) {
            HOLDS(harena_provider_barrier(m.provider) == 0);
            HOLDS(stats_of(m.provider).deferred == 0);
            m.late = false;
        }
        break;
    case 2:
        m.doing = "set_limit";
        m.limit = below(2) == 0 ? 0 : CHUNK * (100 + below(600));
        HOLDS(harena_provider_set_limit(m.provider, m.limit) == 0);
        break;
    default:
        step_of_chunks();
    }
}

/* What must hold between any two steps. */
static void check_all(void)
{
    harena_provider_stats stats = stats_of(m.provider);
    uint64_t held = 0;

    totals_hold(m.provider);
    for (int at = 0; at < ARENAS; at++) {
        check_arena(&m.arenas[at]);
        if (m.arenas[at].arena != NULL)
            held += harena_cap(m.arenas[at].arena) / CHUNK * CHUNK;
    }
    for (int at = 0; at < SHARED; at++) {
        check_shared(&m.shared[at]);
        if (m.shared[at].shared != NULL)
            held += harena_shared_cap(m.shared[at].shared);
    }
    for (int at = 0; at < CHUNKS; at++)
        held += m.chunks[at] != NULL ? CHUNK : 0;
    if (!m.late && stats.deferred == 0)
        HOLDS(stats.in_use == held);
    else
        HOLDS(stats.in_use + stats.deferred >= held);
    for (int round = 0; round < 4 && m.object_count > 0; round++)
        HOLDS(intact(&m.objects[below(m.object_count)]));
    if (m.step % 100 == 0)
        for (size_t i = 0; i < m.object_count; i++)
            HOLDS(intact(&m.objects[i]));
}

/* Too much for the model's list: the arenas are emptied. */
static void make_room(void)
{
    m.doing = "make room";
    for (int at = 0; at < ARENAS; at++)
        if (m.arenas[at].arena != NULL)
            reset_arena(&m.arenas[at]);
    while (m.view_count > 0)
        leave_last();
    for (int at = 0; at < SHARED; at++)
        if (m.shared[at].shared != NULL)
            reset_shared(&m.shared[at]);
}

static void end_of_run(void)
{
    m.doing = "the end";
    HOLDS(harena_provider_set_limit(m.provider, 0) == 0);
    while (m.view_count > 0)
        leave_last();
    for (int at = 0; at < ARENAS; at++)
        if (m.arenas[at].arena != NULL)
            release_arena(&m.arenas[at]);
    for (int at = 0; at < SHARED; at++)
        if (m.shared[at].shared != NULL)
            release_shared(&m.shared[at]);
    drop_holder(chunk_holder);
    for (int at = 0; at < CHUNKS; at++)
        harena_chunk_put(m.provider, m.chunks[at]);
    HOLDS(m.object_count == 0);
    HOLDS(harena_provider_barrier(m.provider) == 0);
    HOLDS(shared_ran == shared_registered);
    HOLDS(events_of(&m.events, HARENA_EVENT_MISUSE) == 0);
    HOLDS(events_of(&m.events, HARENA_EVENT_OS_ERROR) == 0);
    ends_clean(m.provider);
}

static void one_run(unsigned run)
{
    memset(&m, 0, sizeof m);
    ran_count = 0;
    shared_ran = shared_registered = 0;
    m.run = run;
    m.rng = test_rng_for(run);
    m.provider = provider_of(REGION, 0, &m.events);
    chunk_holder = ++m.holders;
    for (m.step = 0; m.step < STEPS; m.step++) {
        uint64_t which = below(100);

        if (m.object_count > OBJECTS - 100 || ran_count > sizeof ran / sizeof *ran - 1000)
            make_room();
        if (which < 55)
            step_of_arena(&m.arenas[below(ARENAS)]);
        else if (which < 92)
            step_of_shared(&m.shared[below(SHARED)]);
        else
            step_of_provider();
        check_all();
    }
    end_of_run();
}

START_TEST(random_sequences_agree_with_the_model)
{
    unsigned runs = test_rounds(RUNS);

    for (unsigned run = 1; run <= runs; run++)
        one_run(run);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {random_sequences_agree_with_the_model};

    test_seed();
    return run_tests("model", NULL, NULL, tests, 1);
}
