#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Each adapter against the library that it is for, doing real work; without that library it is skipped, and said so.
# Each is 40 lines at most, and compiles as C11 and as C++17.
set -eu
: "${top_srcdir:?}" "${top_builddir:?}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
result=0
ran=0
skipped=

complain()
{
    echo "adapter=$1 result=FAILED: $2"
    result=1
}

for header in "$top_srcdir"/include/harena/adapters/*.h; do
    name=$(basename "$header" .h)
    test "$(wc -l <"$header")" -le 40 || complain "$name" "more than 40 lines"
    test "$name" != sized || continue
    program=$top_srcdir/tests/adapters/$name.c
    test -e "$program" || { complain "$name" "no tests/adapters/$name.c"; continue; }
    packages=$(sed -n '2s/.*Needs: \(.*\)\. \*\/$/\1/p' "$program")
    test -n "$packages" || { complain "$name" "does not say what it needs"; continue; }
    # Packages, flags and compilers may be several words.
    # shellcheck disable=SC2086
    if ! ${PKG_CONFIG:-pkg-config} --exists $packages; then
        echo "adapter=$name result=skipped: no $packages here"
        skipped="$skipped $name"
        continue
    fi
    cflags=$(${PKG_CONFIG:-pkg-config} --cflags $packages)
    libs=$(${PKG_CONFIG:-pkg-config} --libs $packages)
    printf '#define PCRE2_CODE_UNIT_WIDTH 8\n#include <harena/adapters/%s.h>\nextern int unit;\n' "$name" >"$scratch/unit.cc"
    # shellcheck disable=SC2086
    ${CC:-cc} -std=c11 -Wall -Wextra -Werror $cflags -I"$top_srcdir/include" -fsyntax-only -xc "$scratch/unit.cc" ||
        complain "$name" "is no C11"
    # shellcheck disable=SC2086
    ! command -v "${CXX%% *}" >/dev/null || ${CXX:-c++} -std=c++17 -Wall -Wextra -Werror $cflags -I"$top_srcdir/include" -fsyntax-only "$scratch/unit.cc" ||
        complain "$name" "is no C++17"
    # shellcheck disable=SC2086
    if ! "$top_builddir/libtool" --silent --tag=CC --mode=link ${CC:-cc} -std=gnu11 -Wall -Wextra -Werror -g \
        -I"$top_srcdir/include" $cflags -pthread ${SANITIZER_CFLAGS:-} -no-install \
        -o "$scratch/$name" "$program" "$top_builddir/libharena.la" $libs; then
        complain "$name" "does not compile"
    elif ! "$scratch/$name" "$top_srcdir/doc/design.md"; then
        complain "$name" "exit status $?"
    else
        echo "adapter=$name result=ok"
        ran=$((ran + 1))
    fi
done
echo "adapters=$ran skipped=${skipped:- none}"
test "$ran" -ne 0 || test $result -ne 0 || exit 77
exit $result
