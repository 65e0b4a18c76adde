/* SPDX-License-Identifier: BSD-2-Clause */
/* What do emptying, releasing and entering cost? Layer 9. */
#include "bench.h"

#include <harena.h>

#include <stdio.h>
#include <stdlib.h>
#include <urcu/flavor.h>

extern const struct rcu_flavor_struct urcu_bp_flavor, urcu_memb_flavor;

/* Each job does one thing `count` times and says how many ns one of them took; what it needs before
 * and after is not timed. Chunks are warm throughout. */
struct world {
    harena_provider *provider;
    const struct rcu_flavor_struct *flavor; /* of the job at hand */
};

#define MANY 200
#define FEW  20 /* where memory is held back until a grace period has passed */

static void *must(void *pointer)
{
    if (pointer == NULL)
        bench_die("out of memory");
    return pointer;
}

static harena *create_arena(struct world *world)
{
    harena_options options = HARENA_OPTIONS_INIT;

    options.provider = world->provider;
    options.rcu = world->flavor;
    return must(harena_create(&options));
}

static harena_shared *create_shared(struct world *world)
{
    harena_shared_options options = HARENA_SHARED_OPTIONS_INIT;

    options.provider = world->provider;
    options.rcu = world->flavor;
    return must(harena_shared_create(&options));
}

static void fill_arena(harena *arena, size_t bytes)
{
    size_t done;

    for (done = 0; done < bytes; done += 128)
        bench_keep(must(harena_alloc(arena, 128)));
}

/* ---- private arenas ---- */

static double create_release(struct world *world)
{
    uint64_t from = bench_stamp();
    int i;

    for (i = 0; i < MANY; i++)
        harena_release(create_arena(world));
    return bench_ns(from, bench_stamp()) / MANY;
}

static double create_use_release(struct world *world)
{
    uint64_t from = bench_stamp();
    int i;

    for (i = 0; i < MANY; i++) {
        harena *arena = create_arena(world);

        fill_arena(arena, 128);
        harena_release(arena);
    }
    return bench_ns(from, bench_stamp()) / MANY;
}

static double reset_of(harena *arena, size_t bytes)
{
    uint64_t from;
    double ns = 0;
    int i;

    for (i = 0; i < MANY; i++) {
        fill_arena(arena, bytes);
        from = bench_stamp();
        harena_reset(arena);
        ns += bench_ns(from, bench_stamp());
    }
    harena_release(arena);
    return ns / MANY;
}

static double reset_after(struct world *world, size_t bytes)
{
    return reset_of(create_arena(world), bytes);
}

/* Of an arena that was large once, and keeps it all. */
static double reset_with_much(struct world *world)
{
    harena_options options = HARENA_OPTIONS_INIT;
    harena *arena;

    options.provider = world->provider;
    options.retain = (size_t)64 << 20;
    arena = must(harena_create(&options));
    fill_arena(arena, options.retain - HARENA_CHUNK_SIZE);
    harena_reset(arena);
    return reset_of(arena, 128);
}

static double reset_one(struct world *world)
{
    return reset_after(world, 128);
}

static double reset_mib(struct world *world)
{
    return reset_after(world, (size_t)1 << 20);
}

static double release_mib(struct world *world)
{
    uint64_t from;
    double ns = 0;
    int i;

    for (i = 0; i < FEW; i++) {
        harena *arena = create_arena(world);

        fill_arena(arena, (size_t)1 << 20);
        from = bench_stamp();
        harena_release(arena);
        ns += bench_ns(from, bench_stamp());
    }
    return ns / FEW;
}

static double release_rcu(struct world *world)
{
    harena *arenas[FEW];
    uint64_t from;
    double ns;
    int i;

    for (i = 0; i < FEW; i++) {
        arenas[i] = create_arena(world);
        fill_arena(arenas[i], 128);
    }
    from = bench_stamp();
    for (i = 0; i < FEW; i++)
        harena_release_rcu(arenas[i]);
    ns = bench_ns(from, bench_stamp()) / FEW;
    harena_provider_barrier(world->provider);
    return ns;
}

/* ---- shared arenas ---- */

static double shared_create_release(struct world *world)
{
    uint64_t from = bench_stamp();
    int i;

    for (i = 0; i < MANY; i++)
        harena_shared_release_now(create_shared(world));
    return bench_ns(from, bench_stamp()) / MANY;
}

/* A round: the first allocation (a generation, a lane, a chunk), then reset_now. */
static double first_or_reset(struct world *world, bool first)
{
    harena_shared *shared = create_shared(world);
    uint64_t from, between, to;
    double ns = 0;
    int i;

    for (i = 0; i < MANY; i++) {
        from = bench_stamp();
        bench_keep(must(harena_shared_alloc(shared, 128)));
        between = bench_stamp();
        harena_shared_reset_now(shared);
        to = bench_stamp();
        ns += first ? bench_ns(from, between) : bench_ns(between, to);
    }
    harena_shared_release_now(shared);
    return ns / MANY;
}

static double shared_first(struct world *world)
{
    return first_or_reset(world, true);
}

static double shared_reset_now(struct world *world)
{
    return first_or_reset(world, false);
}

static double shared_reset(struct world *world)
{
    harena_shared *shared = create_shared(world);
    uint64_t from;
    double ns = 0;
    int i;

    for (i = 0; i < FEW; i++) {
        harena_view *view = harena_shared_enter(shared);

        bench_keep(must(harena_view_alloc(view, 128)));
        harena_shared_leave(shared, view);
        from = bench_stamp();
        if (harena_shared_reset(shared) != 0)
            bench_die("harena_shared_reset failed");
        ns += bench_ns(from, bench_stamp());
    }
    harena_shared_release_now(shared);
    harena_provider_barrier(world->provider);
    return ns / FEW;
}

