#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Explores the protocol's models with spin: all states of each configuration, and each planted mistake until it is found.
#
#   spin.sh            a few of both: seconds, which compiling the verifiers takes
#   HARENA_LONG=1 ...  all mistakes, and large configurations: millions of states, up to 4 GiB of memory, minutes
#   spin.sh NAME...    only these configurations and mistakes
#
# One line each, for programs to read:
#
#   spin config=NAME property=P states=N transitions=N seconds=S result=ok
#   spin bug=NAME in=CONFIG property=P states=N transitions=N seconds=S result=found by=WHAT
#
# property is safety (assertions, no deadlock) or the name of a formula. Any other result is a failure.
set -eu
: "${top_srcdir:=$(dirname "$0")/../..}"
CC=${CC:-cc}
models=$(cd "$top_srcdir/tests/spin" && pwd)
only=$*
# The quick tier's.
few="publish publish-reclaimed barrier barrier-shards arena-two arena-closed arena-handle stack"
few="$few BARRIER_NO_MARKERS RETIRE_BEFORE_REMOVAL HEAD_BEFORE_COUNT"
for tool in spin "${CC%% *}"; do
    command -v "$tool" >/dev/null || { echo "no $tool (apt-get install spin gcc)"; exit 77; }
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp "$models"/*.pml "$scratch"
cd "$scratch"
echo 'int main(void) { return 0; }' >works.c
# The build machine's compiler, without the flags of the tree: a sanitizer would only make it slow.
compiler=
for candidate in "${CC%% *}" cc gcc clang; do
    if command -v "$candidate" >/dev/null && "$candidate" -o works works.c 2>/dev/null && ./works; then
        compiler=$candidate
        break
    fi
done
test -n "$compiler" || { echo "no compiler whose programs run here"; exit 77; }
failed=0
ran=0

wanted()
{
    test -z "$only" && test -n "${HARENA_LONG:-}" && return 0
    case " ${only:-$few} " in *" $1 "*) return 0 ;; esac
    return 1
}

# Usage: explore MODEL PROPERTY DEFINES: sets states, transitions, seconds, outcome (ok, found or a failure) and by.
explore()
{
    model=$1
    property=$2
    shift 2
    # The verifier of a long run is compiled with care, others in a hurry.
    compile="-DMEMLIM=512 -O0"
    search="-m300000 -w22"
    limit=600
    if test "${size:-small}" = large; then
        compile="-DMEMLIM=4096 -DCOLLAPSE -O2"
        search="-m4000000 -w24"
        limit=1200
    fi
    case $property in
    safety)
        compile="$compile -DSAFETY"
        ;;
    *)
        set -- "$@" "-DLTL_$(echo "$property" | tr '[:lower:]' '[:upper:]')"
        compile="$compile -DNFAIR=3"
        search="$search -a -f"
        ;;
    esac
    rm -f pan pan.*
    states=0 transitions=0 seconds=0 by=
    # Seconds of the processor: others may be at work.
    # shellcheck disable=SC2086,SC3045
    if ! spin -a "$@" "$model.pml" >log 2>&1 ||
        ! { "$compiler" $compile -w -o pan pan.c && (ulimit -t "$limit" && exec ./pan $search); } >>log 2>&1; then
        outcome=broken
        return
    fi
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' log)
    transitions=$(sed -n 's/^ *\([0-9.e+]*\) transitions .*/\1/p' log)
    seconds=$(sed -n 's/^pan: elapsed time \([0-9.e+-]*\) seconds.*/\1/p' log)
    if grep -q 'errors: 0$' log; then
        outcome=ok
        ! grep -q -e 'max search depth too small' -e 'out of memory' -e 'Search not completed' log || outcome=incomplete
    else
        outcome=found
        by=$(sed -n -e 's/^pan:1: assertion violated.*/assertion/p' -e 's/^pan:1: invalid end state.*/deadlock/p' \
            -e 's/^pan:1: acceptance cycle.*/cycle/p' log)
        test -n "$by" || outcome=broken
    fi
}

