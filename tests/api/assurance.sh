#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# doc/assurance.md is made of logs: what they say is there, and nothing that failed or is missing goes unsaid.
set -u
: "${top_srcdir:?}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
export page="$scratch/page"
export long_parts="tests/model/models tests/model/mutate tests/spin/spin.sh tests/progress/stress \
    tests/progress/suspend tests/progress/fork_storm tests/progress/fork_step"
result=0
seen=0

# Usage: log PART [STATUS]: a part that prints standard input.
log()
{
    sh "$top_srcdir/tests/part.sh" "$scratch/sample" "$1" sh -c "cat; exit ${2:-0}" >out
    echo "$?" >status
    sed 's/ commit=[^ ]*/ commit=0123abc/' "sample/$1.log" >out && mv out "sample/$1.log"
}

planted()
{
    for flavour in memb bp; do
        echo "planted=use_after_leave flavour=$flavour result=found"
    done
    echo "tier=tsan compiler=gcc tests=40 passed=40 skipped=0 failed=0 checks=600 reports=0"
}

log quick/check <<END
tier=check compiler=gcc tests=47 passed=46 skipped=1 failed=0 checks=612 reports=0
model=retire/two threads=2 bound=3 schedules=15958 cut=0 steps=63 seconds=0.02 result=ok
END
log long/tests/model/models <<END
model=retire/two threads=2 bound=5 schedules=950534 cut=0 steps=63 seconds=1.79 result=ok
model=retire/two threads=2 bound=all schedules=2530 cut=6 steps=63 seconds=0.01 result=ok-so-far
END
log long/tests/model/mutate <<END
mutation=armed-by-store model=retire/two file=retire.c bound=3 schedules=162 result=found
mutations=1 found=1 failed=0
END
log long/tests/spin/spin.sh <<END
spin config=publish property=safety states=14009 transitions=27212 seconds=0.04 result=ok
spin bug=TWO_WORDS in=snapshot property=safety states=84054 transitions=1 seconds=0 result=found by=assertion
END
log long/tests/progress/stress <<END
HARENA_TEST_SEED=77 repeats this run's random choices
stall=memb seconds=5.0 resets=48 again=1101919
barriers=memb returned=800
snapshots=memb published=1000000
100%: Checks: 12, Failures: 0, Errors: 0
END
log long/tests/progress/suspend <<END
suspend=retire flavor=memb points=150 progressed=150 in_section=0 stopped=5 at=start_batch,push held_bytes=5898240
suspend=retire flavor=bp points=6 progressed=6 in_section=1 stopped=0 at=none held_bytes=17
END
log long/tests/progress/fork_storm <<END
fork=memb threads=8 forks=200
exec=memb threads=8 execs=200
END
echo "fork_step=reset flavor=bp instructions=382 forks=382" | log long/tests/progress/fork_step
planted | log tiers/tsan-gcc
planted | log tiers/tsan-clang
echo "tier=sanitize compiler=gcc tests=40 passed=40 skipped=0 failed=0 checks=600 reports=0" | log tiers/sanitize
echo "tier=valgrind compiler=gcc tests=20 passed=20 skipped=0 failed=0 checks=300 reports=0" | log tiers/valgrind
log tiers/aarch64 <<END
aarch64 test=one result=ok checks=7
aarch64 test=two result=skipped
what=else a=1
END

# Usage: check STATUS WHAT: the page of ./evidence says each line of standard input.
check()
{
    status=0
    sh "$top_srcdir/tests/assurance.sh" page >out 2>&1 || status=$?
    if test $status -ne "$1"; then
        echo "FAILED: status $status with $2"
        cat out
        result=1
    fi
    while read -r line; do
        seen=$((seen + 1))
        grep -q -F -e "$line" page || { echo "FAILED: with $2 the page does not say: $line"; result=1; }
    done
}

fresh()
{
    rm -rf evidence
    cp -r sample evidence
}

# Usage: fault WHAT-THE-PAGE-SAYS PART SED-COMMAND
fault()
{
    fresh
    sed -e "$3" "sample/$2.log" >"evidence/$2.log"
    check 1 "$2 changed by $3" <<END
$1
END
}

