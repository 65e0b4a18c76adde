#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A library that was built with static probes has those that harena(7) lists; one without has none.
set -eu
: "${top_srcdir:?}" "${top_builddir:?}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
result=0

library=$top_builddir/.libs/libharena.so
test -e "$library" || library=$top_builddir/.libs/libharena.a
command -v "${READELF:=readelf}" >/dev/null || { echo "no readelf here"; exit 77; }

# What the manual lists between "has these" and the end of its list.
sed -n '/static probes (USDT)/,/^\.RE/p' "$top_srcdir/doc/man/harena.7" |
    sed -n '/^\.TP/{n;s/^\.B //p;}' | sort -u >"$scratch/listed"
test -s "$scratch/listed" || { echo "harena(7) lists no probes"; exit 1; }

${READELF} -n "$library" >"$scratch/notes" 2>/dev/null
${AWK:-awk} '$1 == "Provider:" { ours = $2 == "harena" } $1 == "Name:" && ours { print $2 }' "$scratch/notes" |
    sort -u >"$scratch/found"

if test -z "${USDT_CPPFLAGS:-}"; then
    test ! -s "$scratch/found" || { echo "probes in a library that was built without:"; cat "$scratch/found"; exit 1; }
    echo "built without static probes"
    exit 77
fi
comm -23 "$scratch/listed" "$scratch/found" | sed 's/^/listed but not in the library: /' >"$scratch/diff"
comm -13 "$scratch/listed" "$scratch/found" | sed 's/^/in the library but not listed: /' >>"$scratch/diff"
if test -s "$scratch/diff"; then
    cat "$scratch/diff"
    result=1
fi
# Each has two arguments: a pointer, and eight bytes.
if ! ${AWK:-awk} '$1 == "Provider:" { ours = $2 == "harena" } $1 == "Name:" { name = $2 }
    $1 == "Arguments:" && ours && (NF != 3 || $2 !~ /^8@/ && $2 !~ /^-?8@/) { print name ": " $0; bad = 1 }
    END { exit bad }' "$scratch/notes"; then
    echo "a probe without a name and a number of bytes"
    result=1
fi

# As its users see it, where it is installed and may look.
if command -v bpftrace >/dev/null && bpftrace -l "usdt:$library:harena:*" >"$scratch/list" 2>/dev/null; then
    sed 's/.*://' "$scratch/list" | sort -u >"$scratch/bpf"
    if ! cmp -s "$scratch/bpf" "$scratch/listed"; then
        echo "bpftrace lists others:"
        cat "$scratch/list"
        result=1
    fi
fi
test $result -ne 0 || echo "$(wc -l <"$scratch/found") probes"
exit $result
