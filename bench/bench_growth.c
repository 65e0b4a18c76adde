/* SPDX-License-Identifier: BSD-2-Clause */
/* What do buffers and arrays cost that grow, and memory that is always zero? Layer 9. */
#include "bench.h"
#include "vector.h"

#include <harena.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MIB = 1 << 20,
    PUSHES = 1000000,
    OBJECTS = 20000,
    ROUNDS = 4, /* of OBJECTS, in warm memory */
    FEW = 1000, /* that stay in a core's cache */
    OBJECT = 64,
    PIECE = 64,     /* bytes of one write into a buffer */
    READ_PIECE = 16 /* bytes of one read back */
};

#define ALWAYS_INLINE inline __attribute__((always_inline))

struct world {
    harena *arena, *zeroed; /* warm */
    char *block;            /* big enough for all that a buffer gets */
    char piece[PIECE];
    size_t object; /* OBJECT, which the compiler does not know */
    size_t at;     /* where in the block the bare bump is */
};

static void *must(void *pointer)
{
    if (pointer == NULL)
        bench_die("out of memory");
    return pointer;
}

/* ---- a buffer of 1 MiB, in pieces ---- */

static double write_block(struct world *w)
{
    uint64_t from = bench_stamp();

    for (size_t at = 0; at < MIB; at += PIECE) {
        memcpy(w->block + at, w->piece, PIECE);
        bench_keep(w->block);
    }
    return bench_ns(from, bench_stamp());
}

/* `known`: somebody else knows where the buffer is, so the compiler cannot keep it in registers. */
static ALWAYS_INLINE void fill_buffer(struct world *w, harena_buf *b, bool known)
{
    harena_buf_init(b, w->arena);
    if (known)
        bench_keep(b);
    for (size_t at = 0; at < MIB; at += PIECE)
        if (harena_buf_write(b, w->piece, PIECE) != 0)
            bench_die("harena_buf_write failed");
}

static ALWAYS_INLINE double write_one(struct world *w, bool known)
{
    uint64_t from = bench_stamp(), to;
    harena_buf b;

    fill_buffer(w, &b, known);
    to = bench_stamp();
    if (harena_buf_len(&b) != MIB ||
        memcmp(harena_buf_bytes(&b) + MIB - PIECE, w->piece, PIECE) != 0)
        bench_die("the buffer is not what was written");
    harena_reset(w->arena);
    return bench_ns(from, to);
}

static double write_buffer(struct world *w)
{
    return write_one(w, false);
}

static double read_block(struct world *w)
{
    uint64_t from = bench_stamp();
    char to[READ_PIECE];

    for (size_t at = 0; at < MIB; at += READ_PIECE) {
        memcpy(to, w->block + at, READ_PIECE);
        bench_keep(to);
    }
    return bench_ns(from, bench_stamp());
}

static ALWAYS_INLINE double read_one(struct world *w, bool known)
{
    size_t got = 0, sum = 0;
    char to[READ_PIECE];
    uint64_t from, end;
    harena_buf b;

    fill_buffer(w, &b, known);
    from = bench_stamp();
    while ((got = harena_buf_read(&b, to, READ_PIECE)) != 0) {
        sum += got;
        bench_keep(to);
    }
    end = bench_stamp();
    if (sum != MIB)
        bench_die("%zu bytes read", sum);
    harena_reset(w->arena);
    return bench_ns(from, end);
}

static double read_buffer(struct world *w)
{
    return read_one(w, false);
}

/* Without a copy. */
static double read_in_place(struct world *w)
{
    size_t size, got = 0;
    uint64_t from, end;
    harena_buf b;

    fill_buffer(w, &b, false);
    from = bench_stamp();
    for (;;) {
        void *at = harena_buf_next(&b, (size = READ_PIECE, &size));

        if (at == NULL)
            break;
        got += size;
        bench_keep(at);
    }
    end = bench_stamp();
    if (got != MIB)
        bench_die("%zu bytes read", got);
    harena_reset(w->arena);
    return bench_ns(from, end);
}

/* Both, for each piece written. */
static double both_block(struct world *w)
{
    return write_block(w) + read_block(w);
}

static double both_buffer(struct world *w)
{
    return write_buffer(w) + read_buffer(w);
}

/* The same when all of it is in the core's caches; without, other jobs have just been there. */
static double both_block_warm(struct world *w)
{
    both_block(w);
    return both_block(w);
}

static double both_buffer_warm(struct world *w)
{
    both_buffer(w);
    return both_buffer(w);
}

static double both_in_place_warm(struct world *w)
{
    write_buffer(w), read_in_place(w);
    return write_buffer(w) + read_in_place(w);
}

static double both_known_warm(struct world *w)
{
    write_one(w, true), read_one(w, true);
    return write_one(w, true) + read_one(w, true);
}

/* ---- an array of numbers ---- */

