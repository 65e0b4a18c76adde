#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Programs built with AddressSanitizer, on the library as it was built, shared and static, with each compiler that is
# here: each case of faults.c ends with a report at the byte that it names, clean programs with none, and the example of
# a use after a reset with one. The library's own sanitizer, if it has one, goes to all.
set -eu
: "${top_srcdir:?}" "${top_builddir:?}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
result=0
checked=0
# Leaks are what the cases leave behind. Names of functions in a report nobody reads, and they take most of the time.
export ASAN_OPTIONS=detect_leaks=0:exitcode=99:symbolize=0

complain()
{
    echo "$*: FAILED"
    result=1
}

# build LANGUAGE COMPILER PROGRAM SOURCE FLAG...
build()
{
    tag=$1 compiler=$2 program=$3 source=$4
    shift 4
    # Compilers and flags may be several words.
    # shellcheck disable=SC2086
    "$top_builddir/libtool" --silent --tag="$tag" --mode=link $compiler -g -O1 -Wall -Wextra -Werror \
        -I"$top_srcdir/include" -pthread ${SANITIZER_CFLAGS:-} -fsanitize=address "$@" -o "$program" \
        "$top_srcdir/tests/asan/$source" "$top_builddir/libharena.la" >"$scratch/log" 2>&1
}

has_runtime()
{
    echo 'int main(void) { return 0; }' >"$scratch/empty.c"
    # shellcheck disable=SC2086
    $1 -fsanitize=address "$scratch/empty.c" -o "$scratch/empty" >/dev/null 2>&1 && "$scratch/empty"
}

# Where the next object begins right behind the eight bytes in which this one ends, it has no name for what it finds.
kind_of()
{
    case $1 in
    overflow | overflow_in_lane | overflow_without_lanes) echo '(use-after-poison|unknown-crash)' ;;
    *) echo use-after-poison ;;
    esac
}

# check_faults HOW
check_faults()
{
    for name in $("$scratch/faults"); do
        status=0
        "$scratch/faults" "$name" >"$scratch/address" 2>"$scratch/report" || status=$?
        address=$(cat "$scratch/address")
        if test "$status" -ne 99; then
            complain "$1 $name: exit status $status, not stopped by AddressSanitizer"
        elif ! grep -Eq "ERROR: AddressSanitizer: $(kind_of "$name") on address $address " "$scratch/report"; then
            sed 's/^/    /' "$scratch/report" | head -12
            complain "$1 $name: no report of a $(kind_of "$name") on address $address"
        fi
        checked=$((checked + 1))
    done
}

# check_clean HOW PROGRAM
check_clean()
{
    if ! "$scratch/$2" >"$scratch/log" 2>&1; then
        sed 's/^/    /' "$scratch/log" | head -20
        complain "$1 $2"
    fi
    grep -q '^clean$' "$scratch/log" || complain "$1 $2 is not clean"
}

# check HOW COMPILER FLAG...
check()
{
    how=$1 compiler=$2
    shift 2
    for part in faults clean; do
        build CC "$compiler" "$scratch/$part" "$part.c" -std=gnu11 "$@" && continue
        sed 's/^/    /' "$scratch/log"
        complain "$how $part.c does not compile"
        return 0
    done
    check_faults "$how"
    check_clean "$how" clean
    echo "$how: $("$scratch/faults" | wc -l) faults, clean: $(sed -n 's/^seed=/seed /p' "$scratch/log")"
}

# both COMPILER: shared and static, side by side.
both()
{
    begin shared "$1 shared" "$1" -no-install
    test ! -e "$top_builddir/.libs/libharena.a" || begin static "$1 static" "$1" -static
    wait
    for part in shared static; do
        test -d "$scratch/$part" || continue
        cat "$scratch/$part/said"
        checked=$((checked + $(cat "$scratch/$part/checked")))
        test "$(cat "$scratch/$part/result")" -eq 0 || result=1
        rm -rf "${scratch:?}/$part"
    done
}

# begin DIRECTORY HOW COMPILER FLAG...: a check in a place of its own.
begin()
{
    mkdir "$scratch/$1"
    (
        scratch=$scratch/$1 checked=0
        echo 1 >"$scratch/result"
        echo 0 >"$scratch/checked"
        shift
        result=0
        check "$@"
        echo $result >"$scratch/result"
        echo $checked >"$scratch/checked"
    ) >"$scratch/$1/said" 2>&1 &
}

# check_example COMPILER: what a program looks like that does it.
check_example()
{
    status=0
    if ! build CC "$1" "$scratch/example" ../../examples/use_after_reset.c -std=gnu11 -no-install; then
        sed 's/^/    /' "$scratch/log"
        complain "$1 examples/use_after_reset.c does not compile"
        return 0
    fi
    "$scratch/example" >"$scratch/log" 2>"$scratch/report" || status=$?
    test "$status" -eq 99 && test "$(cat "$scratch/log")" = Livia &&
        grep -q 'ERROR: AddressSanitizer: use-after-poison' "$scratch/report" ||
        complain "$1 examples/use_after_reset: exit status $status"
}

check_compiler()
{
    if has_runtime "$1"; then
        both "$1"
        check_example "$1"
    else
        echo "$1: skipped, it has no AddressSanitizer here"
    fi
}

case ${SANITIZER_CFLAGS:-} in
*thread*)
    echo "skipped: the library is built with another sanitizer"
    exit 77
    ;;
esac
check_compiler "${CC:-cc}"
if test -z "${SANITIZER_CFLAGS:-}"; then
    for other in gcc clang; do
        test "$other" = "${CC:-cc}" || ! command -v "$other" >/dev/null || check_compiler "$other"
    done
fi
if has_runtime "${CXX:-c++} -x c++"; then
    if build CXX "${CXX:-c++}" "$scratch/clean_cc" clean.cc -std=gnu++17 -no-install; then
        check_clean "${CXX:-c++}" clean_cc
    else
        cat "$scratch/log"
        complain "clean.cc does not compile"
    fi
fi
# What the adapters do for their libraries, by programs with AddressSanitizer.
if test -z "${SANITIZER_CFLAGS:-}" && has_runtime "${CC:-cc}"; then
    status=0
    SANITIZER_CFLAGS=-fsanitize=address ${SHELL:-sh} "$top_srcdir/tests/adapters/adapters.sh" >"$scratch/log" 2>&1 || status=$?
    tail -1 "$scratch/log"
    if test $status -ne 0 && test $status -ne 77; then
        cat "$scratch/log"
        complain "adapters"
    fi
fi
echo "checked=$checked"
test $checked -ne 0 || test $result -ne 0 || exit 77
exit $result
