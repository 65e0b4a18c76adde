#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every public header compiles alone, as C11 and as C++17, without a warning, for each compiler that
# is here; and none of them drags in liburcu or ConcurrencyKit.
set -eu
: "${top_srcdir:?}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
result=0

# compile COMPILER STANDARD SUFFIX: the headers one by one.
compile()
{
    # A compiler may be a command with arguments.
    # shellcheck disable=SC2086
    for header in "$top_srcdir"/include/harena.h "$top_srcdir"/include/harena/*.h; do
        name=${header#"$top_srcdir"/include/}
        printf '#include <%s>\nextern int harena_test_unit;\n' "$name" >"$scratch/unit.$3"
        $1 "-std=$2" -Wall -Wextra -Wundef -Wshadow -Wpedantic -Werror -I"$top_srcdir/include" \
            -fsyntax-only "$scratch/unit.$3" || { echo "<$name> does not compile alone: $1 -std=$2"; result=1; }
    done
}

for compiler in ${CC:+"$CC"} gcc clang; do
    test "$compiler" = "${done_c:-}" && continue
    command -v "${compiler%% *}" >/dev/null || continue
    compile "$compiler" c11 c
    done_c=$compiler
done
for compiler in ${CXX:+"$CXX"} g++ clang++; do
    test "$compiler" = "${done_cxx:-}" && continue
    command -v "${compiler%% *}" >/dev/null || continue
    compile "$compiler" c++17 cc
    done_cxx=$compiler
done
test -n "${done_cxx:-}" || echo "no C++ compiler here: headers not compiled as C++"

for header in "$top_srcdir"/include/harena.h "$top_srcdir"/include/harena/*.h; do
    # shellcheck disable=SC2086
    if ${CC:-cc} -M -I"$top_srcdir/include" "$header" | grep -E '/(urcu|ck_)'; then
        echo "$header includes a header that users need not have"
        result=1
    fi
done
exit $result