static double push_vector(struct world *w)
{
    uint64_t from = bench_stamp();

    (void)w;
    if (bench_vector_push(PUSHES) != (uint64_t)PUSHES * (PUSHES - 1) / 2)
        bench_die("the vector is not what was pushed");
    return bench_ns(from, bench_stamp());
}

static double push_array(struct world *w)
{
    uint64_t from = bench_stamp(), sum = 0;
    HARENA_ARRAY(uint64_t) numbers = {0};
    double ns;

    for (uint64_t i = 0; i < PUSHES; i++)
        if (!harena_array_push(w->arena, &numbers, i))
            bench_die("harena_array_push failed");
    for (size_t i = 0; i < numbers.len; i++)
        sum += numbers.items[i];
    if (sum != (uint64_t)PUSHES * (PUSHES - 1) / 2)
        bench_die("the array is not what was pushed");
    harena_reset(w->arena);
    ns = bench_ns(from, bench_stamp());
    return ns;
}

/* ---- objects of 64 bytes, all zero ---- */

/* How a round goes. */
struct round {
    int count;  /* objects */
    bool clear; /* by memset, each */
    bool zero;  /* they must be zero */
    bool write; /* a word of each */
};

/* All but what was written; not timed. */
static void check_zero(char *const *at, const struct round *round)
{
    for (int i = 0; i < round->count; i++)
        for (size_t byte = round->write ? sizeof(uint64_t) : 0; byte < OBJECT; byte++)
            if (at[i][byte] != 0)
                bench_die("not zero");
}

static double objects(harena *arena, size_t size, const struct round *round)
{
    static char *at[OBJECTS];
    uint64_t from = bench_stamp(), to;
    double ns;

    for (int i = 0; i < round->count; i++) {
        at[i] = must(harena_alloc(arena, size));
        if (round->clear)
            memset(at[i], 0, size);
        if (round->write)
            *(uint64_t *)(void *)at[i] = 1;
    }
    bench_keep(at);
    to = bench_stamp();
    ns = bench_ns(from, to);
    if (round->zero || round->clear)
        check_zero(at, round);
    memset(at[0], 0xff, size);
    from = bench_stamp();
    harena_reset(arena);
    return (ns + bench_ns(from, bench_stamp())) / round->count;
}

static double warm(harena *arena, const struct world *w, const struct round *round)
{
    double ns = 0;
    int rounds = ROUNDS * OBJECTS / round->count;

    for (int i = 0; i < rounds; i++)
        ns += objects(arena, w->object, round);
    return ns / rounds;
}

static double warm_plain(struct world *w)
{
    return warm(w->arena, w, &(struct round){.count = FEW, .write = true});
}

static double warm_memset(struct world *w)
{
    return warm(w->arena, w, &(struct round){.count = FEW, .write = true, .clear = true});
}

static double warm_zeroed(struct world *w)
{
    return warm(w->zeroed, w, &(struct round){.count = FEW, .write = true, .zero = true});
}

/* The least that an arena can do which clears in bulk what has been used: one memset, and a bump each. */
static double warm_bare(struct world *w)
{
    static char *at[FEW];
    double ns = 0;

    for (int round = 0; round < ROUNDS * OBJECTS / FEW; round++) {
        uint64_t from = bench_stamp();

        memset(w->block, 0, FEW * w->object);
        w->at = 0;
        for (int i = 0; i < FEW; i++) {
            at[i] = w->block + w->at;
            w->at += w->object;
            *(uint64_t *)(void *)at[i] = 1;
        }
        bench_keep(at);
        ns += bench_ns(from, bench_stamp());
    }
    return ns / ROUNDS / OBJECTS;
}

static double warm_memset_many(struct world *w)
{
    return warm(w->arena, w, &(struct round){.count = OBJECTS, .write = true, .clear = true});
}

static double warm_zeroed_many(struct world *w)
{
    return warm(w->zeroed, w, &(struct round){.count = OBJECTS, .write = true, .zero = true});
}

/* In memory that this process has never touched. */
static double fresh(const struct world *w, const struct round *round)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;
    harena_options of_arena = HARENA_OPTIONS_INIT;
    harena_provider *provider;
    harena *arena;
    double ns;

    options.reserve = (size_t)64 * MIB;
    provider = of_arena.provider = must(harena_provider_create(&options));
    of_arena.zero = round->zero;
    arena = must(harena_create(&of_arena));
    ns = objects(arena, w->object, round);
    harena_release(arena);
    if (harena_provider_destroy(provider) != 0)
        bench_die("harena_provider_destroy failed");
    return ns;
}

static double fresh_plain(struct world *w)
{
    return fresh(w, &(struct round){.count = OBJECTS, .write = true});
}

static double fresh_zeroed(struct world *w)
{
    return fresh(w, &(struct round){.count = OBJECTS, .write = true, .zero = true});
}

static double fresh_memset(struct world *w)
{
    return fresh(w, &(struct round){.count = OBJECTS, .clear = true});
}

static double fresh_memset_written(struct world *w)
{
    return fresh(w, &(struct round){.count = OBJECTS, .clear = true, .write = true});
}

