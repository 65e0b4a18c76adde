/* SPDX-License-Identifier: BSD-2-Clause */
/* Models of a fork: one thread goes on in the child, others are cut off at any step, and what they held is lost.
 *
 * A thread that is cut off makes no step of the library any more: it leaves by a jump at the point where it stands (the
 * compiler's, for AddressSanitizer would look into that of the C library, and does not know the stack). The application does what liburcu asks for, so RCU's worker is between two callbacks when the process forks, and goes on in
 * the child; what RCU has been given is still there. */
#include "deferred.h"
#include "models.h"
#include "os.h"
#include "retire.h"
#include "world.h"

#include <errno.h>
#include <string.h>

enum { ITEMS = 4 };
enum state { LIVE, RETIRED, RECLAIMED };

struct item {
    struct hri_retired retired;
    enum state state;
    uint32_t process; /* that has retired it */
    uint32_t said;    /* atomic; hri_retire has returned */
    bool has_chunk;   /* chunk 0, which its reclaim gives back */
} HRI_ALIGNED;

static struct hri_domain *domain;
static struct item items[ITEMS];
static struct item *slot; /* atomic; what readers find */
static struct {
    uint32_t forks;  /* waited on */
    uint32_t busy;   /* waited on; callbacks and calls of call_rcu that are under way */
    bool cuts_calls; /* in setup: RCU gets nothing */
    bool fork_waits; /* for that */
    bool loses;      /* a thread was cut off inside the library: what it held is lost */
    bool may_be_cut[EXPLORE_THREADS], is_cut[EXPLORE_THREADS], is_inside[EXPLORE_THREADS];
    const struct item *held[EXPLORE_THREADS];
} now;
static void *at_start[EXPLORE_THREADS][5];

/* ---- to be cut off ---- */

static __attribute__((noinline, no_sanitize("address"))) void leave_if_cut(void)
{
    int self = explore_self();

    if (self < EXPLORE_THREADS && now.is_cut[self])
        __builtin_longjmp(at_start[self], 1);
}

/* What a thread does until it is cut off. */
static __attribute__((noinline)) void until_cut(void (*work)(void))
{
    int self = explore_self();

    now.may_be_cut[self] = now.is_inside[self] = true;
    if (__builtin_setjmp(at_start[self]) == 0) {
        work();
        now.is_inside[self] = false;
    }
}

static void touch(const void *at)
{
    explore_touch(at);
    leave_if_cut();
}

/* Who may be cut off waits with a bound, so that waiting in a process that is not there is no deadlock. */
static void wait(uint32_t *word, uint32_t seen, int milliseconds)
{
    int self = explore_self();

    explore_wait(word, seen, self < EXPLORE_THREADS && now.may_be_cut[self] ? 1 : milliseconds);
    leave_if_cut();
}

static void wake(uint32_t *word)
{
    explore_wake(word);
    leave_if_cut();
}

static void (*callback)(struct rcu_head *head);

static void no_longer_busy(void)
{
    now.busy--;
    if (now.fork_waits)
        explore_wake(&now.busy);
}

static void call_back(struct rcu_head *head)
{
    now.busy++;
    callback(head);
    no_longer_busy();
}

/* Cut off here, RCU has not got the head; later, it has. */
static void call_rcu(struct rcu_head *head, void (*function)(struct rcu_head *head))
{
    if (!explore_running()) {
        if (!now.cuts_calls)
            function(head);
        return;
    }
    touch(&callback);
    callback = function;
    now.busy++;
    explore_rcu.update_call_rcu(head, call_back);
    no_longer_busy();
    leave_if_cut();
}

static void synchronize_rcu(void)
{
    explore_rcu.update_synchronize_rcu();
    leave_if_cut();
}

/* The caller goes on in the child, and so do the threads that are not cut off, as if it had made them. */
static void fork_without(unsigned threads)
{
    uint32_t busy;

    touch(&now.forks);
    while ((busy = now.busy) != 0) {
        now.fork_waits = true;
        wait(&now.busy, busy, -1);
    }
    now.fork_waits = false;
    explore_note("forks", 0, 0);
    world_fork();
    for (int i = 0; i < EXPLORE_THREADS; i++) {
        now.is_cut[i] = now.is_cut[i] || (threads >> i & 1) != 0;
        now.loses = now.loses || (now.is_cut[i] && now.is_inside[i]);
    }
    now.forks++;
    wake(&now.forks);
}

static void await_fork(uint32_t number)
{
    uint32_t seen;

    touch(&now.forks);
    while ((seen = now.forks) < number)
        wait(&now.forks, seen, -1);
}

/* ---- items ---- */

