#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Each structural test can fail: a fault is planted in a copy of the tree, and the test must name it.
set -eu
: "${top_srcdir:?}" "${CXX:=c++}"
real=$top_srcdir
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export top_srcdir="$scratch/tree"
result=0
count=0

# A fresh copy of what the structural tests read.
fresh()
{
    cd "$scratch"
    rm -rf tree
    mkdir tree
    (cd "$real" && tar cf - Makefile.am configure.ac README.md bootstrap .ci m4/harena.m4 \
        src/*.[ch] src/Makefile.inc include tests/Makefile.inc tests/api tests/model tests/race doc) | (cd tree && tar xf -)
    mkdir tree/tests/unit tree/bench tree/examples
    chmod -R u+w tree
    cd tree
}

# Usage: row CELL CELL CELL CELL: one more row of doc/coming-from.md, whose tests are here, too.
row()
{
    (cd "$real" && tar cf - tests examples/small.sh) | tar xf -
    chmod -R u+w tests examples
    printf '| %s | %s | %s | %s |\n' "$@" >>doc/coming-from.md
}

# Usage: planted TEST FAULT WHAT-IT-SAYS: the copy has the fault now. Two tests run at once.
planted()
{
    count=$((count + 1))
    cd "$scratch"
    mv tree "tree$count"
    look "$scratch/tree$count" "$@" >"$scratch/result$count" 2>&1 &
    test $((count % 2)) -ne 0 || wait
    fresh
}

# Usage: look TREE TEST FAULT WHAT-IT-SAYS: says nothing if the test does.
look()
{
    cd "$1"
    if top_srcdir=$1 sh "$real/tests/api/$2.sh" >"$1.log" 2>&1 || ! grep -q -e "$4" "$1.log"; then
        cat "$1.log"
        echo "FAILED: $2.sh does not see $3"
    fi
    rm -rf "$1"
}

fresh
sed '/^ \*   fini /s/X$/yes/' include/harena/snapshot.h >planted && mv planted include/harena/snapshot.h
planted cells "a cell without a race test" 'says CELL snapshot: fini x fini'
sed '/^ \*   release /s/sec/yes/' include/harena/shared.h >planted && mv planted include/harena/shared.h
planted cells "a cell that is not what it is the other way round" 'shared.h: row 1, column 5'
sed '/CELL provider: stats x barrier/d' tests/race/race_provider_cells.c >planted && mv planted tests/race/race_provider_cells.c
planted cells "a cell whose race test has lost its name" 'says CELL provider: stats x barrier'
printf '/* CELL shared: release x release */\nSTART_TEST(x)\ntcase_add_test(tests, x)\n' >tests/race/planted.c
planted cells "a test for a cell that says X" 'planted.c:1: no cell of a table'
printf '/* CELL shared: stats x stats */\nSTART_TEST(x)\n' >tests/race/planted.c
planted cells "a test for a cell that never runs" 'planted.c:2: x says CELL, and is in no suite'
echo '/* CELL shared: stats x stats */' >tests/race/planted.c
planted cells "a cell that no test stands for" 'planted.c:1: this CELL stands above no test'

printf '\n/* Does. Thread: any. */\nHARENA_API int harena_planted(void);\n' >>include/harena/cdefs.h
planted contracts "a contract without Fails:" harena_planted
printf '\nHARENA_API int\nharena_planted(int a,\n    int b);\n' >>include/harena/cdefs.h
planted contracts "a function without a comment" harena_planted

shown='`tests/unit/test_buf.c: writers_append`'
row a b '' "$shown"
planted coming_from "a cell without text" 'cell 3 is empty'
row a b c ''
planted coming_from "a behaviour without a test" 'cell 4 is empty'
row a b c 'none'
planted coming_from "something that is no test" 'no test: none'
row a b c "$shown, "'`tests/unit/test_buf.c: planted`'
planted coming_from "a test that is not there" 'not a test that is run: .*test_buf.c: planted'
row a b c '`tests/unit/test_buf.c: planted`'
printf 'START_TEST(planted)\n{\n}\nEND_TEST\n' >>tests/unit/test_buf.c
planted coming_from "a test that is not run" 'not a test that is run: .*test_buf.c: planted'
row a b c '`tests/unit/test_planted.c: planted`'
planted coming_from "a test in no file" 'not a test that is run: .*test_planted.c'
row a b c '`examples/small.sh: planted`'
planted coming_from "an example that nobody runs" 'not a test that is run: .*small.sh: planted'
row a b '`harena_planted()`' "$shown"
planted coming_from "a function that is in no header" 'no header has harena_planted'

sed 's/urcu_memb_flavor/urcu_bp_flavor/' include/harena/provider.h >planted && mv planted include/harena/provider.h
planted flavors "an initializer that takes another flavour" "urcu_memb_flavor"

echo 'size_t harena_planted(void);' >include/harena/planted.h
planted headers "a header that needs another one first" 'planted.h.*c11'
if command -v "${CXX%% *}" >/dev/null; then
    echo 'int harena_planted(int class);' >include/harena/planted.h
    planted headers "a header that is no C++" 'planted.h.*c++17'
fi
echo '#include <urcu-bp.h>' >include/harena/planted.h
planted headers "a header that needs liburcu's" 'planted.h includes'

: >src/planted.h
printf '6 src/planted\n' >>tests/api/layers.txt
echo '#include "planted.h"' >>src/base.h
planted layers "an include of a higher layer" 'base.h.*layer 6'
echo 'int planted;' >src/planted.c
planted layers "a file without a layer" planted.c
echo '#include <ck_stack.h>' >>src/base.h
planted layers "ConcurrencyKit included elsewhere" base.h

sed 's/harena_buf_read_slow(&copy/harena_buf_read_slow(b/' include/harena/buf.h >planted && mv planted include/harena/buf.h
planted local_buf "a buffer whose address is handed on" 'goes somewhere'

printf '\nHARENA_API int harena_planted(void);\n' >>include/harena/arena.h
planted manpages "a function that no page describes" 'does not describe harena_planted'
grep -v 'links/harena_alloc\.3' doc/Makefile.inc >planted && mv planted doc/Makefile.inc
planted manpages "a function that man does not find" 'no link for harena_alloc$'
grep -v '^\.SH NOTES' doc/man/harena.7 >planted && mv planted doc/man/harena.7
planted manpages "a page without one of its sections" 'harena.7 has no section NOTES'

printf '\nname: planted\nfile: slab.c\nmodel: slab/grow\nfrom: planted\nto: other\n' >>tests/model/mutations.txt
planted mutations "a fault that cannot be planted" 'mutation=planted: its text'
printf '\nname: planted\nfile: slab.c\nmodel: planted\nfrom: planted\nto: other\n' >>tests/model/mutations.txt
planted mutations "a fault for no model" 'no model planted'

echo 'int main(void) { return 0; }' >tests/unit/test_planted.c
planted orphans "a test that no makefile names" test_planted.c

echo 'int planted(void) { return hri_load_acquire(&x); }' >src/planted.c
planted pairs "an acquire without a name" 'planted.c.*no PAIR'
echo '/* PAIR planted-1: alone */' >src/planted.c
planted pairs "a pair with one side" 'planted-1 has one side'
printf '/* PAIR planted-1: a */\n/* PAIR planted-1: b */\n' >src/planted.c
planted pairs "a pair without a row" 'planted-1 has no row'
printf '\n| Pair |\n|---|\n| planted-1 |\n' >>doc/memory-order.md
planted pairs "a row without a pair" 'planted-1 stands nowhere'

if test -n "${USDT_CPPFLAGS:-}"; then
    sed 's/^\.B purge$/.B planted/' doc/man/harena.7 >planted && mv planted doc/man/harena.7
    planted probes "a probe that the library has not" 'not in the library: planted'
fi

printf '\n```c\nint main(void) { return harena_planted; }\n```\n' >README.md
planted readme "a program that does not compile" 'README.md:2: this program'
printf '\n```c\nint main(void) { return 1; }\n```\n' >README.md
planted readme "a program that fails" 'README.md:2: this program'

echo 'int planted;' >src/planted.c
planted spdx "a source without a licence" planted.c

printf '\nHARENA_API int harena_planted(void);\n' >>include/harena/cdefs.h
planted symbols "a marked name that is not exported" 'not exported: harena_planted'
sed 's/HARENA_API//' include/harena/arena.h >planted && mv planted include/harena/arena.h
planted symbols "an exported name that is not marked" 'not marked: harena_create'

wait
cat "$scratch"/result*
! grep -q . "$scratch"/result* || result=1
test $result -ne 0 || echo "$count planted faults were seen"
exit $result
