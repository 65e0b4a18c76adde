#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every exported name has its contract in the public headers: who may call it, and how it fails.
set -eu
: "${top_srcdir:?}"
cd "$top_srcdir"
${AWK:-awk} -f tests/api/declarations.awk include/harena.h include/harena/*.h |
    ${AWK:-awk} '
        $2 == "?" { print $1 ": which name does this declaration export?"; bad = 1; next }
        { names++; if (!($2 in at)) at[$2] = $1; if ($3 != "no") told[$2] = 1 }
        END {
            for (name in at)
                if (!(name in told)) { print at[name] ": " name " has no comment with \"Thread:\" and \"Fails:\" right above"; bad = 1 }
            if (!names) { print "no declaration found"; bad = 1 }
            if (!bad) print names " declarations"
            exit bad
        }'
