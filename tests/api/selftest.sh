#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Each structural test can fail: it passes on a copy of the tree, and fails once a fault is planted.
set -eu
real=$top_srcdir
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export top_srcdir="$scratch/tree"
result=0

# A fresh copy of what the structural tests read.
fresh()
{
    rm -rf "$top_srcdir"
    mkdir "$top_srcdir"
    (cd "$real" && tar cf - Makefile.am configure.ac README.md bootstrap .ci m4/harena.m4 \
        src include tests bench examples doc) | (cd "$top_srcdir" && tar xf -)
    chmod -R u+w "$top_srcdir"
}

# Usage: planted TEST FAULT: the tree has the fault now, and TEST must say so.
planted()
{
    if sh "$real/tests/api/$1.sh" >"$scratch/log" 2>&1; then
        echo "$1 does not see: $2"
        result=1
    else
        echo "$1 sees: $2"
    fi
    fresh
}

cd "$scratch"
fresh
for test in contracts headers layers orphans pairs readme spdx symbols; do
    sh "$real/tests/api/$test.sh" >"$scratch/log" 2>&1 || { cat "$scratch/log"; echo "$test fails on the copy itself"; result=1; }
done

cd "$top_srcdir"
printf '\n/* Does. Thread: any. */\nHARENA_API int harena_planted(void);\n' >>include/harena/cdefs.h
planted contracts "a contract without Fails:"
printf '\nHARENA_API int\nharena_planted(void);\n' >>include/harena/cdefs.h
planted contracts "no comment at all"

echo 'size_t harena_planted(void);' >include/harena/planted.h
planted headers "a header that needs another one first"
echo 'int harena_planted(int class);' >include/harena/planted.h
planted headers "a header that is no C++"
printf '#include <urcu-bp.h>\n' >include/harena/planted.h
planted headers "a header that needs liburcu's"

echo '#include "shared.h"' >>src/base.h
echo '6 src/shared' >>tests/api/layers.txt
planted layers "an include of a higher layer"
: >src/planted.c
planted layers "a file without a layer"
echo '#include <ck_stack.h>' >>src/base.h
planted layers "ConcurrencyKit included elsewhere"

echo 'int main(void) { return 0; }' >tests/unit/test_planted.c
planted orphans "a test that no makefile names"

echo 'int planted(void) { return hri_load_acquire(&x); }' >>src/base.h
planted pairs "an acquire without a name"
echo '/* PAIR planted-1: alone */' >>src/base.h
printf '\n| Pair |\n|---|\n| planted-1 |\n' >>doc/memory-order.md
planted pairs "a pair with one side"
printf '/* PAIR planted-1: a */\n/* PAIR planted-1: b */\n' >>src/base.h
planted pairs "a pair without a row"
printf '\n| Pair |\n|---|\n| planted-1 |\n' >>doc/memory-order.md
planted pairs "a row without a pair"

printf '\n```c\nint main(void) { return harena_planted; }\n```\n' >>README.md
planted readme "a program that does not compile"
printf '\n```c\nint main(void) { return 1; }\n```\n' >>README.md
planted readme "a program that fails"

echo 'int planted;' >src/planted.c
planted spdx "a source without a licence"

printf '\nHARENA_API int harena_planted(void);\n' >>include/harena/cdefs.h
planted symbols "a marked name that is not exported"
sed 's/HARENA_API//' include/harena/arena.h >planted && mv planted include/harena/arena.h
planted symbols "an exported name that is not marked"
exit $result
