/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that stop for ever at random instructions of the library: all others go on, memory stays bounded, and
 * reclamation stops only where doc/design.md says so.
 *
 * A batch is a process of its own with four workers, whose numbers put one on each of the shards that retired memory
 * waits in. One victim after the other does one operation with the trap flag on and is parked at an instruction of the
 * library, uniform over the operation's length. The workers then do rounds of everything, and retire something each,
 * which comes back or not; a barrier comes back or not. In half of the batches the victim then goes on, and the batch
 * ends with everything given back; in the others it stays where it is beside the next ones, and the process ends. */
#ifndef __x86_64__
#include <stdio.h>

int main(void)
{
    puts("skipped: knows the trap flag of x86-64 only");
    return 77; /* automake's number for it */
}
#else
#define _GNU_SOURCE 1 /* dl_iterate_phdr, REG_RIP */
#include "names.h"
#include "operations.h"
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define BATCH         12
#define BATCHES       6  /* processes at once: they mostly wait for grace periods */
#define ROUNDS        3  /* of each worker behind a parked thread */
#define POINTS        12 /* of one operation, in the short tier */
#define LONG_POINTS   150
#define PATIENCE      150 /* ms until reclamation counts as stopped, where that is documented */
#define LEAST_DEFER   (2 * TEST_MIB)
#define LIMIT         (256 * TEST_MIB)
#define HELD_MOST     (40 * HARENA_CHUNK_SIZE) /* by one parked thread: trim holds a block of 32 */
#define TABLE_HEADING "**Suspended threads.**"

static const int flavors[] = {TEST_MEMB, TEST_BP, TEST_MB};
#define FLAVORS       ((int)(sizeof(flavors) / sizeof(flavors[0])))

/* What one batch tells its parent. */
typedef struct report {
    unsigned points, missed, progressed, in_section, stopped, recovered, again, refused;
    uint64_t length; /* instructions of the operation, at most */
    uint64_t recent; /* when it was last seen to end */
    uint64_t held;   /* bytes in use beside what the workers have, at most */
    names at;        /* where reclamation stopped: the documented functions */
    bool unnamed;    /* without debug information */
    bool ended;      /* the batch came to its end */
    uint64_t current;
    char failure[1024];
} report;

static names documented;
static report *told;
static unsigned inside;  /* threads that are parked and not resumed */
static uint64_t in_hand; /* bytes that they had before they were parked */
static bool barrier_begun;

static void *suffer(void *arg)
{
    victim *v = arg;

    test_flavor_register(world.flavor);
    if (v->op->run != run_exit) { /* bp registers here, behind liburcu's mutex */
        world.flavor->rcu->read_lock();
        world.flavor->rcu->read_unlock();
    }
    v->op->prepare(v);
    if (v->op->run == run_exit)
        test_flavor_unregister(world.flavor);
    if (!v->op->elsewhere)
        step_begin(&v->step);
    v->op->run(v);
    if (v->op->run == run_exit)
        return NULL;
    if (!v->op->elsewhere)
        step_end(&v->step);
    v->op->finish(v);
    test_flavor_unregister(world.flavor);
    return NULL;
}

/* ---- one point ---- */

static __attribute__((format(printf, 1, 2))) bool give_up(const char *format, ...)
{
    va_list args;

    if (told->failure[0] == '\0') {
        va_start(args, format);
        vsnprintf(told->failure, sizeof(told->failure), format, args);
        va_end(args);
    }
    return false;
}

/* The functions that the victim stands in, innermost first; true: a document names one of them. */
static bool explain(const victim *v, names *at)
{
    names one;
    char *name, *rest;
    bool any = false;

    at->text[0] = '\0';
    for (int i = 0; i < v->step.frame_count; i++) {
        if (!names_of(&one, step_text.file, v->step.frames[i]))
            continue; /* a jump of the linker's, to a function of another library: its caller has a name */
        any = true;
        for (name = strtok_r(one.text, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest))
            names_add(at, name);
    }
    if (!any) {
        told->unnamed = true;
        return true;
    }
    one = *at;
    for (name = strtok_r(one.text, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest))
        if (names_have(&documented, name)) {
            names_add(&told->at, name);
            return true;
        }
    return false;
}

static bool is_quiet(void)
{
    return test_stats(world.provider).deferred == 0;
}

