#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every source opens with its licence, after the interpreter's line if there is one.
set -eu
: "${top_srcdir:?}"
cd "$top_srcdir"
{
    printf '%s\n' configure.ac Makefile.am m4/harena.m4 bootstrap .ci/run
    find src include tests bench examples doc -type f \( -name '*.[ch]' -o -name '*.cc' -o -name '*.hpp' \
        -o -name '*.sh' -o -name '*.awk' -o -name '*.py' -o -name '*.lua' -o -name '*.map' \
        -o -name '*.supp' -o -name '*.inc' -o -name '*.[1-9]' \)
} | {
    result=0
    files=0
    while read -r file; do
        files=$((files + 1))
        head -n 2 "$file" | grep -q 'SPDX-License-Identifier: BSD-2-Clause' ||
            { echo "$file: does not open with its SPDX line"; result=1; }
    done
    test $result -ne 0 || echo "$files files"
    exit $result
}
