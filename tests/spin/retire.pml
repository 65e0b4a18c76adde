/* SPDX-License-Identifier: BSD-2-Clause */
/* Read sections, grace periods, pending lists with one batch in flight a shard, barrier: src/retire.c for spin.
 *
 * Each step is one access to a shared word, as in the C code; what one thread does with memory that is its own is part
 * of the step before. Memory is sequentially consistent. What spin cannot see in C is here as "ghosts": who is on a
 * list, what a barrier still has to see reclaimed.
 *
 * A grace period is RCU's promise and no more: it waits for the sections that had begun when it began, and ends when
 * the last of them has ended. Sections that begin meanwhile do not hold it up.
 *
 * The model that includes this file says
 *   BIT(n)                      1 << n
 *   RECORDS                     items 1 to RECORDS can be retired
 *   SHARDS                      1 or 2
 *   BARRIERS                    threads that call harena_provider_barrier
 *   reclaim_record(item, who)   what hri_retired.reclaim does, with reclaimed(item) in its last step; who: 0 is the
 *                               worker, 1 and up are barriers
 *   has_cleanups(item)
 * and starts worker() and barrier_caller(1..BARRIERS).
 *
 * BUG_x plants a mistake; spin.sh has the list and requires each to be found. */

#define MARKER (RECORDS + 1) /* and the next: a shard's marker */
#define ITEMS (RECORDS + SHARDS)
#define WORKER 0

byte inside;              /* bit t: thread t is in a read section */
byte grace[BARRIERS + 1]; /* bit t: this one's grace period waits for thread t; 0: it has ended */

byte next[ITEMS + 1];
byte pending[SHARDS];
bool armed[SHARDS]; /* by this process: nobody forks here */
byte batch[SHARDS];
byte called; /* bit s: call_rcu has shard s's head */

bool locked; /* the barrier's lock */
byte left;   /* markers that have not been reached */

byte on_list;           /* ghost. bit i: item i has been put on a list and not been reclaimed */
byte must[BARRIERS + 1]; /* ghost. bit i: this barrier may not return before item i has been reclaimed */
bool waiting;           /* ghost. Barrier 1 has been called and has not returned */

/* ---- what RCU gives ---- */

inline enter(me)
{
    inside = inside | BIT(me)
}

inline leave(me)
{
    d_step {
        inside = inside & ~BIT(me);
        grace[0] = grace[0] & ~BIT(me);
#if BARRIERS > 0
        grace[1] = grace[1] & ~BIT(me);
#endif
#if BARRIERS > 1
        grace[2] = grace[2] & ~BIT(me)
#endif
    }
}

inline synchronize_rcu(who)
{
    grace[who] = inside;
    grace[who] == 0
}

/* ---- lists ---- */

/* What the inlines below use; all of it is dead between them. */
#define RETIRE_LOCALS byte head, seen, was, follow, count, list, item, shard, gone, got

/* The list belongs to this thread alone. */
inline reverse(items)
{
    d_step {
        was = items;
        items = 0;
        count = 0;
        do
        :: was == 0 -> break
        :: else ->
            assert(count < ITEMS); /* no list is a ring */
            count++;
            follow = next[was];
            next[was] = items;
            items = was;
            was = follow
        od;
        follow = 0;
        count = 0
    }
}

inline start_batch(s)
{
    do
    ::
#ifdef BUG_CALL_BEFORE_TAKE
        called = called | BIT(s);
#endif
        atomic {
            got = pending[s];
            pending[s] = 0
        };
        if
        :: got != 0 ->
            atomic {
                assert(batch[s] == 0); /* one batch at a time */
                batch[s] = got;
                got = 0
            };
#ifndef BUG_CALL_BEFORE_TAKE
            called = called | BIT(s);
#endif
            break
        :: else -> skip
        fi;
        armed[s] = false;
#ifdef BUG_NO_SECOND_LOOK
        break
#else
        if
        :: pending[s] == 0 -> break
        :: else -> skip
        fi;
        atomic {
            if
            :: !armed[s] -> armed[s] = true
            :: else -> break
            fi
        }
#endif
    od
}

/* `seen`: what the shard's `armed` was. */
inline arm(s)
{
    if
    :: !seen ->
        atomic {
            if
            :: !armed[s] -> armed[s] = true
            :: else -> seen = 1
            fi
        };
        if
        :: !seen -> start_batch(s)
        :: else -> skip
        fi
    :: else -> skip
    fi;
    seen = 0
}

inline push(s, what)
{
#ifdef BUG_LOOK_BEFORE_PUSH
    seen = armed[s];
#endif
    head = pending[s];
    do
    :: atomic {
            next[what] = head;
            if
            :: pending[s] == head ->
                pending[s] = what;
                on_list = on_list | BIT(what);
                break
            :: else -> head = pending[s]
            fi
        }
    od;
#ifndef BUG_LOOK_BEFORE_PUSH
    atomic {
        seen = armed[s];
        head = 0
    };
#endif
    arm(s)
}

/* ---- reclaim ---- */

/* Part of the step that gives the record back. */
inline reclaimed(what)
{
    on_list = on_list & ~BIT(what);
    next[what] = 0; /* anything: the next holder's from now on */
#if BARRIERS > 0
    must[1] = must[1] & ~BIT(what);
#endif
#if BARRIERS > 1
    must[2] = must[2] & ~BIT(what);
#endif
}

