/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared arena: enter, allocate, link, read, leave; reset, close, release; reuse of generations' records, of chunks
 * and of the handle (src/shared.c, generation.c, lease.c, on the lists of retire.pml).
 *
 *   READERS, RESETTERS   threads; each in sections of its own, retiring to shard n % SHARDS
 *   CLOSERS              0 or 1: a thread that closes the arena, once a round
 *   HANDLES              0, or 1: a thread that releases the arena and creates another in the same record, again and
 *                        again. Then those that reset and close stand in a section, as the contract says.
 *   READS, RESETS, CLOSES, RELEASES, BARRIER_CALLS   how often each does it; 0: for ever
 *   GENERATIONS, CHUNKS  records and chunks that there are; who finds none gets ENOMEM
 *   CLEANUPS             readers register cleanups
 *
 * A generation has one chunk, claimed object by object. Of a record and of a chunk, which are reused, the model knows
 * who may use it. `stale` is the ghost that tells a thread's view from a later generation in the same record: a
 * record's return to the slab makes the views of all threads that hold it stale. */

#ifndef SHARDS
#define SHARDS 1
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef RESETTERS
#define RESETTERS 1
#endif
#ifndef CLOSERS
#define CLOSERS 0
#endif
#ifndef HANDLES
#define HANDLES 0
#endif
#ifndef BARRIERS
#define BARRIERS 0
#endif
#ifndef READS
#define READS 0
#endif
#ifndef RESETS
#define RESETS 0
#endif
#ifndef CLOSES
#define CLOSES 1
#endif
#ifndef RELEASES
#define RELEASES 0
#endif
#ifndef BARRIER_CALLS
#define BARRIER_CALLS 0
#endif
#ifndef GENERATIONS
#define GENERATIONS 2
#endif
#ifndef CHUNKS
#define CHUNKS 2
#endif
#ifndef SLOTS
#define SLOTS 2 /* objects that a chunk has room for */
#endif

#define BIT(n) (1 << (n))
#define RECORDS (GENERATIONS + HANDLES)
#define HANDLE  (GENERATIONS + 1)

/* What the word of a shared arena may be: a generation, or one of these. */
#define EMPTY     0
#define CLOSED    14
#define NO_MEMORY 15

#ifdef ANY_ORDER /* in which the slab gives records and the provider gives chunks; else the lowest */
#define ANY(those_before_are_taken) true
#else
#define ANY(those_before_are_taken) (those_before_are_taken)
#endif

#define FREE    0
#define LIVE    1
#define RETIRED 2

byte present; /* the word */
byte state[RECORDS + 1]; /* ghost, but FREE: the slab has it */

byte root[GENERATIONS + 1];  /* 0, or an object */
byte chunk[GENERATIONS + 1]; /* 0: none yet */
byte used[GENERATIONS + 1];  /* objects claimed of it */
byte cleanups;               /* bit g: generation g has some */

byte owner[CHUNKS + 1]; /* 0: free; ghost, but whether it is free */
byte written[CHUNKS + 1]; /* ghost. bit n: object n has contents */

#define OBJECT(c, n) ((c) * SLOTS + (n))
#define CHUNK_OF(o)  ((o) / SLOTS)
#define PLACE_OF(o)  ((o) % SLOTS)

byte view[READERS]; /* local to each reader, but the ghost asks for it */
byte stale;        /* ghost. bit t: the record of t's view has been reclaimed since */
byte stale_handle; /* ghost. bit t: so has the handle's */
bool is_closed;    /* ghost. It has been closed */
bool is_released;  /* no section may begin to use it */

#define MAY(times)  ((times) == 0 || round < (times))
#define DONE(times) ((times) != 0 && round == (times))

#define IS_GENERATION(v) ((v) != EMPTY && (v) < CLOSED)

/* A reader touches its view's record; its view's chunk; anybody touches the handle. */
#define RECORD_OK(me)   (!(stale & BIT(me)) && state[view[me]] != FREE)
#define CHUNK_OK(me, c) ((c) != 0 && owner[c] == view[me] && !(stale & BIT(me)))
#if HANDLES
#define HANDLE_OK(me) (!(stale_handle & BIT(me)) && state[HANDLE] != FREE)
#else
#define HANDLE_OK(me) true
#endif

