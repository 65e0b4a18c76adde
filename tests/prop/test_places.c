/* SPDX-License-Identifier: BSD-2-Clause */
/* Random sequences of all that one thread can do with arenas, marks, rewinds, keep and absorb above all, against a model
 * that is a plain list of what is alive: nothing overlaps, contents last exactly as long as they should, lengths return,
 * cleanups run in order, marks are good or refused as they should, and totals hold after every step. */
#include "../support/rng.h"
#include "../support/stamp.h"
#include "../support/suite.h"
#include "../unit/unit.h"

enum {
    RUNS = 25,
    STEPS = 4000,
    ARENAS = 4,
    OBJECTS = 400,
    MARKS = 40,
    DEAD = 8,
    CLEANUPS = 400,
    RAN = 4 * CLEANUPS,
};
#define REGION (256 * MIB)

struct object {
    unsigned char *at;
    size_t size;
    uint64_t stamp;
    size_t arena;
    uint64_t born; /* what is younger than a place goes with a return there */
};

/* Where an arena was: a mark, or what is kept. */
struct place {
    harena_mark mark;
    uint64_t born;
    size_t cleanups, len;
};

struct cleanup {
    unsigned id;
    bool again; /* registers another one when it runs */
    harena *arena;
};

struct arena_model {
    harena *arena;
    harena_options options;
    unsigned char *first;
    bool failed, is_kept;
    struct place kept, marks[MARKS];
    size_t mark_count;
    struct cleanup *cleanups[CLEANUPS]; /* oldest first */
    size_t cleanup_count;
    size_t peak;
};

static struct {
    test_rng rng;
    unsigned run, step;
    const char *doing;
    harena_provider *provider;
    struct events events;
    size_t limit;
    struct arena_model arenas[ARENAS];
    struct object objects[OBJECTS];
    size_t object_count;
    harena_mark dead[DEAD]; /* of any arena, also of those that are gone */
    uint64_t stamps, births;
    unsigned ids;
    unsigned ran[RAN]; /* the cleanups of one step, in order */
    size_t ran_count;
} m;

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

static size_t some_size(void)
{
    switch (below(24)) {
    case 0:
        return below(3000) + 1;
    case 1:
        return 2048 * (1 + below(64)) - 8 + below(17);
    case 2:
        return below(20) == 0 ? below(3 * MIB) + 1 : below(20000) + 1;
    case 3:
        return CHUNK * (1 + below(4)) - 2 + below(4);
    default:
        return below(250) + 1;
    }
}

static bool may_refuse(const struct arena_model *a)
{
    return m.limit != 0 || a->options.limit != 0 ||
           stats_of(m.provider).committed + 16 * MIB > REGION;
}

/* ---- objects ---- */

static bool intact(const struct object *object)
{
    return test_stamp_intact(object->at, object->size, object->stamp);
}

static void add_object(struct arena_model *a, void *at, size_t size)
{
    struct object *object = &m.objects[m.object_count++];
    const unsigned char *from = at;

    HOLDS(m.object_count <= OBJECTS);
    for (size_t i = 0; i + 1 < m.object_count; i++)
        HOLDS(from >= m.objects[i].at + m.objects[i].size || m.objects[i].at >= from + size);
    *object = (struct object){at, size, test_stamp(m.run, ++m.stamps), (size_t)(a - m.arenas),
                              ++m.births};
    test_stamp_fill(at, size, object->stamp);
}

/* What is younger is about to go; until now it must have been there. */
static void drop_younger(const struct arena_model *a, uint64_t born)
{
    for (size_t i = m.object_count; i-- > 0;) {
        if (m.objects[i].arena != (size_t)(a - m.arenas) || m.objects[i].born <= born)
            continue;
        HOLDS(intact(&m.objects[i]));
        m.objects[i] = m.objects[--m.object_count];
    }
}

/* ---- cleanups ---- */

static void run_cleanup(void *ctx)
{
    struct cleanup *cleanup = ctx, *next;

    HOLDS(m.ran_count < RAN);
    m.ran[m.ran_count++] = cleanup->id;
    if (cleanup->again) {
        next = malloc(sizeof *next);
        *next = (struct cleanup){.id = cleanup->id + 1, .arena = cleanup->arena};
        if (harena_on_release(cleanup->arena, run_cleanup, next) != 0)
            free(next);
    }
    free(cleanup);
}