/* Each worker retires something. */
static void begin_witnesses(void)
{
    atomic_store(&world.reclaimed, 0);
    atomic_store(&world.barriers, 0);
    barrier_begun = false;
    for (unsigned i = 0; i < WORKERS; i++)
        atomic_store(&world.workers[i].retire, true);
    post_all(1);
    (void)WITHIN(FOREVER, all_done());
}

/* RCU's worker reclaims all of it, and a barrier behind that comes back. (First the worker alone: a barrier helps.) */
static bool reclamation_goes_on(double seconds)
{
    worker *waits = &world.workers[WORKERS];

    if (!WITHIN(seconds, atomic_load(&world.reclaimed) == WORKERS))
        return false;
    if (!barrier_begun) {
        atomic_store(&waits->barrier, true);
        post(waits, 1);
        barrier_begun = true;
    }
    return WITHIN(seconds, atomic_load(&world.barriers) == 1);
}

/* What is in use or deferred beside the workers' own, which nobody needs. A thread that was retiring something keeps
 * it deferred. */
static uint64_t held_by_parked(void)
{
    harena_provider_stats stats = test_stats(world.provider);
    uint64_t held = stats.in_use + stats.deferred;
    uint64_t known = harena_shared_cap(world.log) + harena_shared_cap(world.shared) +
                     WORKERS * HARENA_CHUNK_SIZE + in_hand;

    return held > known ? held - known : 0;
}

static bool memory_is_bounded(void)
{
    uint64_t most = inside * HELD_MOST, held;

    TEST_EXPECT(harena_snapshot_publish(&world.snapshot, NULL, NULL) == 0);
    if (!WITHIN(FOREVER, held_by_parked() <= most))
        return give_up("%llu bytes are held beside %u parked threads",
                       (unsigned long long)held_by_parked(), inside);
    held = held_by_parked();
    if (held > told->held)
        told->held = held;
    return true;
}

/* Lets the victim go on to its end, which brings back all that it held up. */
static bool let_go(victim *v)
{
    in_hand -= v->warm_count * HARENA_CHUNK_SIZE;
    step_resume(&v->step);
    pthread_join(v->id, NULL);
    inside--;
    if (!reclamation_goes_on(FOREVER))
        return give_up("reclamation does not go on when the victim has gone on");
    told->recovered++;
    return true;
}

/* The victim is parked. False: the batch cannot go on. */
static bool observe(victim *v, test_rng *rng, bool resume)
{
    report *r = told;
    names at;
    bool stopped = false;

    inside++;
    in_hand += v->warm_count * HARENA_CHUNK_SIZE;
    r->points++;
    post_all(ROUNDS);
    if (!WITHIN(FOREVER, all_done())) {
        (void)explain(v, &at);
        return give_up("others make no progress behind a thread parked in%s", at.text);
    }
    r->progressed++;
    begin_witnesses();
    if (v->step.in_section) {
        r->in_section++;
        if (!v->op->reads)
            return give_up("%s is in a read section of its own", v->op->name);
        if (WITHIN(0.015, atomic_load(&world.reclaimed) != 0))
            return give_up("memory is reclaimed behind a reader");
        stopped = true;
    } else if (!reclamation_goes_on(PATIENCE / 1e3)) {
        if (explain(v, &at)) {
            stopped = true;
            r->stopped++;
        } else if (!reclamation_goes_on(FOREVER)) {
            return give_up(
                "reclamation stops at a thread parked in%s, which doc/design.md does not "
                "name",
                at.text);
        }
    }
    if (resume && !let_go(v))
        return false;
    if ((!stopped || resume) && test_once_in(rng, 4) && !memory_is_bounded())
        return false;
    return resume || !stopped;
}

static bool point(const operation *op, test_rng *rng, bool resume)
{
    report *r = told;
    victim *v = calloc(1, sizeof(*v)); /* for as long as the process lives */
    unsigned state;

    v->op = op;
    v->step.rcu = world.flavor->rcu;
    v->step.target = r->recent == 0 ? 0 : test_between(rng, 1, r->recent);
    r->current = v->step.target;
    if (test_once_in(rng, 2))
        post_all(2); /* so that it meets somebody; else it is alone */
    if (pthread_create(&v->id, NULL, suffer, v) != 0)
        return give_up("no thread");
    state = step_wait(&v->step, FOREVER);
    if (state == STEP_RUNNING)
        return give_up("a thread alone with others in %s does not come to its end", op->name);
    if (state == STEP_PARKED)
        return observe(v, rng, resume);
    pthread_join(v->id, NULL);
    if (r->recent != 0)
        r->missed++;
    r->recent = v->step.steps;
    if (v->step.steps > r->length)
        r->length = v->step.steps;
    return v->step.steps > 0 ? true : give_up("%s makes no step", op->name);
}

