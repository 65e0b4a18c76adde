#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every public header compiles alone, as C11 (with the inline functions of old C, too) and as C++17 (the C++ layer as that only), without
# a warning, for each compiler that is here; and none of them drags in liburcu or ConcurrencyKit.
set -eu
: "${top_srcdir:?}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
result=0
compiled=0

# compile COMPILER STANDARD SUFFIX: the headers one by one.
compile()
{
    # A compiler may be a command with arguments.
    # shellcheck disable=SC2086
    for header in "$top_srcdir"/include/harena.h "$top_srcdir"/include/harena/*.h*; do
        case $header,$3 in *.hpp,c) continue ;; esac
        name=${header#"$top_srcdir"/include/}
        printf '#include <%s>\nextern int harena_test_unit;\n' "$name" >"$scratch/unit.$3"
        compiled=$((compiled + 1))
        $1 "-std=$2" -Wall -Wextra -Wundef -Wshadow -Wpedantic -Werror -I"$top_srcdir/include" \
            -fsyntax-only "$scratch/unit.$3" || { echo "<$name> does not compile alone: $1 -std=$2"; result=1; }
    done
}

# for_each STANDARD SUFFIX COMPILER...: with each that is here, once.
for_each()
{
    standard=$1
    suffix=$2
    shift 2
    used=
    for compiler in "$@"; do
        case ",$used," in *",$compiler,"*) continue ;; esac
        command -v "${compiler%% *}" >/dev/null || continue
        compile "$compiler" "$standard" "$suffix"
        used=$used${used:+,}$compiler
    done
    report="$report $standard: ${used:-no compiler};"
}

report=
for_each c11 c "${CC:-cc}" gcc clang "${CC:-cc} -fgnu89-inline"
for_each c++17 cc "${CXX:-c++}" g++ clang++

for header in "$top_srcdir"/include/harena.h "$top_srcdir"/include/harena/*.h; do
    # shellcheck disable=SC2086
    if ${CC:-cc} -M -I"$top_srcdir/include" "$header" | grep -E '/(urcu|ck_)'; then
        echo "$header includes a header that users need not have"
        result=1
    fi
done
test $result -ne 0 || echo "$compiled compilations:${report%;}"
exit $result
