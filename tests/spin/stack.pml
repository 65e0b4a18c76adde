/* SPDX-License-Identifier: BSD-2-Clause */
/* Pop and push of ConcurrencyKit's stack as src/ck.h uses them, on a machine whose pair of words is read in two halves.
 *
 * aarch64 before its LSE instructions compares 16 bytes with a load of two registers that is one access only if the
 * store that follows succeeds. A compare that fails may have seen the head of one moment and the count of a later one.
 * CK's own loop goes on with what it has seen; that loses entries (BUG_TORN_RETRY). So src/ck.h loads both afresh, the
 * count first.
 *
 *   THREADS, ENTRIES, ROUNDS: each thread pops and pushes that often, 0: for ever, one or two entries at a time. */

#ifndef THREADS
#define THREADS 2
#endif
#ifndef ENTRIES
#define ENTRIES 3
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#define COUNTS 16 /* modulo: more than the pops of others while a thread is in one */

byte head, pops;
byte next[ENTRIES + 1];
byte holder[ENTRIES + 1]; /* ghost. 0: on the stack */
byte done;

#define LOCALS byte seen, count, link, now, got, more, round

/* got: the entry; 0: empty */
inline pop()
{
    got = 0;
#ifdef BUG_HEAD_BEFORE_COUNT
    seen = head;
    count = pops;
#else
    count = pops;
    seen = head;
#endif
    do
    :: seen == 0 -> break
    :: else ->
        link = next[seen]; /* maybe of an entry that another thread has popped meanwhile */
        if
        :: atomic {
#ifdef BUG_NO_COUNT
                head == seen ->
#else
                head == seen && pops == count ->
#endif
                head = link;
                pops = (pops + 1) % COUNTS;
                got = seen;
                assert(holder[got] == 0); /* nobody else has it */
                holder[got] = me
            };
            break
        :: else ->
#ifdef BUG_TORN_RETRY
            seen = head;
            count = pops
#else
            count = pops;
            seen = head
#endif
        fi
    od;
    seen = 0;
    count = 0;
    link = 0
}

inline push(what)
{
    now = head;
    do
    :: next[what] = now;
        atomic {
            if
            :: head == now ->
                head = what;
                holder[what] = 0;
                what = 0;
                now = 0;
                break
            :: else -> now = head
            fi
        }
    od
}

proctype user(byte me)
{
    LOCALS;

    do
    :: ROUNDS == 0 || round < ROUNDS ->
        round = round + (ROUNDS != 0);
        pop();
        if
        :: got != 0 ->
            if
            :: more = got;
                pop();
                /* in either order */
                if
                :: now = got;
                    got = more;
                    more = now;
                    now = 0
                :: skip
                fi;
                if
                :: got != 0 -> push(got)
                :: else -> skip
                fi;
                if
                :: more != 0 -> push(more)
                :: else -> skip
                fi
            :: push(got)
            fi
        :: else -> skip
        fi
    :: else -> break
    od;
    done++
}

init
{
    byte n;

    atomic {
        n = 1;
        do
        :: n > ENTRIES -> break
        :: else -> next[n] = (n < ENTRIES -> n + 1 : 0); n++
        od;
        head = 1;
        n = 1;
        do
        :: n > THREADS -> break
        :: else -> run user(n); n++
        od
    };
    done == THREADS;
    /* All entries are there again. */
    atomic {
        n = 0;
        do
        :: head == 0 -> break
        :: else -> n++; head = next[head]; assert(n <= ENTRIES)
        od;
        assert(n == ENTRIES)
    }
}