static void reclaim(struct hri_retired *retired)
{
    struct item *item = HRI_CONTAINER(retired, struct item, retired);

    touch(item);
    explore_note("reclaims item", (uint64_t)(item - items), 0);
    EXPLORE_CHECK(item->state != RECLAIMED && "an item is reclaimed twice");
    EXPLORE_CHECK(item->state == RETIRED && "an item is reclaimed that was not retired");
    for (int i = 0; i < EXPLORE_THREADS; i++)
        EXPLORE_CHECK(now.held[i] != item && "an item is reclaimed that a reader has");
    item->state = RECLAIMED;
    if (item->has_chunk)
        hri_run_put(world, 0);
}

static void retire(int number)
{
    struct item *item = &items[number];

    touch(item);
    item->state = RETIRED;
    item->process = now.forks;
    item->retired =
        (struct hri_retired){.reclaim = reclaim, .bytes = HRI_CHUNK, .record = sizeof(*item)};
    hri_retire(domain, &item->retired, "model");
    hri_store_release(&item->said, 1);
}

static bool is_due(const struct item *item)
{
    return item->state == RETIRED && (item->process == now.forks || !now.loses);
}

/* What this process has retired is reclaimed when it returns, and what it has inherited unless that is lost. */
static void barrier(void)
{
    bool before[ITEMS];

    for (int i = 0; i < ITEMS; i++)
        before[i] = hri_load_acquire(&items[i].said) != 0 && is_due(&items[i]);
    EXPLORE_CHECK(harena_provider_barrier(world) == 0);
    for (int i = 0; i < ITEMS; i++) {
        if (!before[i])
            continue;
        touch(&items[i]);
        EXPLORE_CHECK(items[i].state == RECLAIMED &&
                      "barrier has returned before an item was reclaimed");
    }
}

static void read_slot(void)
{
    const struct item *item;
    int self = explore_self();

    hri_rcu_enter(&explore_rcu);
    item = hri_load_acquire(&slot);
    if (item != NULL) {
        touch(item);
        EXPLORE_CHECK(item->state != RECLAIMED && "a reader sees an item that was reclaimed");
        now.held[self] = item;
        touch(item);
        now.held[self] = NULL;
    }
    hri_rcu_leave(&explore_rcu);
}

/* ---- who is cut off ---- */

static void retire_0(void)
{
    retire(0);
}

static void retire_0_and_barrier(void)
{
    retire(0);
    barrier();
}

static void cut_in_retire(void)
{
    until_cut(retire_0);
}

static void retire_1(void)
{
    retire(1);
}

static void cut_in_retire_1(void)
{
    until_cut(retire_1);
}

static void cut_in_barrier_alone(void)
{
    until_cut(barrier);
}

static void cut_in_barrier(void)
{
    until_cut(retire_0_and_barrier);
}

static void retire_1_in_the_child(void)
{
    await_fork(1);
    retire(1);
}

static void cut_in_the_child(void)
{
    until_cut(retire_1_in_the_child);
}

/* ---- who goes on ---- */

static void fork_retire(void)
{
    fork_without(1u << 0);
    retire(2);
}

static void retire_fork_retire(void)
{
    retire(1);
    fork_without(1u << 0);
    retire(2);
}

static void fork_barrier(void)
{
    retire(1);
    fork_without(1u << 0);
    retire(2);
    barrier();
}

static void fork_alone_retire(void)
{
    retire(1);
    fork_without(0);
    retire(2);
}

/* There is no record for another head: nothing is lost, and as soon as there is one all goes on. */
static void fork_without_records(void)
{
    size_t used = world->slab.used;
    int result;

    fork_without(1u << 0);
    world->slab.used = world->slab.size;
    retire(2);
    result = harena_provider_barrier(world);
    EXPLORE_CHECK((result == 0 || result == -ENOMEM) && "barrier gives another error");
    EXPLORE_CHECK((result != 0 || items[2].state == RECLAIMED) &&
                  "barrier has returned before an item was reclaimed");
    world->slab.used = used;
    barrier();
}

static void fork_alone_replace(void)
{
    retire(1);
    fork_without(0);
    hri_exchange_acq_rel(&slot, NULL);
    retire(2);
}

static void fork_alone_get_chunk(void)
{
    uint32_t chunk;

    retire(1);
    fork_without(0);
    chunk = hri_run_get(world, 1, "model");
    EXPLORE_CHECK(chunk != HRI_NO_CHUNK && "refused while memory came back");
    hri_run_put(world, chunk);
}

static void fork_twice_retire(void)
{
    fork_without(1u << 0);
    fork_without(1u << 1);
    retire(2);
}

static void fork_alone(void)
{
    retire(1);
    fork_without(0);
}