static double fresh_untouched(struct world *w)
{
    return fresh(w, &(struct round){.count = OBJECTS, .zero = true});
}

/* ---- the table ---- */

static const struct {
    const char *name;
    double (*peer)(struct world *w), (*ours)(struct world *w);
    double per; /* what the ns are divided by */
    double bar; /* of the ratio ours : peer; 0: none */
} jobs[] = {
    {"buffer: 1 MiB in and out : memcpy", both_block, both_buffer, MIB / PIECE, 1.5},
    {"- the same, warm", both_block_warm, both_buffer_warm, MIB / PIECE, 1.5},
    {"- the same, warm, read in place", both_block_warm, both_in_place_warm, MIB / PIECE, 1.5},
    {"- the same, warm, its address given away", both_block_warm, both_known_warm, MIB / PIECE, 0},
    {"- write 64 at a time", write_block, write_buffer, MIB / PIECE, 0},
    {"- read 16 at a time", read_block, read_buffer, MIB / READ_PIECE, 0},
    {"- read 16 at a time in place", read_block, read_in_place, MIB / READ_PIECE, 0},
    {"array: push 8 bytes : std::vector", push_vector, push_array, PUSHES, 1},
    {"64 zero bytes, fresh : memset", fresh_memset, fresh_untouched, 1, 1 / 3.0},
    {"64 zero bytes, fresh, written : not zeroed", fresh_plain, fresh_zeroed, 1, 1.3},
    {"64 zero bytes, fresh, written : memset", fresh_memset_written, fresh_zeroed, 1, 1 / 3.0},
    {"64 zero bytes, 1,000 warm : memset", warm_memset, warm_zeroed, 1, 1 / 3.0},
    {"64 zero bytes, 1,000 warm : not zeroed", warm_plain, warm_zeroed, 1, 0},
    {"- cleared in bulk, a bare bump : memset", warm_memset, warm_bare, 1, 0},
    {"64 zero bytes, 20,000 warm : memset", warm_memset_many, warm_zeroed_many, 1, 1 / 3.0},
};
#define JOBS (sizeof jobs / sizeof *jobs)

static struct world world_of(void)
{
    harena_options options = HARENA_OPTIONS_INIT;
    struct world w = {.object = OBJECT};

    __asm__("" : "+r"(w.object));
    options.retain = (size_t)64 * MIB;
    w.arena = must(harena_create(&options));
    options.zero = true;
    w.zeroed = must(harena_create(&options));
    w.block = must(malloc(MIB));
    memset(w.block, 1, MIB);
    memset(w.piece, 'p', PIECE);
    return w;
}

static void run_all(struct world *w, const struct bench_options *options, double *ns[JOBS][2])
{
    for (unsigned rep = 0; rep < options->repetitions; rep++) {
        for (size_t j = 0; j < JOBS; j++) {
            ns[j][0][rep] = jobs[j].peer(w) / jobs[j].per;
            ns[j][1][rep] = jobs[j].ours(w) / jobs[j].per;
            if (options->csv)
                printf("\"%s\",%u,%.3f,%.3f\n", jobs[j].name, rep, ns[j][0][rep], ns[j][1][rep]);
        }
    }
}

static void print_table(const struct bench_options *options, double *ns[JOBS][2])
{
    printf("%-42s %7s %22s %22s   bar\n", "", "ratio", "peer, ns", "ours, ns");
    for (size_t j = 0; j < JOBS; j++) {
        struct bench_spread peer = bench_spread(ns[j][0], options->repetitions),
                            ours = bench_spread(ns[j][1], options->repetitions);
        double ratio = ours.median / peer.median;

        printf("%-42s %7.2f %7.2f [%5.2f %6.2f] %7.2f [%5.2f %6.2f]", jobs[j].name, ratio,
               peer.median, peer.low, peer.high, ours.median, ours.low, ours.high);
        if (jobs[j].bar > 0)
            printf("   %.2f %s", jobs[j].bar, ratio <= jobs[j].bar ? "holds" : "MISSED");
        putchar('\n');
    }
}

int main(int argc, char **argv)
{
    struct bench_options options;
    double *ns[JOBS][2];
    struct world w;

    bench_start(&options, argc, argv,
                "What do buffers and arrays cost that grow, and memory that is always zero?", 31);
    for (size_t j = 0; j < JOBS; j++)
        for (int side = 0; side < 2; side++)
            ns[j][side] = must(malloc(options.repetitions * sizeof(double)));
    w = world_of();
    if (options.csv)
        puts("what,repetition,peer_ns,ours_ns");
    run_all(&w, &options, ns);
    if (!options.csv)
        print_table(&options, ns);
    for (size_t j = 0; j < JOBS; j++)
        for (int side = 0; side < 2; side++)
            free(ns[j][side]);
    free(w.block);
    harena_release(w.arena);
    harena_release(w.zeroed);
    return 0;
}