report()
{
    echo "spin $1 property=$property states=$states transitions=$transitions seconds=$seconds result=$outcome${by:+ by=$by}"
    ran=$((ran + 1))
    test "$outcome" = "$2" && return
    failed=1
    cat log
}

# Usage: holds NAME MODEL PROPERTY DEFINES
holds()
{
    name=$1
    shift
    wanted "$name" || return 0
    explore "$@"
    report "config=$name" ok
}

# Usage: bug NAME MODEL PROPERTY DEFINES: the mistake BUG_NAME is found there, and nothing is without it.
bug()
{
    name=$1
    in=$2
    wanted "$name" || return 0
    shift
    explore "$@" "-DBUG_$name"
    report "bug=$name in=$in" found
}

# --- Published arenas, and with them the lists, worker and barrier -------------------------------
few_publish="-DREADS=1 -DPUBLISHES=2"
few_barrier="-DREADS=1 -DPUBLISHES=2 -DBARRIERS=1 -DBARRIER_CALLS=1 -DCLEANUPS"
two_barriers="-DREADS=1 -DPUBLISHES=2 -DBARRIERS=2 -DBARRIER_CALLS=1"
two_shards="-DREADS=1 -DPUBLISHERS=2 -DPUBLISHES=1 -DSHARDS=2 -DBARRIERS=1 -DBARRIER_CALLS=1"
# shellcheck disable=SC2086
{
    holds publish snapshot safety
    holds publish-two snapshot safety -DPUBLISHERS=2 $few_publish
    holds barrier snapshot safety $few_barrier
    holds barrier-two snapshot safety $two_barriers
    holds barrier-shards snapshot safety $two_shards
    holds publish-reclaimed snapshot reclaimed
    holds barrier-reclaimed snapshot reclaimed -DPUBLISHES=2 -DBARRIERS=1 -DBARRIER_CALLS=1 -DCLEANUPS
    holds barrier-returns snapshot barrier -DPUBLISHES=2 -DBARRIERS=1 -DBARRIER_CALLS=1 -DCLEANUPS

    bug TWO_WORDS snapshot safety -DPUBLISHERS=2 $few_publish
    bug PUBLISH_BY_STORE snapshot safety -DPUBLISHERS=2 $few_publish
    bug ENTER_LATE snapshot safety $few_publish
    bug VIEW_AFTER_LEAVE snapshot safety $few_publish
    bug NO_GRACE_PERIOD snapshot safety $few_publish
    bug CALL_BEFORE_TAKE snapshot safety -DREADS=1 -DPUBLISHES=3
    bug DISARM_BEFORE_RECLAIM snapshot safety -DREADS=1 -DPUBLISHES=3 -DRECORDS=3
    bug LINK_AFTER_RECLAIM snapshot safety -DREADS=1 -DPUBLISHES=4 -DRECORDS=3
    bug LOOK_BEFORE_PUSH snapshot safety -DREADS=1 -DPUBLISHES=3 -DRECORDS=3
    bug NO_SECOND_LOOK snapshot safety -DREADS=1 -DPUBLISHES=3 -DRECORDS=3
    bug NO_SECOND_LOOK snapshot reclaimed
    bug NEWEST_FIRST snapshot safety -DREADS=1 -DPUBLISHES=3 -DBARRIERS=1 -DBARRIER_CALLS=1 -DCLEANUPS
    bug BATCH_BY_LOAD snapshot safety $few_barrier
    bug BARRIER_NO_GRACE_PERIOD snapshot safety $few_barrier
    bug BARRIER_NO_MARKERS snapshot safety $few_barrier
    bug BARRIER_RUNS_CLEANUPS snapshot safety $few_barrier
    bug BARRIER_UNLOCKED snapshot safety $two_barriers
    bug LOOK_BEFORE_TAKE snapshot safety $few_barrier
    bug NOT_WAITING_FOR_CLEANUPS snapshot safety $few_barrier
    bug LOOK_BEFORE_PUSH snapshot barrier -DPUBLISHES=2 -DBARRIERS=1 -DBARRIER_CALLS=1 -DCLEANUPS
}