/* What a return to a place should have run; the records are gone, so it is asked for before. */
static size_t expect_cleanups(struct arena_model *a, size_t stop, unsigned *ids, bool *again)
{
    size_t count = 0;

    while (a->cleanup_count > stop) {
        const struct cleanup *cleanup = a->cleanups[--a->cleanup_count];

        ids[count] = cleanup->id;
        again[count++] = cleanup->again;
    }
    m.ran_count = 0;
    return count;
}

static void they_ran(const unsigned *ids, const bool *again, size_t count)
{
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        HOLDS(at < m.ran_count && m.ran[at] == ids[i]);
        at++;
        if (again[i] && at < m.ran_count && m.ran[at] == ids[i] + 1)
            at++; /* unless there was no memory for it */
    }
    HOLDS(at == m.ran_count);
}

static void register_one(struct arena_model *a)
{
    struct cleanup *cleanup;
    int result;

    if (a->cleanup_count == CLEANUPS)
        return;
    cleanup = malloc(sizeof *cleanup);
    *cleanup = (struct cleanup){.id = m.ids += 2, .again = below(6) == 0, .arena = a->arena};
    result = harena_on_release(a->arena, run_cleanup, cleanup);
    if (result == 0) {
        a->cleanups[a->cleanup_count++] = cleanup;
        return;
    }
    HOLDS(result == -ENOMEM && may_refuse(a));
    a->failed = true;
    free(cleanup);
}

static void forget_one(struct arena_model *a)
{
    size_t which;

    if (a->cleanup_count == 0)
        return;
    which = below(a->cleanup_count);
    HOLDS(harena_forget(a->arena, run_cleanup, a->cleanups[which]));
    HOLDS(!harena_forget(a->arena, run_cleanup, a->cleanups[which]));
    free(a->cleanups[which]);
    a->cleanup_count--;
    memmove(&a->cleanups[which], &a->cleanups[which + 1],
            (a->cleanup_count - which) * sizeof *a->cleanups);
    for (size_t i = 0; i < a->mark_count; i++)
        a->marks[i].cleanups -= a->marks[i].cleanups > which;
    a->kept.cleanups -= a->kept.cleanups > which;
}

/* ---- places ---- */

static struct place place_of(const struct arena_model *a)
{
    return (struct place){
        .born = m.births,
        .cleanups = a->cleanup_count,
        .len = harena_len(a->arena),
    };
}

static void bury(const harena_mark *mark)
{
    m.dead[below(DEAD)] = *mark;
}

static void bury_from(struct arena_model *a, size_t count)
{
    while (a->mark_count > count)
        bury(&a->marks[--a->mark_count].mark);
}

static void take_mark(struct arena_model *a)
{
    struct place place = place_of(a);

    if (a->mark_count == MARKS)
        return;
    place.mark = harena_mark_get(a->arena);
    if (place.mark.opaque[0] == 0) {
        HOLDS(may_refuse(a));
        a->failed = true;
        return;
    }
    HOLDS(harena_len(a->arena) == place.len);
    a->marks[a->mark_count++] = place;
}

/* Back to a place, by `how`. */
static void return_to(struct arena_model *a, const struct place *place, bool by_reset)
{
    unsigned ids[CLEANUPS];
    bool again[CLEANUPS];
    size_t count;

    drop_younger(a, place->born);
    count = expect_cleanups(a, place->cleanups, ids, again);
    if (by_reset)
        harena_reset(a->arena);
    else
        HOLDS(harena_rewind(a->arena, place->mark) == 0);
    they_ran(ids, again, count);
    HOLDS(harena_len(a->arena) == place->len);
    a->failed = by_reset ? false : harena_failed(a->arena); /* a cleanup's may have failed */
}

static void rewind_one(struct arena_model *a)
{
    size_t which;

    if (a->mark_count == 0)
        return;
    which = a->mark_count - 1 - below(1 + below(a->mark_count));
    return_to(a, &a->marks[which], false);
    bury_from(a, which + 1);
}

static void reset_one(struct arena_model *a)
{
    const struct place nothing = {.len = 0};

    return_to(a, a->is_kept ? &a->kept : &nothing, true);
    bury_from(a, 0);
    if (!a->is_kept && a->first == NULL && a->options.initial == 0)
        HOLDS(harena_cap(a->arena) <= (a->options.retain_none ? 0
                                       : a->options.retain    ? a->options.retain
                                                              : CHUNK));
}

