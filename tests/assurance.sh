#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs all that is evidence, and writes doc/assurance.md from the logs. In the build directory, for `make assurance`.
#
#   assurance.sh run     quick and long tier, ThreadSanitizer with gcc and clang, sanitizers, aarch64; logs in evidence/
#   assurance.sh page    the page, from the logs that are there
#
# Fails if a part failed, was cut off or is not there, and the page says which. What cannot run here is skipped: it says why.
set -u
: "${top_srcdir:?}" "${long_parts:?}"
MAKE=${MAKE:-make}
evidence=evidence
tiers="tiers/tsan-gcc tiers/tsan-clang tiers/sanitize tiers/valgrind tiers/aarch64"

part()
{
    sh "$top_srcdir/tests/part.sh" "$evidence" "$@"
}

# The machine and the tools, one line each.
about()
{
    echo "machine: $(nproc) processors, $(sed -n 's/^model name[ \t]*: //p' /proc/cpuinfo | head -n 1)"
    echo "kernel: $(uname -s -r -m)"
    for tool in gcc clang qemu-aarch64 valgrind; do
        command -v $tool >/dev/null && echo "$tool: $($tool --version | head -n 1)"
    done
    command -v spin >/dev/null && echo "spin: $(spin -V | head -n 1)"
    echo "liburcu: $(pkg-config --modversion liburcu), ConcurrencyKit: $(pkg-config --modversion ck)"
    echo "library built with: $CC, $($CC --version | head -n 1)"
}

# What the tests of the quick tier print is in automake's logs; those of tests that are no more go.
quick()
{
    find . \( -path './tsan*' -o -path ./sanitize -o -path ./aarch64 \) -prune -o -name '*.trs' -exec rm -f {} +
    status=0
    $MAKE -j"$(nproc)" check || status=1
    sh "$top_srcdir/tests/summary.sh" . || status=1
    cat tests/model/models.log || status=1
    return $status
}

# Usage: subbuild NAME C-COMPILER C++-COMPILER SANITIZERS
subbuild()
{
    command -v "$2" >/dev/null || { echo "no $2 here"; return 77; }
    srcdir=$top_srcdir builddir=$PWD CC=$2 CXX=$3 sh "$top_srcdir/tests/subbuild.sh" "$1" --enable-sanitizer="$4"
}

# Usage: tsan C-COMPILER C++-COMPILER
tsan()
{
    status=0
    subbuild "tsan-$1" "$1" "$2" thread || status=$?
    test $status -eq 77 || cat "tsan-$1/build/tests/planted/planted.log" || status=1
    return $status
}

sanitize()
{
    subbuild sanitize "$CC" "$CXX" address,undefined
}

memcheck()
{
    command -v "${VALGRIND:-valgrind}" >/dev/null || { echo "no valgrind here"; return 77; }
    $MAKE check-valgrind
}

aarch64()
{
    srcdir=$top_srcdir builddir=$PWD sh "$top_srcdir/tests/aarch64.sh"
}

run()
{
    rm -rf "$evidence"
    mkdir "$evidence" || exit 1
    about >"$evidence/about.log"
    part quick/check sh "$0" quick
    $MAKE check-long
    part tiers/tsan-gcc sh "$0" tsan gcc g++
    part tiers/tsan-clang sh "$0" tsan clang clang++
    part tiers/sanitize sh "$0" sanitize
    part tiers/valgrind sh "$0" memcheck
    part tiers/aarch64 sh "$0" aarch64
}

page()
{
    page=${page:-$top_srcdir/doc/assurance.md}
    new=$page.new
    logs=$(find "$evidence" -name '*.log' | LC_ALL=C sort)
    expected=quick/check
    for test in $long_parts; do
        expected="$expected long/$test"
    done
    status=0
    # shellcheck disable=SC2086
    ${AWK:-awk} -v directory="$evidence" -v expected="$expected $tiers" -f "$top_srcdir/tests/assurance.awk" \
        "$top_srcdir/tests/assurance.in" $logs >"$new" || status=$?
    test $status -le 1 && mv "$new" "$page" || exit 1
    test $status -eq 0 || echo "assurance: FAILED: see $page"
    return $status
}

case ${1:-} in
run | page | quick | sanitize | memcheck | aarch64) "$1" ;;
tsan) "$@" ;;
*)
    sed -n '/^#   /s/^#   //p' "$0" >&2
    exit 2
    ;;
esac
