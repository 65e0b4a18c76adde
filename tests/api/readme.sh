#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What the documentation shows works: each complete program in README.md (a ```c block with a main)
# and in a man page (between .EX and .EE) compiles without a warning, links and exits with 0.
set -eu
: "${top_srcdir:?}" "${top_builddir:?}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cat >"$scratch/extract.awk" <<'EOF'
function flush() { if (text ~ /main\(/) { out = sprintf("%s/%02d.c", dir, ++n); printf "%s", text >out; close(out); print out, from } text = "" }
!inside && (/^```c[ \t]*$/ || /^\.EX/) { inside = 1; from = FILENAME ":" FNR; next }
inside && (/^```[ \t]*$/ || /^\.EE/) { inside = 0; flush(); next }
inside && FILENAME !~ /\.md$/ { if (/^\./) next; gsub(/\\e/, "\\"); gsub(/\\-/, "-"); gsub(/\\\(aq/, "\047"); gsub(/\\\(dq/, "\""); gsub(/\\&/, "") }
inside { text = text $0 "\n" }
EOF
set -- "$top_srcdir/README.md"
for page in "$top_srcdir"/doc/man/*.[1-9]; do
    test ! -e "$page" || set -- "$@" "$page"
done
${AWK:-awk} -v dir="$scratch" -f "$scratch/extract.awk" "$@" >"$scratch/list"
grep -q '/README.md:' "$scratch/list" || { echo "README.md shows no complete program"; exit 1; }

result=0
# Compilers and flags may be several words.
# shellcheck disable=SC2086
while read -r program from; do
    libs=
    compile="--tag=CC --mode=link ${CC:-cc} -std=gnu11"
    if grep -q '<harena/.*\.hpp>' "$program"; then
        command -v "${CXX%% *}" >/dev/null || { echo "no C++ compiler for $from"; continue; }
        mv "$program" "${program%.c}.cc"
        program=${program%.c}.cc
        compile="--tag=CXX --mode=link ${CXX:-c++} -std=c++17"
    fi
    ! grep -q '<urcu' "$program" || libs=${URCU_LIBS:-}
    if "$top_builddir/libtool" --silent $compile -Wall -Wextra -Werror \
        -I"$top_srcdir/include" -pthread ${SANITIZER_CFLAGS:-} -no-install \
        -o "$program.out" "$program" "$top_builddir/libharena.la" $libs &&
        (cd "$scratch" && "$program.out" >"$program.stdout" </dev/null); then
        echo "runs: $from"
    else
        echo "$from: this program does not work"
        result=1
    fi
done <"$scratch/list"
exit $result