static double enter_leave(struct world *world)
{
    harena_shared *shared = create_shared(world);
    uint64_t from;
    double ns;
    int i;

    harena_shared_leave(shared, harena_shared_enter(shared)); /* installs the generation */
    from = bench_stamp();
    for (i = 0; i < MANY; i++) {
        harena_view *view = harena_shared_enter(shared);

        bench_keep(view);
        harena_shared_leave(shared, view);
    }
    ns = bench_ns(from, bench_stamp()) / MANY;
    harena_shared_release_now(shared);
    return ns;
}

static double snapshot_enter_leave(struct world *world)
{
    harena_snapshot snapshot = HARENA_SNAPSHOT_INIT;
    harena *arena = create_arena(world);
    int *root = must(harena_alloc(arena, sizeof *root));
    uint64_t from;
    double ns;
    int i;

    snapshot.rcu = world->flavor;
    if (harena_snapshot_publish(&snapshot, arena, root) != 0)
        bench_die("harena_snapshot_publish failed");
    from = bench_stamp();
    for (i = 0; i < MANY; i++) {
        bench_keep(harena_snapshot_enter(&snapshot));
        harena_snapshot_leave(&snapshot);
    }
    ns = bench_ns(from, bench_stamp()) / MANY;
    harena_snapshot_fini(&snapshot);
    harena_provider_barrier(world->provider);
    return ns;
}

/* From the retirement of one generation until its memory is back. */
static double barrier(struct world *world)
{
    harena_shared *shared = create_shared(world);
    uint64_t from;
    double ns;

    bench_keep(must(harena_shared_alloc(shared, 128)));
    harena_shared_release(shared);
    from = bench_stamp();
    harena_provider_barrier(world->provider);
    ns = bench_ns(from, bench_stamp());
    return ns;
}

static const struct {
    const char *name;
    double (*run)(struct world *world);
    bool flavored; /* once for each flavour */
} jobs[] = {
    {"create + release", create_release, false},
    {"create + one allocation + release", create_use_release, false},
    {"reset after one allocation", reset_one, false},
    {"reset after one, 64 MiB kept", reset_with_much, false},
    {"reset after 1 MiB of small ones", reset_mib, false},
    {"release after 1 MiB of small ones", release_mib, false},
    {"shared: create + release_now", shared_create_release, false},
    {"shared: first allocation after reset", shared_first, false},
    {"shared: reset_now", shared_reset_now, false},
    {"shared: reset (retires)", shared_reset, true},
    {"shared: enter + leave", enter_leave, true},
    {"snapshot: enter + leave", snapshot_enter_leave, true},
    {"release_rcu", release_rcu, true},
    {"barrier after one release", barrier, true},
};
#define JOBS (sizeof jobs / sizeof *jobs)

int main(int argc, char **argv)
{
    harena_provider_options provider_options = HARENA_PROVIDER_OPTIONS_INIT;
    const struct {
        const char *name;
        const struct rcu_flavor_struct *table;
    } flavors[] = {{"bp", &urcu_bp_flavor}, {"memb", &urcu_memb_flavor}};
    struct bench_options options;
    struct world world, worlds[2];
    double *ns[JOBS][2];
    unsigned rep;
    size_t j, f;

    bench_start(&options, argc, argv, "What do emptying, releasing and entering cost?", 41);
    urcu_memb_flavor.register_thread();
    provider_options.reserve = (size_t)1 << 30;
    for (f = 0; f < 2; f++) { /* a provider each: its barrier waits for all flavours it has met */
        worlds[f].flavor = provider_options.rcu = flavors[f].table;
        worlds[f].provider = must(harena_provider_create(&provider_options));
    }
    for (j = 0; j < JOBS; j++)
        for (f = 0; f < 2; f++)
            ns[j][f] = must(malloc(options.repetitions * sizeof(double)));
    if (options.csv)
        puts("contender,flavour,repetition,ns");
    for (rep = 0; rep < options.repetitions; rep++) {
        for (j = 0; j < JOBS; j++) {
            for (f = 0; f < (jobs[j].flavored ? 2 : 1); f++) {
                world = worlds[f];
                ns[j][f][rep] = jobs[j].run(&world);
                if (options.csv)
                    printf("\"%s\",%s,%u,%.2f\n", jobs[j].name,
                           jobs[j].flavored ? flavors[f].name : "", rep, ns[j][f][rep]);
            }
        }
    }
    for (j = 0; j < JOBS && !options.csv; j++) {
        for (f = 0; f < (jobs[j].flavored ? 2 : 1); f++) {
            struct bench_spread spread = bench_spread(ns[j][f], options.repetitions);

            printf("%-38s %-5s %10.1f ns [%.1f %.1f]\n", jobs[j].name,
                   jobs[j].flavored ? flavors[f].name : "", spread.median, spread.low, spread.high);
        }
    }
    for (j = 0; j < JOBS; j++)
        free(ns[j][0]), free(ns[j][1]);
    for (f = 0; f < 2; f++)
        if (harena_provider_destroy(worlds[f].provider) != 0)
            bench_die("%s: something is left", flavors[f].name);
    urcu_memb_flavor.unregister_thread();
    return 0;
}
