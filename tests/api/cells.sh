#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every cell of the headers' synchronisation tables that does not say X has a race test: "CELL table: a, b x c" in a
# comment above the test, or beside what it walks through, says that it runs a and b against c. The operations are those
# in the heads of the table's columns; each pair of them must be said, and nothing else may be. Prints how many cells
# there are, a pair of operations and its mirror image being one.
set -eu
: "${top_srcdir:?}"
cd "$top_srcdir"
# shellcheck disable=SC2046
${AWK:-awk} '
    function complain(text) { print text; bad = 1 }

    # Splits at two spaces or more: part[1..n], at[1..n]. Returns n.
    function columns(line,    n, from) {
        n = 0
        from = 1
        while (match(substr(line, from), /[^ ]( ?[^ ])*/)) {
            part[++n] = substr(line, from + RSTART - 1, RLENGTH)
            at[n] = from + RSTART - 1
            from += RSTART + RLENGTH - 1
        }
        return n
    }

    # "a, b, c" to list[1..n]; returns n.
    function listed(text, list) {
        gsub(/[ \t]/, "", text)
        sub(/,$/, "", text)
        return split(text, list, ",")
    }

    # All of the table has been read.
    function finish(    i, j, k, n, list) {
        if (state == "") return
        state = ""
        if (rows != count || !count) complain(FILENAME ": table of " rows " rows and " count " columns")
        for (i = 1; i <= count; i++) {
            n = listed(head[i], list)
            if (label[i] !~ /^\.\.\./ && substr(label[i], 1, length(list[1])) != list[1])
                complain(FILENAME ": row " i " is called " label[i] ", the column " head[i])
            for (k = 1; k <= n; k++) { column[table, list[k]] = i; names[table, i, k] = list[k] }
            size[table, i] = n
            for (j = 1; j <= count; j++) {
                if (says[i, j] !~ /^(yes|sec|X)$/) complain(FILENAME ": what is \"" says[i, j] "\" in row " i "?")
                if (says[i, j] != says[j, i]) complain(FILENAME ": row " i ", column " j " is not what it is the other way round")
                cell[table, i, j] = says[i, j]
            }
        }
        columns_of[table] = count
        tables++
    }

    # A comment that claims; `name` of the test that it belongs to is not known yet.
    function claim(text,    sides, left, right, i, j, n, m, of) {
        of = text
        sub(/:.*/, "", of)
        sub(/^[a-z]+: */, "", text)
        if (split(text, sides, / x /) != 2) { complain(FILENAME ":" FNR ": CELL " of ": " text ": two lists with an x between?"); return }
        n = listed(sides[1], left)
        m = listed(sides[2], right)
        for (i = 1; i <= n; i++)
            for (j = 1; j <= m; j++) {
                if (!((of, left[i]) in column) || !((of, right[j]) in column) ||
                    cell[of, column[of, left[i]], column[of, right[j]]] == "X")
                    complain(FILENAME ":" FNR ": no cell of a table: " of ": " left[i] " x " right[j])
                said[of, left[i], right[j]] = said[of, right[j], left[i]] = 1
            }
        waiting = FILENAME ":" FNR
    }

    FNR == 1 { finish(); orphans(); in_header = FILENAME ~ /^include\// }
    function orphans(    name) {
        if (waiting != "") complain(waiting ": this CELL stands above no test")
        for (name in claims) if (!(name in added)) complain(claims[name] ": " name " says CELL, and is in no suite")
        waiting = ""
        split("", claims)
        split("", added)
    }

    in_header && /may run at the same time, in different threads:/ {
        finish()
        table = FILENAME
        sub(/.*\//, "", table)
        sub(/\.h$/, "", table)
        state = "head"
        rows = count = 0
        next
    }
    in_header && state != "" {
        line = $0
        sub(/^ \*/, "  ", line)
        if (line ~ /^ *$/) { if (rows) finish(); next }
        n = columns(line)
        if (at[1] > 6) { # heads of columns, on one line or more
            if (!count) { for (count = 0; count < n; count++) { head[count + 1] = part[count + 1]; start[count + 1] = at[count + 1] }; next }
            for (i = 1; i <= n; i++) {
                for (j = count; j > 1 && start[j] > at[i]; j--) continue
                head[j] = head[j] " " part[i]
            }
            next
        }
        label[++rows] = part[1]
        if (n - 1 != count) complain(FILENAME ":" FNR ": " n - 1 " cells under " count " heads")
        for (i = 2; i <= n; i++) says[rows, i - 1] = part[i]
        next
    }

    !in_header && match($0, /CELL [a-z]+: [a-z_, ]+/) { claim(substr($0, RSTART + 5, RLENGTH - 5)) }
    !in_header && match($0, /^START_TEST\([a-z_0-9]+/) {
        if (waiting != "") claims[substr($0, 12, RLENGTH - 11)] = FILENAME ":" FNR
        waiting = ""
    }
    !in_header && match($0, /tcase_add_(loop_)?test\(tests, [a-z_0-9]+/) {
        name = substr($0, RSTART, RLENGTH)
        sub(/.*, /, "", name)
        added[name] = 1
    }

    END {
        finish()
        orphans()
        for (table in columns_of)
            for (i = 1; i <= columns_of[table]; i++)
                for (j = i; j <= columns_of[table]; j++) {
                    if (cell[table, i, j] == "X") continue
                    cells++
                    whole = 1
                    for (k = 1; k <= size[table, i]; k++)
                        for (l = i == j ? k : 1; l <= size[table, j]; l++) {
                            pairs++
                            if ((table, names[table, i, k], names[table, j, l]) in said) continue
                            complain("include/harena/" table ".h: no race test says CELL " table ": " names[table, i, k] " x " names[table, j, l])
                            whole = 0
                        }
                    covered += whole
                }
        if (!tables) complain("no table found")
        if (!bad) print pairs + 0 " pairs of operations"
        print "cells=" cells + 0 " tables=" tables + 0 " covered=" covered + 0
        exit bad
    }' $(find include -name '*.h' | sort) $(find tests/race -name '*.c' | sort)