/* ---- a batch: a process ---- */

static void start_worker(worker *k, unsigned index)
{
    k->index = index;
    sem_init(&k->go, 0, 0);
    atomic_store(&k->wanted, 1);
    pthread_create(&k->id, NULL, work, k);
    WITHIN(FOREVER, atomic_load(&k->rounds) == 1); /* one after the other: numbers in order */
}

static void open_world(const test_flavor *flavor)
{
    harena_provider_options options = HARENA_PROVIDER_OPTIONS_INIT;

    world.flavor = flavor;
    test_flavor_register(flavor);
    options.reserve = 1024 * TEST_MIB;
    options.limit = LIMIT;
    options.deferred_limit = LEAST_DEFER;
    options.rcu = flavor->rcu;
    world.provider = harena_provider_create(&options);
    options.reserve = 16 * TEST_MIB;
    options.limit = SMALL_CHUNKS * HARENA_CHUNK_SIZE;
    world.small = harena_provider_create(&options);
    world.shared = make_shared();
    world.log = make_shared();
    world.snapshot.rcu = flavor->rcu;
    pthread_key_create(&exit_key, in_destructor);
    for (unsigned i = 0; i <= WORKERS; i++)
        start_worker(&world.workers[i], i);
}

/* Every victim has gone on: all is given back. */
static bool close_world(void)
{
    for (unsigned i = 0; i <= WORKERS; i++) {
        atomic_store(&world.workers[i].stop, true);
        post(&world.workers[i], 1);
        pthread_join(world.workers[i].id, NULL);
    }
    harena_snapshot_fini(&world.snapshot);
    harena_shared_release(world.shared);
    harena_shared_release(world.log);
    if (harena_provider_barrier(world.provider) != 0 || !is_quiet())
        return give_up("not all is reclaimed at the end");
    if (harena_provider_destroy(world.provider) != 0 || harena_provider_destroy(world.small) != 0)
        return give_up("not all is given back at the end");
    return true;
}

static void run_batch(const operation *op, const test_flavor *flavor, unsigned number,
                      unsigned points, report *r)
{
    test_rng rng = test_rng_for((uint64_t)(op - operations) << 32 | number);
    bool resume = number % 2 == 0, go_on = true;

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* parked threads would stay for ever */
    told = r;
    open_world(flavor);
    while (go_on && r->points < points && r->missed < 10 * points)
        go_on = point(op, &rng, resume) && !test_failed();
    if (go_on && resume)
        close_world();
    r->again = atomic_load(&world.again);
    r->refused = atomic_load(&world.refused);
    if (test_failed())
        give_up("%s", test_failure_text);
    r->ended = true;
    _exit(0);
}

/* ---- the test ---- */

static void add_report(report *sum, const report *r)
{
    char *name, *rest = NULL;
    names at = r->at;

    sum->points += r->points;
    sum->missed += r->missed;
    sum->progressed += r->progressed;
    sum->in_section += r->in_section;
    sum->stopped += r->stopped;
    sum->recovered += r->recovered;
    sum->again += r->again;
    sum->refused += r->refused;
    sum->unnamed |= r->unnamed;
    if (r->length > sum->length)
        sum->length = r->length;
    if (r->held > sum->held)
        sum->held = r->held;
    for (name = strtok_r(at.text, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest))
        names_add(&sum->at, name);
}

static void print_report(const operation *op, const test_flavor *flavor, const report *sum,
                         double seconds)
{
    char at[sizeof(sum->at.text)] = "none";
    size_t used = strlen(sum->at.text);

    if (used > 2) { /* without the spaces around it, commas between */
        memcpy(at, sum->at.text + 1, used - 2);
        at[used - 2] = '\0';
        for (char *space = at; (space = strchr(space, ' ')) != NULL;)
            *space = ',';
    }
    printf(
        "suspend=%s flavor=%s instructions=%llu points=%u progressed=%u in_section=%u "
        "stopped=%u at=%s resumed=%u held_bytes=%llu again=%u refused=%u missed=%u seconds=%.1f\n",
        op->name, flavor->name, (unsigned long long)sum->length, sum->points, sum->progressed,
        sum->in_section, sum->stopped, sum->unnamed ? "unnamed" : at, sum->recovered,
        (unsigned long long)sum->held, sum->again, sum->refused, sum->missed, seconds);
    fflush(stdout);
}