/* A mark that died is refused, unless a living one has the same place and number. */
static void use_dead_mark(struct arena_model *a)
{
    const harena_mark *mark = &m.dead[below(DEAD)];
    size_t len = harena_len(a->arena);

    for (size_t i = 0; i < a->mark_count; i++)
        if (memcmp(&a->marks[i].mark, mark, sizeof *mark) == 0)
            return;
    HOLDS(harena_rewind(a->arena, *mark) == -EINVAL);
    HOLDS(harena_len(a->arena) == len);
}

static void keep_or_not(struct arena_model *a)
{
    if (below(3) == 0) {
        harena_keep_none(a->arena);
        a->is_kept = false;
        return;
    }
    harena_keep(a->arena);
    bury_from(a, 0);
    a->kept = place_of(a);
    a->is_kept = true;
}

static void absorb_one(struct arena_model *a, struct arena_model *from)
{
    size_t len;
    int result;

    if (from->arena == NULL || a->cleanup_count + from->cleanup_count > CLEANUPS)
        return;
    len = harena_len(a->arena) + harena_len(from->arena);
    result = harena_absorb(a->arena, from->arena);
    if (a == from || from->is_kept || from->first != NULL) {
        HOLDS(result == -EINVAL);
        return;
    }
    if (result != 0) {
        HOLDS(result == -ENOMEM && a->options.limit != 0);
        return;
    }
    HOLDS(harena_len(a->arena) == len);
    m.births++;
    for (size_t i = 0; i < m.object_count; i++) {
        if (m.objects[i].arena != (size_t)(from - m.arenas))
            continue;
        m.objects[i].arena = (size_t)(a - m.arenas);
        m.objects[i].born = m.births;
    }
    for (size_t i = 0; i < from->cleanup_count; i++) {
        from->cleanups[i]->arena = a->arena;
        a->cleanups[a->cleanup_count++] = from->cleanups[i];
    }
    a->failed = a->failed || from->failed;
    bury_from(from, 0);
    memset(from, 0, sizeof *from);
}

/* ---- arenas ---- */

static void create_one(struct arena_model *a)
{
    harena_options *options = &a->options;

    memset(a, 0, sizeof *a);
    *options = (harena_options)HARENA_OPTIONS_INIT;
    options->provider = m.provider;
    options->limit = below(3) == 0 ? CHUNK * (2 + below(40)) : 0;
    options->alignment = below(5) == 0 ? (size_t)1 << below(17) : 0;
    options->zero = below(3) == 0;
    options->retain_none = below(4) == 0;
    if (!options->retain_none && below(3) == 0)
        options->retain = CHUNK * below(16);
    if (below(6) == 0)
        options->initial = CHUNK * below(5);
    if (below(5) == 0) {
        options->first_size = 1 + below(20000);
        options->first = a->first = malloc(options->first_size);
        memset(a->first, 0xa5, options->first_size);
    }
    a->arena = harena_create(options);
    if (a->arena == NULL) {
        HOLDS(may_refuse(a) && options->initial != 0);
        free(a->first);
        a->first = NULL;
    }
}

static void release_one(struct arena_model *a)
{
    unsigned ids[CLEANUPS];
    bool again[CLEANUPS];
    size_t count;

    drop_younger(a, 0);
    count = expect_cleanups(a, 0, ids, again);
    harena_release(a->arena);
    they_ran(ids, again, count);
    bury_from(a, 0);
    free(a->first);
    memset(a, 0, sizeof *a);
}

static void alloc_one(struct arena_model *a)
{
    size_t size = some_size(), alignment = below(10) == 0 ? (size_t)1 << below(17) : 16;
    bool zeroed = below(3) == 0;
    unsigned char *at;

    errno = SENTINEL;
    if (alignment != 16)
        at = zeroed ? harena_alloc_aligned_zeroed(a->arena, size, alignment)
                    : harena_alloc_aligned(a->arena, size, alignment);
    else
        at = zeroed ? harena_alloc_zeroed(a->arena, size) : harena_alloc(a->arena, opaque(size));
    if (at == NULL) {
        HOLDS(errno == ENOMEM && may_refuse(a));
        a->failed = true;
        return;
    }
    HOLDS(errno == SENTINEL && aligned_to(at, alignment) &&
          (a->options.alignment == 0 || aligned_to(at, a->options.alignment)));
    HOLDS(harena_contains(a->arena, at) && harena_contains(a->arena, at + size - 1));
    if (zeroed || a->options.zero)
        HOLDS(all_bytes(at, size, 0));
    add_object(a, at, size);
}

