#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every ordered atomic access of the library names its pair: "PAIR name" on its own statement, or in
# a comment that ends at most three lines above it. A name stands at two places or more, and is the
# first cell of a row of doc/memory-order.md, in a table whose first column is headed "Pair".
set -eu
: "${top_srcdir:?}"
cd "$top_srcdir"
# The files that define the hri_ operations use none of them.
sources=$(find src include -name '*.[ch]' ! -path src/atomics.h ! -path src/atomics.c | sort)
# shellcheck disable=SC2086
${AWK:-awk} '
    function untagged() { if (site) { print site ": ordered, but names no PAIR"; bad = 1; site = "" } }

    FILENAME ~ /memory-order\.md$/ {
        if ($0 !~ /^\|/) { in_table = 0; next }
        cell = $0
        sub(/^\|[ \t`]*/, "", cell)
        sub(/[ \t`]*\|.*$/, "", cell)
        if (!in_table) in_table = cell == "Pair" ? 1 : -1
        else if (in_table == 1 && cell !~ /^:?-+:?$/) row[cell] = FILENAME ":" FNR
        next
    }

    FNR == 1 { untagged(); tag = -9; in_comment = 0; in_macro = 0 }
    {
        tagged = 0
        for (text = $0; match(text, /PAIR [a-z0-9-]+/); text = substr(text, RSTART + RLENGTH)) {
            name = substr(text, RSTART + 5, RLENGTH - 5)
            count[name]++
            where[name] = FILENAME ":" FNR
            tagged = 1
        }
        if (tagged) { comment_tagged = 1; tag = FNR; site = "" }

        code = $0
        if (in_comment) {
            if (comment_tagged) tag = FNR
            if (!sub(/^.*\*\//, "", code)) next
            in_comment = 0
        }
        gsub(/\/\*[^*]*\*\//, "", code)
        sub(/\/\/.*/, "", code)
        if (sub(/\/\*.*/, "", code)) { in_comment = 1; comment_tagged = tagged }

        if (code ~ /(hri_(load|store|cas|exchange|fetch|fence)[a-z0-9_]*_(acquire|release|acq_rel|seq_cst)[a-z0-9_]*[ \t]*\(|__ATOMIC_(ACQUIRE|RELEASE|ACQ_REL|SEQ_CST|CONSUME)|memory_order_(acquire|release|acq_rel|seq_cst|consume))/ && FNR - tag > 3 && !site)
            site = FILENAME ":" FNR
        if (code ~ /[;{}]/ && !in_comment) untagged()
    }
    END {
        untagged()
        for (name in count) {
            if (count[name] < 2) { print where[name] ": PAIR " name " has one side only"; bad = 1 }
            if (!(name in row)) { print where[name] ": PAIR " name " has no row in doc/memory-order.md"; bad = 1 }
            pairs++
        }
        for (name in row)
            if (!(name in count)) { print row[name] ": PAIR " name " stands nowhere in the code"; bad = 1 }
        if (!bad) print pairs + 0 " pairs"
        exit bad
    }' doc/memory-order.md $sources
