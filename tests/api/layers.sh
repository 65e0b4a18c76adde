#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# No file of the library includes a header of a higher layer, every file has a layer (layers.txt),
# ConcurrencyKit enters through src/ck.h alone and liburcu in layer 4 alone.
set -eu
: "${top_srcdir:?}"
cd "$top_srcdir"
${AWK:-awk} '
    FNR == 1 { me = FILENAME; sub(/\.([ch]|hpp)$/, "", me) }
    FILENAME ~ /layers\.txt$/ { if (NF == 2) layer[$2] = $1; next }
    FNR == 1 { files++ }
    FNR == 1 && !(me in layer) { print FILENAME ": has no layer in tests/api/layers.txt"; bad = 1 }
    !/^[ \t]*#[ \t]*include[ \t]*[<"]/ { next }
    {
        file = $0
        sub(/^[^<"]*/, "", file)
        quoted = file ~ /^"/
        file = substr(file, 2)
        sub(/[>"].*/, "", file)
        if (file ~ /^ck_/ && me != "src/ck") { print FILENAME ":" FNR ": ConcurrencyKit is included by src/ck.h alone"; bad = 1 }
        if (file ~ /^urcu/ && layer[me] != 4) { print FILENAME ":" FNR ": liburcu is included by layer 4 alone"; bad = 1 }
        if (file == "config.h" || (!quoted && file !~ /^harena[.\/]/))
            next
        sub(/\.h$/, "", file)
        file = (quoted ? "src/" : "include/") file
        if (!(file in layer)) { print FILENAME ":" FNR ": includes " file ".h, which has no layer"; bad = 1 }
        else if (layer[file] + 0 > layer[me] + 0) { print FILENAME ":" FNR ": layer " layer[me] " includes layer " layer[file]; bad = 1 }
    }
    END { if (!bad) print files " files"; exit bad }' tests/api/layers.txt src/*.[ch] include/harena.h include/harena/*.h include/harena/*.hpp