static void realloc_one(struct arena_model *a)
{
    struct object *object = &m.objects[below(m.object_count + (m.object_count == 0))],
                  old = *object;
    size_t size = some_size();
    unsigned char *at;

    if (m.object_count == 0 || object->arena != (size_t)(a - m.arenas))
        return;
    at = harena_realloc(a->arena, old.at, old.size, opaque(size));
    if (at == NULL) {
        HOLDS(may_refuse(a) && intact(object));
        a->failed = true;
        return;
    }
    HOLDS(size > old.size || same(at, old.at));
    HOLDS(test_stamp_intact(at, (size < old.size ? size : old.size) / 8 * 8, old.stamp));
    if (a->options.zero && size > old.size)
        HOLDS(all_bytes(at + old.size, size - old.size, 0));
    if (same(at, old.at)) { /* as old as it was: else a return to before would have to restore it */
        object->size = size;
        test_stamp_fill(at, size, object->stamp);
        return;
    }
    if (a->mark_count != 0 || a->is_kept) /* somebody may go back to where the old one is alive */
        HOLDS(intact(object));
    else
        *object = m.objects[--m.object_count];
    add_object(a, at, size);
}

/* ---- steps ---- */

static void step_of(struct arena_model *a)
{
    static const struct {
        unsigned upto; /* of 100 */
        const char *name;
        void (*step)(struct arena_model *a);
    } steps[] = {
        {55, "alloc", alloc_one},         {63, "realloc", realloc_one},
        {69, "on_release", register_one}, {71, "forget", forget_one},
        {80, "mark", take_mark},          {88, "rewind", rewind_one},
        {91, "dead mark", use_dead_mark}, {93, "keep", keep_or_not},
        {96, "reset", reset_one},         {97, "release", release_one},
    };
    uint64_t which = below(100);

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (which >= steps[i].upto)
            continue;
        m.doing = steps[i].name;
        steps[i].step(a);
        return;
    }
    m.doing = "absorb";
    absorb_one(a, &m.arenas[below(ARENAS)]);
}

static void check_all(void)
{
    uint64_t held = 0;

    totals_hold(m.provider);
    for (struct arena_model *a = m.arenas; a < m.arenas + ARENAS; a++) {
        if (a->arena == NULL)
            continue;
        held += harena_cap(a->arena) / CHUNK * CHUNK;
        HOLDS(harena_len(a->arena) <= harena_cap(a->arena));
        HOLDS(harena_peak(a->arena) >= harena_len(a->arena) && harena_peak(a->arena) >= a->peak);
        HOLDS(harena_failed(a->arena) == a->failed);
        a->peak = harena_peak(a->arena);
    }
    HOLDS(in_use(m.provider) == held);
    HOLDS(m.limit == 0 || stats_of(m.provider).committed <= m.limit);
    for (size_t i = 0; i < m.object_count; i++)
        if (m.step % 64 == 0 || below(32) == 0)
            HOLDS(intact(&m.objects[i]));
}

static void one_step(void)
{
    struct arena_model *a = &m.arenas[below(ARENAS)];

    if (m.object_count + 2 > OBJECTS) { /* the model's list is full */
        for (a = m.arenas; a < m.arenas + ARENAS; a++)
            if (a->arena != NULL)
                release_one(a);
    } else if (a->arena == NULL) {
        m.doing = "create";
        create_one(a);
    } else {
        step_of(a);
    }
}

static void one_run(unsigned run)
{
    memset(&m, 0, sizeof m);
    m.run = run;
    m.rng = test_rng_for(run);
    m.limit = run % 3 == 0 ? CHUNK * (20 + below(100)) : 0;
    m.provider = provider_of(REGION, m.limit, &m.events);
    for (m.step = 0; m.step < STEPS; m.step++) {
        one_step();
        check_all();
    }
    for (struct arena_model *a = m.arenas; a < m.arenas + ARENAS; a++)
        if (a->arena != NULL)
            release_one(a);
    HOLDS(m.object_count == 0);
    HOLDS(events_of(&m.events, HARENA_EVENT_MISUSE) == 0);
    ends_clean(m.provider);
}

START_TEST(arenas_agree_with_the_model)
{
    unsigned runs = test_rounds(RUNS);

    for (unsigned run = 1; run <= runs; run++)
        one_run(run);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {arenas_agree_with_the_model};

    test_seed();
    return run_tests("places", NULL, NULL, tests, 1);
}