# --- The shared arena ----------------------------------------------------------------------------
few_resets="-DREADS=2 -DRESETS=2"
two_readers="-DREADERS=2 -DREADS=1 -DRESETS=1"
closed="-DREADS=2 -DRESETS=1 -DCLOSERS=1"
handle="-DHANDLES=1 -DREADS=1 -DRESETS=1 -DRELEASES=2"
# shellcheck disable=SC2086
{
    holds arena shared safety
    holds arena-two shared safety $two_readers
    holds arena-closed shared safety $closed
    holds arena-handle shared safety $handle
    holds arena-barrier shared safety -DREADS=1 -DRESETS=2 -DBARRIERS=1 -DBARRIER_CALLS=1 -DCLEANUPS
    holds arena-reclaimed shared reclaimed -DRESETS=2

    bug RETIRE_BEFORE_REMOVAL shared safety $few_resets
    bug RESET_BY_EXCHANGE shared safety $closed
    bug CLOSE_BY_STORE shared safety $closed
    bug INSTALL_BY_STORE shared safety $closed
    bug TWO_LOADS shared safety -DREADERS=2 -DREADS=2 -DRESETS=1
    bug ENTER_LATE shared safety $few_resets
    bug VIEW_AFTER_LEAVE shared safety $few_resets
    bug RECLAIM_AT_ONCE shared safety $few_resets
    bug CHUNK_AT_RETIRE shared safety $few_resets
    bug RECORD_BEFORE_CHUNK shared safety $few_resets
    bug OPEN_BY_STORE shared safety $two_readers
    bug LINK_BEFORE_FILL shared safety $two_readers
    bug HANDLE_AT_ONCE shared safety $handle
}

# --- The stack of records and of threads' numbers ------------------------------------------------
three="-DTHREADS=3 -DROUNDS=1"
# shellcheck disable=SC2086
{
    holds stack stack safety
    bug NO_COUNT stack safety
    bug HEAD_BEFORE_COUNT stack safety $three
    bug TORN_RETRY stack safety $three
}

# --- Large ones ----------------------------------------------------------------------------------
if test -n "${HARENA_LONG:-}"; then
    size=large
    # shellcheck disable=SC2086
    {
        holds publish-forever snapshot safety -DPUBLISHERS=2 -DANY_ORDER
        holds barrier-forever snapshot safety -DBARRIERS=1 -DCLEANUPS -DANY_ORDER
        holds barrier-cleanups snapshot safety $two_shards -DCLEANUPS
        holds barrier-long snapshot safety -DREADS=1 -DPUBLISHERS=2 -DPUBLISHES=2 -DSHARDS=2 -DBARRIERS=1 \
            -DBARRIER_CALLS=1
        holds arena-long shared safety -DREADERS=2 -DREADS=2 -DRESETS=2 -DANY_ORDER
        holds arena-resetters shared safety -DREADS=2 -DRESETTERS=2 -DRESETS=2 -DSHARDS=2
        holds arena-barrier-long shared safety -DREADS=2 -DRESETS=2 -DBARRIERS=1 -DBARRIER_CALLS=1 -DCLEANUPS
        holds arena-forever shared reclaimed
        holds handle-two shared safety -DHANDLES=1 -DREADERS=2 -DREADS=1 -DRESETS=1 -DRELEASES=2
        holds handle-forever shared safety -DHANDLES=1
        holds stack-three stack safety $three
    }
fi

test $ran -gt 0 || { echo "no configuration or mistake has the name: $only"; exit 2; }
test $failed -eq 0 && echo "$ran runs"
exit $failed
