/* SPDX-License-Identifier: BSD-2-Clause */
/* Published arenas: publishers replace the slot by exchange and retire what was there, readers read (src/snapshot.c).
 *
 * The smallest client of retire.pml, which is therefore explored here in all its combinations of shards and barriers.
 *
 *   READERS, PUBLISHERS   threads; publisher n retires to shard n % SHARDS
 *   READS, PUBLISHES      how often each does it; 0: for ever
 *   BARRIER_CALLS         likewise */

#ifndef SHARDS
#define SHARDS 1
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef PUBLISHERS
#define PUBLISHERS 1
#endif
#ifndef BARRIERS
#define BARRIERS 0
#endif
#ifndef READS
#define READS 0
#endif
#ifndef PUBLISHES
#define PUBLISHES 0
#endif
#ifndef BARRIER_CALLS
#define BARRIER_CALLS 0
#endif
#ifndef RECORDS
#define RECORDS 2 /* arenas; at most 5: items are bits of a byte, with two markers */
#endif

#define BIT(n) (1 << (n))

#ifdef ANY_ORDER /* in which the slab gives records; else the lowest */
#define ANY(those_before_are_taken) true
#else
#define ANY(those_before_are_taken) (those_before_are_taken)
#endif

#define FREE    0
#define LIVE    1
#define RETIRED 2

byte state[RECORDS + 1]; /* ghost, but FREE: the slab has it */
byte slot;               /* the arena; 0: none */
#ifdef BUG_TWO_WORDS
byte slot_root; /* the root beside it */
#endif
byte root[RECORDS + 1];
byte filled; /* bit a: arena a has contents */
byte cleanups; /* bit a: arena a has cleanups to run */

#define has_cleanups(a) (cleanups & BIT(a))

inline reclaim_record(what, who)
{
    d_step {
        assert(state[what] == RETIRED);
        assert(!has_cleanups(what) || who == 0); /* users' code: on RCU's worker only */
        cleanups = cleanups & ~BIT(what);
        filled = filled & ~BIT(what) /* other contents from now on */
    };
    d_step {
        state[what] = FREE;
        root[what] = 0; /* anything, as the link */
        reclaimed(what)
    }
}

#include "retire.pml"

proctype publisher(byte me; byte mine_is)
{
    RETIRE_LOCALS;
    byte a, before, round;

    do
    :: PUBLISHES == 0 || round < PUBLISHES ->
        round = round + (PUBLISHES != 0);
        /* harena_create: any record that the slab has */
        atomic {
            if
            :: state[1] == FREE -> a = 1
            :: ANY(state[1]) && state[2] == FREE -> a = 2
#if RECORDS > 2
            :: ANY(state[1] && state[2]) && state[3] == FREE -> a = 3
#endif
            fi;
            /* Nobody else sees it before it is published. */
            state[a] = LIVE;
            filled = filled | BIT(a);
#ifdef CLEANUPS
            if
            :: cleanups = cleanups | BIT(a)
            :: skip
            fi;
#endif
            root[a] = a
        };
#ifdef BUG_PUBLISH_BY_STORE
        before = slot;
#endif
        atomic {
#ifndef BUG_PUBLISH_BY_STORE
            before = slot;
#endif
            slot = a;
            if
            :: before != 0 ->
                assert(state[before] == LIVE); /* nothing is retired twice */
                state[before] = RETIRED
            :: else -> skip
            fi
        };
#ifdef BUG_TWO_WORDS
        slot_root = a;
#endif
        if
        :: before != 0 -> push(mine_is, before)
        :: else -> skip
        fi;
        before = 0;
        a = 0
    :: else -> break
    od
}

proctype reader(byte me)
{
    byte a, object, round;

    do
    :: READS == 0 || round < READS ->
        round = round + (READS != 0);
#ifdef BUG_ENTER_LATE
        a = slot;
        enter(me);
#else
        enter(me);
#ifdef BUG_TWO_WORDS
        a = slot_root;
#else
        a = slot;
#endif
#endif
        if
        :: a != 0 ->
            atomic {
                assert(state[a] != FREE); /* the record is there */
                object = root[a]
            };
            assert(object == a && state[a] != FREE && (filled & BIT(a))) /* and what it leads to */
        :: else -> skip
        fi;
#ifdef BUG_VIEW_AFTER_LEAVE
        leave(me);
        assert(a == 0 || (state[a] != FREE && (filled & BIT(a))));
#else
        leave(me);
#endif
        a = 0;
        object = 0
    :: else -> break
    od
}

init
{
    byte n;

    atomic {
        run worker();
        n = 0;
        do
        :: n == READERS -> break
        :: else -> run reader(n); n++
        od;
        n = 0;
        do
        :: n == PUBLISHERS -> break
        :: else -> run publisher(n, n % SHARDS); n++
        od;
#if BARRIERS > 0
        n = 1;
        do
        :: n > BARRIERS -> break
        :: else -> run barrier_caller(n, BARRIER_CALLS); n++
        od;
#endif
        n = 0
    };
#if PUBLISHES > 0
    /* When nobody can do anything any more, nothing is held back. */
    timeout;
    assert(on_list == 0 && called == 0 && !locked);
    n = 1;
    do
    :: n > RECORDS -> break
    :: else -> assert(state[n] == FREE || n == slot); n++
    od
#endif
}
