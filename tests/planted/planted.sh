#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ThreadSanitizer finds each planted race, in each flavour, and nothing in the twin without it.
set -eu
: "${top_builddir:?}"
case ${SANITIZER_CFLAGS:-} in
*thread*) ;;
*) echo "skipped: not a build with --enable-sanitizer=thread"; exit 77 ;;
esac
report=$(mktemp)
trap 'rm -f "$report"' EXIT
result=0
found=0

for mode in use_after_leave object_of_another_generation relaxed_instead_of_release write_after_put; do
    for flavour in memb bp qsbr mb; do
        status=0
        "$top_builddir/tests/planted/planted" $mode $flavour good >"$report" 2>&1 || status=$?
        test $status -eq 0 ||
            { echo "planted=$mode flavour=$flavour twin=good status=$status"; cat "$report"; result=1; }
        status=0
        "$top_builddir/tests/planted/planted" $mode $flavour bad >"$report" 2>&1 || status=$?
        if test $status -ne 0 && grep -q 'ThreadSanitizer: data race' "$report"; then
            found=$((found + 1))
            echo "planted=$mode flavour=$flavour result=found"
        else
            echo "planted=$mode flavour=$flavour result=MISSED status=$status"
            cat "$report"
            result=1
        fi
    done
done
echo "$found of 16 planted races found"
exit $result
