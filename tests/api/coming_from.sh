#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# doc/coming-from.md says what is there: no cell of its tables is empty; each test is in the file that is named, and is run
# (an example is one that its script expects something of); each name of Harena's is in a public header or in harena(7).
set -eu
: "${top_srcdir:?}"
cd "$top_srcdir"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
page=doc/coming-from.md

# The tests that are run, as "FILE: NAME": each START_TEST that is given to RUN_TESTS (also by name, ALL_TESTS) or to
# tcase_add_test or is in a list of TTest; what a script expects; the cases of faults.c.
cat >"$scratch/run.awk" <<'AWK'
function test_is(file, name) { if (seen[file, name]++) print file ": " name }
/^START_TEST\(/ { split($0, part, /[()]/); test_is(FILENAME, part[2]) }
FILENAME ~ /faults\.c$/ && /^ *\{"[a-z_]+", [a-z_]+\},$/ { split($0, part, "\""); print FILENAME ": " part[2] }
/^expect [a-z_]+ <</ { print FILENAME ": " $2 }
/^ *(RUN_TESTS|tcase_add_|#define ALL_TESTS)|TTest \*const tests/ { listing = $0 !~ /fixture/ }
listing {
    text = $0
    while (match(text, /[a-z_][a-z0-9_]*/)) {
        name = substr(text, RSTART, RLENGTH)
        if ((FILENAME, name) in seen) test_is(FILENAME, name)
        text = substr(text, RSTART + RLENGTH)
    }
}
/[;}]$|\)$|^$/ { listing = 0 }
AWK
grep -o '`[a-z][^` ]*: ' "$page" | tr -d '`: ' | sort -u >"$scratch/named"
: >"$scratch/files"
while read -r file; do
    test ! -f "$file" || echo "$file" >>"$scratch/files"
done <"$scratch/named"
xargs "${AWK:-awk}" -f "$scratch/run.awk" <"$scratch/files" >"$scratch/run"
cat include/*.h include/harena/*.h doc/man/harena.7 | tr -s -c 'A-Za-z0-9_' '\n' | sort -u >"$scratch/public"

cat >"$scratch/page.awk" <<'AWK'
function complain(text) { print FILENAME ":" FNR ": " text; bad = 1 }
function trimmed(text) { gsub(/^[ \t]+|[ \t]+$/, "", text); return text }
function names_in(text) {
    while (match(text, /(harena|HARENA)_[A-Za-z0-9_]+/)) {
        if (!(substr(text, RSTART, RLENGTH) in public))
            complain("no header has " substr(text, RSTART, RLENGTH))
        text = substr(text, RSTART + RLENGTH)
    }
}
function tests_in(text, one) {
    while (match(text, /^`[^` ]+: [^` ]+`(, |$)/)) {
        one = substr(text, 2, index(substr(text, 2), "`") - 1)
        text = substr(text, RLENGTH + 1)
        tests++
        if (!(one in run)) complain("not a test that is run: " one)
    }
    if (text != "") complain("no test: " text)
}
part == "run" { run[$0]; next }
part == "public" { public[$0]; next }
!/^\|/ { names_in($0); in_table = 0; next }
{
    count = split($0, cell, "|")
    if (count != 6 || trimmed(cell[6]) != "") { complain("not four cells"); next }
    for (at = 2; at <= 5; at++)
        if (trimmed(cell[at]) == "") complain("cell " at - 1 " is empty")
    if (!in_table) {
        in_table = 1
        tables++
        if ($0 != "| theirs | behaviour | ours | test |") complain("another heading")
        next
    }
    if ($0 ~ /^[-| ]+$/) next
    rows++
    names_in(cell[4])
    tests_in(trimmed(cell[5]))
}
END {
    if (tables < 4) complain("fewer than four tables")
    if (!bad) print rows " rows, " tests " times a test"
    exit bad
}
AWK
${AWK:-awk} -f "$scratch/page.awk" part=run "$scratch/run" part=public "$scratch/public" part= "$page"
