#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ThreadSanitizer finds each planted race, in each flavour, where it is: its report has a frame of the function that is
# named as the mode. And it finds nothing in the twin without the race.
set -eu
: "${top_builddir:?}"
case ${SANITIZER_CFLAGS:-} in
*thread*) ;;
*) echo "skipped: not a build with --enable-sanitizer=thread"; exit 77 ;;
esac
report=$(mktemp)
trap 'rm -f "$report"' EXIT
# Clang's runtime has names from llvm-symbolizer; where there is none, from addr2line.
export TSAN_OPTIONS="${TSAN_OPTIONS:+$TSAN_OPTIONS }allow_addr2line=1"
result=0
planted=0
found=0

# Usage: is_found MODE: a frame reads "#0 FUNCTION FILE:LINE"; gcc may split off "FUNCTION.part.0".
is_found()
{
    grep -q 'ThreadSanitizer: data race' "$report" && grep -q "^ *#[0-9][0-9]* $1[ .]" "$report"
}

for mode in use_after_leave root_of_another_generation relaxed_instead_of_release write_after_give write_after_put; do
    for flavour in memb bp qsbr mb; do
        status=0
        "$top_builddir/tests/planted/planted" $mode $flavour good >"$report" 2>&1 || status=$?
        test $status -eq 0 ||
            { echo "planted=$mode flavour=$flavour twin=good status=$status"; cat "$report"; result=1; }
        status=0
        "$top_builddir/tests/planted/planted" $mode $flavour bad >"$report" 2>&1 || status=$?
        planted=$((planted + 1))
        if test $status -ne 0 && is_found $mode; then
            found=$((found + 1))
            echo "planted=$mode flavour=$flavour result=found"
        else
            echo "planted=$mode flavour=$flavour result=MISSED status=$status"
            cat "$report"
            result=1
        fi
    done
done
echo "$found of $planted planted races found"
exit $result
