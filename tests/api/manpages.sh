#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The manual is whole: each public header has a page with all sections and a complete program, which
# readme.sh compiles and runs; each function and macro stands in the page's synopsis, is described
# there, and has a link, so that man finds it; groff, where there is one, has nothing to warn of.
set -eu
: "${top_srcdir:?}"
cd "$top_srcdir"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
result=0
names=0

complain()
{
    echo "$*"
    result=1
}

# section NAME: the lines of one section of the page at hand.
section()
{
    sed -n "/^\.SH $1\$/,/^\.SH /p" "$page"
}

for header in include/harena/*.h; do
    noun=$(basename "$header" .h)
    test "$noun" != cdefs || continue
    page=doc/man/harena_$noun.3
    test -e "$page" || { complain "$header has no page $page"; continue; }
    {
        ${AWK:-awk} -f tests/api/declarations.awk "$header" | cut -d ' ' -f 2,3
        sed -n 's/^#define \(harena_[a-z0-9_]*\)(.*/\1 macro/p' "$header"
    } | sort -u >"$scratch/names"
    while read -r name kind; do
        names=$((names + 1))
        section DESCRIPTION | grep -q "^\.BI\{0,1\} \"\{0,1\}$name\((\|\$\)" ||
            complain "$page does not describe $name"
        test "$kind" != variable || continue
        section SYNOPSIS | grep -q "[^a-z_]$name(" || complain "$page: $name is not in the synopsis"
        tr -s ' \t\\=' '[\n*]' <doc/Makefile.inc | grep -q -x "doc/links/$name.3" ||
            complain "doc/Makefile.inc has no link for $name"
    done <"$scratch/names"
done

for page in doc/man/*.[1-9]; do
    for section in NAME SYNOPSIS DESCRIPTION ERRORS NOTES EXAMPLE "SEE ALSO"; do
        grep -q "^\.SH $section\$" "$page" || complain "$page has no section $section"
    done
    sed -n '/^\.EX$/,/^\.EE$/p' "$page" | grep -q 'main(' || complain "$page shows no complete program"
    if LC_ALL=C grep -n '[^ -~]' "$page"; then
        complain "$page: not ASCII"
    fi
    grep -q "$page" doc/Makefile.inc || complain "doc/Makefile.inc does not install $page"
    if command -v groff >/dev/null; then
        groff -man -ww -Tutf8 -z "$page" >"$scratch/warnings" 2>&1 || :
        test ! -s "$scratch/warnings" || { cat "$scratch/warnings"; complain "$page: groff warns"; }
    fi
done
test $result -ne 0 || echo "$names names"
exit $result