/* Batches of one operation in one flavour until there are points enough. */
static void suspend(const operation *op, const test_flavor *flavor, unsigned points)
{
    report sum = {0}, *reports;
    struct {
        pid_t pid;
        unsigned number;
    } running[BATCHES] = {{0}};
    const unsigned most = points * 2 + 8; /* batches: a reader ends its own */
    const unsigned quota = points < BATCH * BATCHES ? (points + BATCHES - 1) / BATCHES : BATCH;
    unsigned started = 0, count = 0;
    bool failed = false;
    double began = now();

    reports = mmap(NULL, most * sizeof(*reports), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(reports, MAP_FAILED);
    fflush(stdout);
    do {
        for (unsigned i = 0; i < BATCHES; i++) {
            int status;
            pid_t ended = running[i].pid != 0 ? waitpid(running[i].pid, &status, WNOHANG) : 0;
            report *r = &reports[running[i].number];

            if (ended == running[i].pid && ended != 0) {
                running[i].pid = 0;
                count--;
                if (!WIFEXITED(status) || !r->ended)
                    snprintf(r->failure, sizeof(r->failure), "the process ended with status %d",
                             status);
                if (r->failure[0] != '\0' && !failed) {
                    failed = true;
                    for (unsigned j = 0; j < BATCHES; j++)
                        if (running[j].pid != 0)
                            kill(running[j].pid, SIGKILL); /* they would wait as long */
                    printf("suspend=%s flavor=%s batch=%u instruction=%llu failed: %s\n", op->name,
                           flavor->name, running[i].number, (unsigned long long)r->current,
                           r->failure);
                    snprintf(sum.failure, sizeof(sum.failure), "%s", r->failure);
                }
                add_report(&sum, r);
            }
            if (running[i].pid == 0 && !failed && sum.points + count * quota < points &&
                started < most) {
                running[i].number = started++;
                running[i].pid = fork();
                ck_assert_int_ge(running[i].pid, 0);
                if (running[i].pid == 0)
                    run_batch(op, flavor, running[i].number, quota, &reports[running[i].number]);
                count++;
            }
        }
        nap();
    } while (count > 0);
    print_report(op, flavor, &sum, now() - began);
    ck_assert_msg(!failed, "%s: %s", op->name, sum.failure);
    ck_assert_uint_ge(sum.points, points);
    ck_assert_uint_eq(sum.points, sum.progressed);
    munmap(reports, most * sizeof(*reports));
}

static bool is_long(void)
{
    return test_scale() > 1;
}

/* In the short tier each operation has one flavour, another one with another seed. */
START_TEST(others_go_on)
{
    const operation *op = &operations[_i % OPERATIONS];
    int flavor = _i / OPERATIONS;

    if (!is_long())
        flavor = (int)((test_seed() + (uint64_t)_i) % FLAVORS);
    suspend(op, &test_flavors[flavors[flavor]],
            is_long() ? LONG_POINTS * test_scale() / 10 : POINTS);
}
END_TEST

static bool read_documents(void)
{
    const char *top = getenv("top_srcdir");
    char path[4096];

    if (top != NULL)
        snprintf(path, sizeof(path), "%s/doc/design.md", top);
    else /* by hand: from this file's name */
        snprintf(path, sizeof(path), "%.*s/../../doc/design.md",
                 (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__);
    return names_of_table(&documented, path, TABLE_HEADING);
}

int main(void)
{
    Suite *suite = suite_create("suspend");
    TCase *tests = test_case(suite, "suspended threads");

    if (TEST_TSAN || !step_init((void *)harena_provider_create)) {
        puts("skipped: needs the shared library, without ThreadSanitizer");
        return 77;
    }
    if (!read_documents()) {
        puts("doc/design.md has no table of " TABLE_HEADING);
        return 1;
    }
    tcase_add_loop_test(tests, others_go_on, 0, is_long() ? OPERATIONS * FLAVORS : OPERATIONS);
    return test_main(suite);
}
#endif