static void only_fork(void)
{
    fork_without(1u << 0 | 1u << 1);
}

static void barrier_in_the_child(void)
{
    await_fork(1);
    barrier();
}

static void retire_2(void)
{
    retire(2);
}

static void retire_3(void)
{
    retire(3);
}

static void retire_3_in_the_child(void)
{
    await_fork(1);
    retire(3);
}

static void read_in_the_child(void)
{
    await_fork(1);
    read_slot();
    read_slot();
}

/* ---- what they begin with ---- */

/* All push to the same shard. */
static void setup(void)
{
    static struct rcu_flavor_struct flavor;

    flavor = explore_rcu;
    flavor.update_call_rcu = call_rcu;
    flavor.update_synchronize_rcu = synchronize_rcu;
    world_create(1, 1);
    hri_os.wait = wait;
    hri_os.wake = wake;
    world_after_point = leave_if_cut;
    memset(items, 0, sizeof(items));
    memset(&now, 0, sizeof(now));
    slot = &items[2];
    explore_memory(items, sizeof(items));
    explore_memory(&now, sizeof(now));
    explore_memory(&slot, sizeof(slot));
    for (int i = 0; i < EXPLORE_THREADS; i++)
        explore_identity(i, (uint32_t)(4 * i + 1) << 6);
    domain = hri_domain_get(world, &flavor);
}

/* In the child, of a thread that was cut off before RCU got the head. */
static void setup_cut(void)
{
    setup();
    now.cuts_calls = true;
    retire(1);
    now.cuts_calls = false;
    world_fork();
    now.forks++;
}

static void setup_chunk(void)
{
    setup();
    world->blocks.table[0].state = UINT64_C(1) << 32 | 1;
    world->blocks.table[0].committed = 1;
    world->blocks.used = 1;
    world->committed = HRI_CHUNK;
    hri_provider_extent(world, 0)->length = 1;
    items[1].has_chunk = true;
}

/* The child's worker reclaims what the child retires, and if nobody was cut off what the parent had retired. */
static void quiet(void)
{
    for (int i = 0; i < ITEMS; i++) {
        EXPLORE_CHECK(!is_due(&items[i]) && "an item was never reclaimed");
        EXPLORE_CHECK((items[i].state == LIVE || items[i].process != now.forks ||
                       (world->deferred == hri_deferred_none() &&
                        world->deferred_records == hri_deferred_none())) &&
                      "bytes are deferred for ever");
    }
    EXPLORE_CHECK(hri_deferred_bytes(world->deferred) == 0);
    EXPLORE_CHECK(hri_deferred_bytes(world->deferred_records) == 0);
    EXPLORE_CHECK(harena_provider_barrier(world) == 0);
}

const struct explore_model fork_models[] = {
    {"fork/retire", setup, {cut_in_retire, fork_retire}, NULL, quiet, 3, 5, EXPLORE_NOT},
    {"fork/both", setup, {cut_in_retire, retire_fork_retire}, NULL, quiet, 2, 3, EXPLORE_NOT},
    {"fork/nothing", setup, {fork_alone}, NULL, quiet, 3, 5, EXPLORE_NOT},
    {"fork/inherited",
     setup,
     {retire_3_in_the_child, fork_alone_retire},
     NULL,
     quiet,
     2,
     3,
     EXPLORE_NOT},
    {"fork/reader", setup, {read_in_the_child, fork_alone_replace}, NULL, quiet, 2, 3, EXPLORE_NOT},
    {"fork/barrier", setup, {cut_in_barrier, fork_barrier}, NULL, quiet, 2, 2, EXPLORE_NOT},
    {"fork/barrier-inherited",
     setup,
     {fork_alone, retire_3_in_the_child, barrier_in_the_child},
     NULL,
     quiet,
     1,
     2,
     EXPLORE_NOT},
    {"fork/barrier-left", setup_cut, {retire_2, retire_3, barrier}, NULL, quiet, 1, 2, EXPLORE_NOT},
    {"fork/barrier-markers",
     setup,
     {cut_in_barrier_alone, cut_in_retire_1, only_fork, barrier_in_the_child},
     NULL,
     quiet,
     1,
     2,
     EXPLORE_NOT},
    {"fork/twice",
     setup,
     {cut_in_retire, cut_in_the_child, fork_twice_retire},
     NULL,
     quiet,
     2,
     3,
     EXPLORE_NOT},
    {"fork/limit", setup_chunk, {fork_alone_get_chunk}, NULL, quiet, 3, 4, EXPLORE_NOT},
    {"fork/no-record",
     setup,
     {cut_in_retire, fork_without_records},
     NULL,
     quiet,
     2,
     3,
     EXPLORE_NOT},
    {0},
};