#define has_cleanups(g) (cleanups & BIT(g))

inline make_stale(g)
{
    stale = stale | (view[0] == g -> BIT(0) : 0);
#if READERS > 1
    stale = stale | (view[1] == g -> BIT(1) : 0);
#endif
#if READERS > 2
    stale = stale | (view[2] == g -> BIT(2) : 0);
#endif
}

inline give_chunk_back(c)
{
    d_step {
        assert(owner[c] != 0);
        written[c] = 0; /* the next holder's from now on */
        owner[c] = 0;
        c = 0
    }
}

inline give_record_back(g)
{
    make_stale(g);
    state[g] = FREE;
    root[g] = 0; /* anything, until it is initialized: at once, because the next holder is alone then */
    chunk[g] = 0;
    used[g] = 0;
    reclaimed(g)
}

/* hri_generation_destroy. `gone` is a local of its callers. */
inline reclaim_record(g, who)
{
    if
#if HANDLES
    :: g == HANDLE ->
        d_step {
            assert(state[g] == RETIRED);
            state[g] = FREE;
            stale_handle = 255;
            reclaimed(g)
        }
#endif
    :: g < CLOSED && g <= GENERATIONS ->
        d_step {
            assert(state[g] == RETIRED);
            assert(!has_cleanups(g) || who == 0); /* users' code: on RCU's worker only */
            cleanups = cleanups & ~BIT(g);
            gone = chunk[g]
        };
#ifdef BUG_RECORD_BEFORE_CHUNK
        d_step { give_record_back(g) };
        gone = chunk[g];
#endif
        if
        :: gone != 0 -> give_chunk_back(gone)
        :: else -> skip
        fi;
#ifndef BUG_RECORD_BEFORE_CHUNK
        d_step { give_record_back(g) }
#endif
    fi
}

#include "retire.pml"

/* ---- enter, allocate, link, read, leave ---- */

inline load_view(me)
{
    d_step {
        assert(HANDLE_OK(me));
        view[me] = present;
        stale = stale & ~BIT(me)
    }
}

/* A fresh generation in place of none: by CAS, so never into CLOSED. */
inline install(me)
{
    atomic {
        if
        :: state[1] == FREE -> mine = 1
#if GENERATIONS > 1
        :: ANY(state[1]) && state[2] == FREE -> mine = 2
#endif
#if GENERATIONS > 2
        :: ANY(state[1] && state[2]) && state[3] == FREE -> mine = 3
#endif
        :: else -> mine = 0
        fi;
        if
        :: mine != 0 -> state[mine] = LIVE
        :: else -> skip
        fi
    };
    if
    :: mine == 0 ->
        load_view(me);
        if
        :: view[me] == EMPTY -> view[me] = NO_MEMORY
        :: else -> skip
        fi
    :: else ->
#ifdef BUG_INSTALL_BY_STORE
        assert(!is_closed); /* nothing is installed into CLOSED */
        present = mine;
        view[me] = mine;
        mine = 0
#else
        d_step {
            assert(HANDLE_OK(me));
            stale = stale & ~BIT(me);
            if
            :: present == EMPTY ->
                assert(!is_closed); /* nothing is installed into CLOSED */
                present = mine;
                view[me] = mine;
                mine = 0
            :: else -> view[me] = present
            fi
        };
        /* another thread was faster */
        if
        :: mine != 0 -> state[mine] = FREE; mine = 0
        :: else -> skip
        fi
#endif
    fi
}

