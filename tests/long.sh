#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Usage: long.sh DIRECTORY TEST... -- TEST...
# The long tier, for `make check-long`: runs the first tests side by side, then the others one after another. Each is a
# part of the evidence in DIRECTORY (part.sh).
set -u
: "${top_srcdir:?}"
evidence=$1
shift

run()
{
    case $1 in
    examples/server/demo.sh) set -- "$1" sh "$top_srcdir/$1" . 600 ;;
    *.sh) set -- "$1" sh "$top_srcdir/$1" ;;
    *) set -- "$1" "./$1" ;;
    esac
    test=$1
    shift
    sh "$top_srcdir/tests/part.sh" "$evidence" "long/$test" "$@"
}

beside=
while test "$1" != --; do
    run "$1" >/dev/null &
    beside="$beside $1"
    shift
done
shift
echo "== side by side:$beside"
wait
for test in $beside; do
    tail -n 5 "$evidence/long/$test.log"
done
for test in "$@"; do
    run "$test"
done
failed=$(cd "$evidence" && find long -name '*.log' -exec grep -L -E '^part=.* result=(ok|skipped) ' {} + | LC_ALL=C sort)
count=$(find "$evidence/long" -name '*.log' | wc -l)
if test -n "$failed"; then
    # shellcheck disable=SC2086
    echo "check-long: FAILED, see in $evidence:" $failed
    exit 1
fi
echo "check-long: $count passed"