inline reclaim(what, who)
{
    if
    :: what >= MARKER ->
        atomic {
            assert(on_list & BIT(what));
            on_list = on_list & ~BIT(what);
            next[what] = 0;
            left = left - 1
        }
    :: else -> reclaim_record(what, who)
    fi
}

inline on_grace_period(s)
{
#ifdef BUG_DISARM_BEFORE_RECLAIM
    armed[s] = false;
#endif
    atomic {
        list = batch[s];
#ifndef BUG_BATCH_BY_LOAD
        batch[s] = 0; /* a barrier may have been faster */
#endif
#ifndef BUG_NEWEST_FIRST
        reverse(list)
#endif
    };
    do
    :: list == 0 -> break
    :: else ->
        item = list;
#ifdef BUG_LINK_AFTER_RECLAIM
        reclaim(item, WORKER);
        list = next[item]
#else
        list = next[item];
        reclaim(item, WORKER)
#endif
    od;
    item = 0;
#ifdef BUG_DISARM_BEFORE_RECLAIM
    seen = armed[s];
    if
    :: pending[s] != 0 -> arm(s)
    :: else -> skip
    fi
#else
    start_batch(s)
#endif
}

/* RCU's worker: takes all heads that call_rcu was given, waits for one grace period, calls back. */
proctype worker()
{
    RETIRE_LOCALS;
    byte due;

end:
    do
    :: atomic {
            called != 0 ->
            due = called;
            called = 0;
            grace[WORKER] = inside
        };
#ifndef BUG_NO_GRACE_PERIOD
        grace[WORKER] == 0;
#endif
        shard = 0;
        do
        :: shard == SHARDS -> break
        :: else ->
            if
            :: due & BIT(shard) -> on_grace_period(shard)
            :: else -> skip
            fi;
            shard++
        od;
        shard = 0;
        due = 0
    od
}

/* ---- barrier ---- */

#if BARRIERS > 0

/* Behind what was taken already. */
inline append(items)
{
    if
    :: taken == 0 -> taken = items
    :: else ->
        was = taken;
        do
        :: next[was] == 0 -> break
        :: else -> was = next[was]
        od;
        next[was] = items
    fi;
    items = 0;
    was = 0
}

inline take_lists()
{
    taken = 0;
    complete = 0;
    shard = 0;
    do
    :: shard == SHARDS -> break
    :: else ->
#ifdef BUG_LOOK_BEFORE_TAKE
        complete = complete | (!armed[shard] -> BIT(shard) : 0);
#endif
        atomic {
            list = pending[shard];
            pending[shard] = 0;
            reverse(list)
        };
        atomic {
            got = batch[shard];
            batch[shard] = 0;
            reverse(got);
            complete = complete | (got != 0 -> BIT(shard) : 0);
            append(got);
            append(list);
        };
#ifndef BUG_LOOK_BEFORE_TAKE
        complete = complete | (!armed[shard] -> BIT(shard) : 0);
#endif
        shard++
    od;
    shard = 0
}

inline reclaim_taken(who)
{
    do
    :: taken == 0 -> break
    :: else ->
        item = taken;
        taken = next[item];
        assert(item < MARKER);
#ifdef BUG_BARRIER_RUNS_CLEANUPS
        reclaim_record(item, who)
#else
        if
        :: has_cleanups(item) ->
            push(0, item);
#ifndef BUG_NOT_WAITING_FOR_CLEANUPS
            complete = complete & ~BIT(0)
#endif
        :: else -> reclaim_record(item, who)
        fi
#endif
    od;
    item = 0
}

inline wait_for_others()
{
    left = SHARDS;
    shard = 0;
    marked = 0;
    do
    :: shard == SHARDS -> break
    :: else ->
        if
        :: complete & BIT(shard) -> skip
        :: else ->
            marked++;
            assert(!(on_list & BIT(MARKER + shard)));
            push(shard, MARKER + shard)
        fi;
        shard++
    od;
    shard = 0;
    left = left - (SHARDS - marked);
    left == 0
}

inline drain(who)
{
#ifndef BUG_BARRIER_UNLOCKED
    atomic { !locked -> locked = true };
#endif
    take_lists();
    if
    :: taken != 0 ->
#ifndef BUG_BARRIER_NO_GRACE_PERIOD
        synchronize_rcu(who);
#endif
        reclaim_taken(who)
    :: else -> skip
    fi;
#ifndef BUG_BARRIER_NO_MARKERS
    wait_for_others();
#endif
    locked = false
}

/* Calls the barrier `times` times; 0: for ever. */
proctype barrier_caller(byte who; byte times)
{
    RETIRE_LOCALS;
    byte taken, complete, marked, round;

end:
    do
    :: times == 0 || round < times ->
        atomic {
            round = round + (times != 0);
            must[who] = on_list & (BIT(MARKER) - 1);
            waiting = (who == 1 -> true : waiting)
        };
        drain(who);
        atomic {
            assert(must[who] == 0); /* what was retired before is reclaimed */
            waiting = (who == 1 -> false : waiting)
        }
    :: else -> break
    od
}

#endif

/* ---- liveness, under weak fairness ---- */

#ifdef LTL_RECLAIMED
ltl everything_retired_is_reclaimed { [] ((on_list & 2) -> <> !(on_list & 2)) }
#endif
#ifdef LTL_BARRIER
ltl barrier_returns { [] (waiting -> <> !waiting) }
#endif