/* c, n: an object of the view's chunk; n == SLOTS: there is no room. */
inline allocate(me)
{
    atomic {
        assert(RECORD_OK(me));
        c = chunk[view[me]]
    };
    n = SLOTS;
    if
    :: c == 0 ->
        atomic {
            if
            :: owner[1] == 0 -> c = 1
#if CHUNKS > 1
            :: ANY(owner[1]) && owner[2] == 0 -> c = 2
#endif
#if CHUNKS > 2
            :: ANY(owner[1] && owner[2]) && owner[3] == 0 -> c = 3
#endif
            :: else -> skip
            fi;
            if
            :: c != 0 -> owner[c] = view[me]
            :: else -> skip
            fi
        };
        if
        :: c != 0 ->
#ifdef BUG_OPEN_BY_STORE
            chunk[view[me]] = c;
            used[view[me]] = 1;
            n = 0
#else
            atomic {
                assert(RECORD_OK(me));
                if
                :: chunk[view[me]] == 0 ->
                    chunk[view[me]] = c;
                    used[view[me]] = 1; /* the publisher's own claim */
                    n = 0;
                    gone = 0
                :: else -> gone = c; c = chunk[view[me]]
                fi
            };
            if
            :: gone != 0 -> give_chunk_back(gone)
            :: else -> skip
            fi
#endif
        :: else -> skip
        fi
    :: else -> skip
    fi;
    if
    :: c != 0 && n == SLOTS ->
        atomic {
            assert(RECORD_OK(me));
            n = used[view[me]];
            used[view[me]] = (n < SLOTS -> n + 1 : n)
        }
    :: else -> skip
    fi
}

inline fill(me)
{
    d_step {
        assert(CHUNK_OK(me, c));
        assert(!(written[c] & BIT(n))); /* nobody else's object */
        written[c] = written[c] | BIT(n)
    }
}

inline link(me)
{
    d_step {
        assert(RECORD_OK(me));
        if
        :: root[view[me]] == 0 -> root[view[me]] = OBJECT(c, n)
        :: else -> skip
        fi
    }
}

inline read(me)
{
#ifdef BUG_TWO_LOADS
    atomic {
        object = (IS_GENERATION(present) -> root[present] : 0)
    };
#else
    atomic {
        assert(RECORD_OK(me));
        object = root[view[me]]
    };
#endif
    if
    :: object != 0 ->
        /* Memory that is there, written, and of the same generation as the root. */
        assert(CHUNK_OK(me, CHUNK_OF(object)) && (written[CHUNK_OF(object)] & BIT(PLACE_OF(object))))
    :: else -> skip
    fi
}

proctype reader(byte me)
{
    byte mine, c, n, object, gone, round;

end:
    do
    :: atomic {
            MAY(READS) && !is_released ->
            round = round + (READS != 0);
            stale_handle = stale_handle & ~BIT(me);
#ifndef BUG_ENTER_LATE
            enter(me)
#endif
        };
        load_view(me);
#ifdef BUG_ENTER_LATE
        enter(me);
#endif
        do
        :: view[me] == EMPTY -> install(me)
        :: else -> break
        od;
        if
        :: IS_GENERATION(view[me]) ->
            allocate(me);
            if
            :: n < SLOTS ->
#ifdef BUG_LINK_BEFORE_FILL
                link(me);
                fill(me)
#else
                fill(me);
                link(me)
#endif
            :: else -> skip
            fi;
#ifdef CLEANUPS
            if
            :: atomic {
                    assert(RECORD_OK(me));
                    cleanups = cleanups | BIT(view[me])
                }
            :: skip
            fi;
#endif
#ifdef BUG_VIEW_AFTER_LEAVE
            leave(me);
#endif
            read(me)
        :: else -> skip
        fi;
        leave(me);
        atomic {
            view[me] = 0;
            c = 0;
            n = 0;
            object = 0
        }
    :: DONE(READS) -> break
    od
}

/* ---- reset, close, release ---- */

/* Part of the step that removes what v says. */
inline mark_retired()
{
    if
    :: IS_GENERATION(v) ->
        assert(state[v] == LIVE); /* nothing is retired twice */
        state[v] = RETIRED
    :: else -> v = EMPTY
    fi
}

/* The caller has removed generation g. */
inline retire(g)
{
#ifdef BUG_CHUNK_AT_RETIRE
    gone = chunk[g];
    if
    :: gone != 0 -> give_chunk_back(gone)
    :: else -> skip
    fi;
    chunk[g] = 0;
#endif
#ifdef BUG_RECLAIM_AT_ONCE
    reclaim_record(g, 0)
#else
    push(mine_is, g)
#endif
}

