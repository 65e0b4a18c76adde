#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# No test, benchmark or example is forgotten: each is a word of a makefile, as a source or, without
# its suffix, as a program.
set -eu
: "${top_srcdir:?}"
cd "$top_srcdir"
words=$(mktemp)
trap 'rm -f "$words"' EXIT
find Makefile.am src tests bench examples doc \( -name Makefile.am -o -name '*.inc' \) \
    -exec sed -e 's/#.*//' -e 's/\$([a-z_]*srcdir)\///g' {} + | tr -s ' \t\\=' '[\n*]' >"$words"
find tests bench examples -type f \( -name '*.c' -o -name '*.h' -o -name '*.cc' -o -name '*.sh' -o -name '*.awk' \) |
    sort | {
    result=0
    files=0
    while read -r file; do
        files=$((files + 1))
        grep -q -x -F -e "$file" -e "${file%.*}" "$words" || { echo "no makefile names $file"; result=1; }
    done
    test $result -ne 0 || echo "$files files"
    exit $result
}
