#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The shared library exports exactly what the public headers mark HARENA_API; the static one defines
# no global name outside of harena_ and hri_, so that it can meet any program.
set -eu
: "${top_srcdir:?}" "${top_builddir:?}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
result=0
: >"$scratch/marked"

shared=$top_builddir/.libs/libharena.so
if test -e "$shared"; then
    (cd "$top_srcdir" && ${AWK:-awk} -f tests/api/declarations.awk include/harena.h include/harena/*.h) |
        cut -d ' ' -f 2 | sort -u >"$scratch/marked"
    ${NM:-nm} -D --defined-only "$shared" |
        ${AWK:-awk} '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u >"$scratch/exported"
    comm -23 "$scratch/marked" "$scratch/exported" | sed 's/^/marked but not exported: /' >"$scratch/diff"
    comm -13 "$scratch/marked" "$scratch/exported" | sed 's/^/exported but not marked: /' >>"$scratch/diff"
    cat "$scratch/diff"
    if test ! -s "$scratch/marked" || test -s "$scratch/diff"; then
        result=1
    fi
fi

static=$top_builddir/.libs/libharena.a
if test -e "$static"; then
    # _.stapsdt.base is what <sys/sdt.h> leaves, hidden and for the linker to merge.
    ${NM:-nm} -g --defined-only "$static" | ${AWK:-awk} '
        NF == 3 && $3 != "_.stapsdt.base" && $3 !~ /^(harena|hri)_/ && $3 !~ /^__(odr_)?(asan|tsan|ubsan)/ { print "in the static library: " $3; bad = 1 }
        END { exit bad }' || result=1
fi

test -e "$shared" || test -e "$static" || { echo "no library in $top_builddir/.libs"; exit 1; }
test $result -ne 0 || echo "$(wc -l <"$scratch/marked") names"
exit $result