inline reset(me)
{
#ifdef BUG_RESET_BY_EXCHANGE
    atomic {
        assert(HANDLE_OK(me));
        v = present;
        present = EMPTY;
        mark_retired()
    };
#else
    atomic {
        assert(HANDLE_OK(me));
        v = present
    };
#ifdef BUG_RETIRE_BEFORE_REMOVAL
    if
    :: IS_GENERATION(v) -> mark_retired(); retire(v)
    :: else -> skip
    fi;
#endif
    do
    :: !IS_GENERATION(v) -> break
    :: else ->
        atomic {
            assert(HANDLE_OK(me));
            if
            :: present == v ->
                present = EMPTY;
#ifndef BUG_RETIRE_BEFORE_REMOVAL
                mark_retired();
#endif
                break
            :: else -> v = present
            fi
        }
    od;
#endif
#ifndef BUG_RETIRE_BEFORE_REMOVAL
    if
    :: IS_GENERATION(v) -> retire(v)
    :: else -> skip
    fi;
#endif
    v = 0
}

inline close(me)
{
#ifdef BUG_CLOSE_BY_STORE
    atomic {
        assert(HANDLE_OK(me));
        v = present
    };
    atomic {
        present = CLOSED;
        is_closed = true;
        mark_retired()
    };
#else
    atomic {
        assert(HANDLE_OK(me));
        v = present;
        present = CLOSED;
        is_closed = true;
        mark_retired()
    };
#endif
    if
    :: IS_GENERATION(v) -> retire(v)
    :: else -> skip
    fi;
    v = 0
}

/* If the handle can go, they stand in a section. */
#if HANDLES
#define enter_handle(me) enter(me); stale_handle = stale_handle & ~BIT(me)
#define leave_handle(me) leave(me)
#else
#define enter_handle(me) skip
#define leave_handle(me) skip
#endif

proctype resetter(byte me; byte mine_is)
{
    RETIRE_LOCALS;
    byte v, round;

end:
    do
    :: atomic {
            MAY(RESETS) && !is_released ->
            round = round + (RESETS != 0);
            enter_handle(me)
        };
        reset(me);
        leave_handle(me)
    :: DONE(RESETS) -> break
    od
}

proctype closer(byte me; byte mine_is)
{
    RETIRE_LOCALS;
    byte v, round;

end:
    do
    :: atomic {
            MAY(CLOSES) && !is_released ->
            round = round + (CLOSES != 0);
            enter_handle(me)
        };
        close(me);
        leave_handle(me)
    :: DONE(CLOSES) -> break
    od
}

#if HANDLES
/* Creates the arena, releases it, waits until the record is there again. It is bit 7 of the ghosts. */
proctype releaser(byte mine_is)
{
    RETIRE_LOCALS;
    byte v, round;

    do
    :: atomic {
            MAY(RELEASES) && state[HANDLE] == FREE ->
            round = round + (RELEASES != 0);
            state[HANDLE] = LIVE;
            stale_handle = stale_handle & ~BIT(7);
            present = EMPTY;
            is_closed = false;
            is_released = false
        };
        is_released = true;
        close(7);
        assert(HANDLE_OK(7));
        state[HANDLE] = RETIRED;
#ifdef BUG_HANDLE_AT_ONCE
        reclaim_record(HANDLE, 0)
#else
        push(mine_is, HANDLE)
#endif
    :: DONE(RELEASES) -> break
    od
}
#endif

init
{
    byte n;

    atomic {
        is_released = (HANDLES != 0);
        run worker();
        n = 0;
        do
        :: n == READERS -> break
        :: else -> run reader(n); n++
        od;
        n = 0;
        do
        :: n == RESETTERS -> break
        :: else -> run resetter(READERS + n, n % SHARDS); n++
        od;
#if CLOSERS
        run closer(READERS + RESETTERS, RESETTERS % SHARDS);
#endif
#if HANDLES
        run releaser(0);
#endif
#if BARRIERS > 0
        n = 1;
        do
        :: n > BARRIERS -> break
        :: else -> run barrier_caller(n, BARRIER_CALLS); n++
        od;
#endif
        n = 0
    };
#if READS > 0
    /* When nobody can do anything any more, nothing is held back and nothing is lost. */
    timeout;
    assert(on_list == 0 && called == 0 && !locked);
    n = 1;
    do
    :: n > GENERATIONS -> break
    :: else -> assert(state[n] == FREE || n == present); n++
    od;
    n = 1;
    do
    :: n > CHUNKS -> break
    :: else -> assert(owner[n] == 0 || (IS_GENERATION(present) && chunk[present] == n)); n++
    od
#endif
}