fresh
check 0 "all well" <<END
- commit: 0123abc
- failed, cut off or not run: nothing
| retire/two | 2 | 3 | 15958 | 5 | 950534 | 2530+ | 1 |
1 models; 953064 schedules in the long tier, 2 s of one processor.
| armed-by-store | retire.c | retire/two | 3 | 162 | found |
| publish | safety | 14009 | 27212 | 0.04 | ok |
| TWO_WORDS | snapshot | safety | 84054 | assertion | found |
| use after leave | tiers/tsan-clang | found | found |
| retire | memb, bp | 156 | 156 | 1 | 5 | 5898240 |
| \`push\` | retire |
| memb | 5.0 | 48 | 1101919 |
| quick/check | ok | check | gcc | 47 | 46 | 1 | 0 | 612 | 0 |
| tiers/aarch64 | ok |  |  | 2 | 1 | 1 | 0 |
| long/tests/progress/stress | ok | 12 |
| else | 1 |
END
! grep -n -F '**' page || { echo "FAILED: something is wrong where all is well"; result=1; }

for part in quick/check tiers/tsan-gcc tiers/tsan-clang tiers/sanitize tiers/valgrind tiers/aarch64 \
    $(for test in $long_parts; do echo "long/$test"; done); do
    fresh
    rm "evidence/$part.log"
    check 1 "no $part" <<END
- NOT RUN: $part
END
    fault "- CUT OFF: $part" "$part" '$d'
    fault "- FAILED: $part, status 9" "$part" 's/^\(part=.*\) result=ok status=0/\1 result=FAILED status=9/'
done
fault "**SEVERAL COMMITS: 0123abc" tiers/sanitize 's/commit=0123abc/commit=456def/'
for part in $(cd sample && find . -name '*.log'); do
    sed 's/commit=0123abc/commit=0123abc+changes/' "sample/$part" >"evidence/$part"
done
check 1 "a changed tree" <<END
- commit: **NOT A COMMIT: 0123abc+changes**
END
fault "- FAILED: 1 tests, 0 reports of check" quick/check 's/failed=0/failed=1/'
fault "- FAILED: 0 tests, 2 reports of tsan" tiers/tsan-gcc 's/reports=0/reports=2/'
fault "- NOTHING: tiers/valgrind has no sums" tiers/valgrind '/^tier=/d'
fault "- FAILED: 1 tests" tiers/aarch64 's/=skipped/=FAILED/'
fault "FAILED: model retire/two" long/tests/model/models 's/ok-so-far/FAILED/'
fault "NOTHING: no line of the kind mutation in" long/tests/model/mutate '/^mutation=/d'
fault "SURVIVED: mutation armed-by-store" long/tests/model/mutate 's/=found/=SURVIVED/'
fault "found: 0 of 1." long/tests/model/mutate 's/=found/=SURVIVED/'
fault "incomplete: config publish" long/tests/spin/spin.sh 's/=ok/=incomplete/'
fault "ok: bug TWO_WORDS" long/tests/spin/spin.sh 's/=found/=ok/'
fault "NOTHING: no line of the kind barriers" long/tests/progress/stress '/^barriers/d'
fault "150 **FAILED: suspend retire**" long/tests/progress/suspend 's/progressed=6/progressed=0/'
fault "reclamation stopped at unknown" long/tests/progress/suspend 's/at=none/at=unnamed/'
fault "FAILED: remarks of suspend" long/tests/progress/suspend '$s/^/suspend=get instruction=7 failed: nobody\n/'
fault '- `fork=memb a child waits in vain at 3`' long/tests/progress/fork_storm '1s/^/fork=memb a child waits in vain at 3\n/'
fault "MISSED: planted use_after_leave, bp, tiers/tsan-gcc" tiers/tsan-gcc '2s/found/MISSED/'
fault "NO RESULT: planted use_after_leave, bp, tiers/tsan-gcc" tiers/tsan-gcc 2d

fresh
echo "no clang here" | log tiers/tsan-clang 77
test "$(cat status)" -eq 0 || { echo "FAILED: what is skipped is a failure"; result=1; }
fresh
check 0 "no clang" <<END
- skipped: tiers/tsan-clang
| tiers/tsan-clang | skipped (no clang here) |
END
log tiers/sanitize 3 </dev/null
test "$(cat status)" -ne 0 || { echo "FAILED: part.sh does not tell of a failure"; result=1; }
fresh
check 1 "a tier that failed" <<END
- FAILED: tiers/sanitize, status 3
END

test $result -eq 0 && echo "$seen statements were found"
exit $result
