#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The initializers take the RCU flavour of the liburcu header that was included first, in C and C++;
# none of them, without one: the library then uses its own.
set -eu
: "${top_srcdir:?}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
result=0
seen=

# expect HEADER FLAVOUR: no flavour is "".
expect()
{
    for which in harena_options:HARENA_OPTIONS_INIT harena_provider_options:HARENA_PROVIDER_OPTIONS_INIT \
        harena_shared_options:HARENA_SHARED_OPTIONS_INIT harena_snapshot:HARENA_SNAPSHOT_INIT; do
        expect_in "${which%%:*}" "${which#*:}" "$1" "$2"
    done
    seen="$seen ${2:-none}"
}

# expect_in TYPE INITIALIZER HEADER FLAVOUR
expect_in()
{
    type=$1 initializer=$2
    shift 2
    {
        test -z "$1" || echo "#include <$1>"
        echo '#include <harena.h>'
        echo "$type test_options = $initializer;"
    } >"$scratch/unit.c"
    cp "$scratch/unit.c" "$scratch/unit.cc"
    # Compilers may be several words. C++ where there is a compiler for it.
    # shellcheck disable=SC2086
    for unit in c cc; do
        case $unit in c) compiler="${CC:-cc} -std=gnu11" ;; cc) compiler="${CXX:-c++} -std=c++17" ;; esac
        command -v "${compiler%% *}" >/dev/null || continue
        $compiler -Wall -Wextra -Werror -I"$top_srcdir/include" -c -o "$scratch/unit.o" "$scratch/unit.$unit"
        found=$(${NM:-nm} -u "$scratch/unit.o" | sed -n 's/.* //; /^urcu_.*_flavor$/p')
        test "$found" = "$2" ||
            { echo "<${1:-no header of liburcu}>: $initializer: the flavour is '$found', not '$2' ($compiler)"; result=1; }
    done
}

expect "" ""
expect urcu.h urcu_memb_flavor
expect urcu-bp.h urcu_bp_flavor
expect urcu-qsbr.h urcu_qsbr_flavor
for flavour in memb mb qsbr bp; do
    expect "urcu/urcu-$flavour.h" "urcu_${flavour}_flavor"
done
test $result -ne 0 || echo "seen:$seen"
exit $result
