#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Plants each fault of mutations.txt in a copy of the sources and runs the model that must find it. One line each; a fault
# that survives, whose text does not stand in its file exactly once or that does not compile fails the run.
#   mutate.sh [NAME...]      those whose names begin so; all without
#   mutate.sh --texts        only whether each text stands in its file, and each model is there
set -u
: "${top_srcdir:?}" "${CC:=cc}"
flags=${MODEL_CFLAGS--std=gnu11 -pthread}
libs=${MODEL_LIBS--lurcu-bp}
model_dir=$top_srcdir/tests/model
table=$model_dir/mutations.txt
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

# compile SRC FILE OBJECT: a file of a source tree, or of the models against that tree.
compile()
{
    # shellcheck disable=SC2086
    $CC $flags -O1 -DHARENA_MODEL -I "$top_srcdir/include" -iquote "$1" -c "$2" -o "$3"
}

# compile_all SRC OBJECTS: the library but thread.c, which identity.c includes, and the models.
compile_all()
{
    for source in "$1"/*.c "$model_dir"/*.c; do
        object=$(basename "$source" .c)
        test "$object" = thread || compile "$1" "$source" "$2/$object.o" || return 1
    done
}

link()
{
    # shellcheck disable=SC2086
    $CC $flags -Wl,--wrap=hri_slab_get_kind,--wrap=hri_slab_put_kind,--wrap=hri_model_point "$1"/*.o $libs -o "$2"
}

field()
{
    ${AWK:-awk} -v name="$1" -v field="$2" 'BEGIN { RS = ""; FS = "\n" }
        $1 == "name: " name { for (i = 2; i <= NF; i++) if (index($i, field ": ") == 1) print substr($i, length(field) + 3) }' "$table"
}

# plant NAME FILE: the file with the fault; fails if a text does not stand there once.
plant()
{
    ${AWK:-awk} -v name="$1" -v table="$table" '
        function regex(text,    i, c, r) {
            for (i = 1; i <= length(text); i++) {
                c = substr(text, i, 1)
                if (c ~ /[A-Za-z0-9_]/) r = r c
                else if (c == " ") r = r "[ \t\n]+"
                else if (c == "^" || c == "\\") r = r "\\" c
                else r = r "[" c "]"
            }
            return r
        }
        # Comments are cut out of what is compared by leaving them out of the copy.
        function bare(text,    out, at, end) {
            while ((at = index(text, "/*")) != 0) {
                out = out substr(text, 1, at - 1)
                text = substr(text, at)
                end = index(text, "*/")
                text = substr(text, end + 2)
            }
            return out text
        }
        BEGIN {
            while ((getline line < table) > 0) {
                if (line ~ /^name: /) mine = substr(line, 7) == name
                if (mine && line ~ /^from: /) from[++n] = substr(line, 7)
                if (mine && line ~ /^to: /) to[n] = substr(line, 5)
            }
            RS = "\001"
        }
        {
            text = bare($0)
            for (i = 1; i <= n; i++) {
                r = regex(from[i])
                if (!match(text, r)) exit 1
                head = substr(text, 1, RSTART - 1)
                rest = substr(text, RSTART + RLENGTH)
                if (match(rest, r)) exit 1
                text = head to[i] rest
            }
            printf "%s", text
        }
        END { if (n == 0) exit 1 }' "$2"
}

# build FILE: the models with the file that has the fault, and with all that includes it.
build()
{
    case $1 in
    *.h) compile_all "$scratch/src" "$scratch/objects" ;;
    thread.c) compile "$scratch/src" "$model_dir/identity.c" "$scratch/objects/identity.o" ;;
    *) compile "$scratch/src" "$scratch/src/$1" "$scratch/objects/${1%.c}.o" ;;
    esac && link "$scratch/objects" "$scratch/models"
}

# try NAME: prints its line; fails unless the fault is found.
try()
{
    file=$(field "$1" file)
    model=$(field "$1" model)
    rm -rf "$scratch/src" "$scratch/objects"
    cp -r "$top_srcdir/src" "$scratch/src" && cp -r "$scratch/base" "$scratch/objects" || return 1
    chmod u+w "$scratch/src/$file"
    if ! plant "$1" "$top_srcdir/src/$file" >"$scratch/src/$file"; then
        echo "mutation=$1 model=$model file=$file schedules=0 result=NO-SUCH-TEXT"
        return 1
    fi
    if ! build "$file" >"$scratch/log" 2>&1; then
        cat "$scratch/log"
        echo "mutation=$1 model=$model file=$file schedules=0 result=DOES-NOT-COMPILE"
        return 1
    fi
    if test "$(field "$1" tier)" = deep; then HARENA_LONG=1; else HARENA_LONG=; fi
    if test -n "$HARENA_LONG"; then export HARENA_LONG; else unset HARENA_LONG; fi
    # shellcheck disable=SC3045
    (ulimit -t 100 && exec "$scratch/models" "=$model") >"$scratch/log" 2>&1
    status=$?
    found=$(sed -n 's/^model=.* bound=\([^ ]*\) schedules=\([^ ]*\) .*result=FAILED$/bound=\1 schedules=\2/p' "$scratch/log" | head -n 1)
    if test "$status" -eq 1 && test -n "$found"; then
        echo "mutation=$1 model=$model file=$file $found result=found"
    else
        tail -n 5 "$scratch/log"
        echo "mutation=$1 model=$model file=$file schedules=0 result=SURVIVED status=$status"
        return 1
    fi
}

# The table against the sources and the models, without a compiler.
texts()
{
    names=$(sed -n 's/^name: //p' "$table")
    failed=0
    for name in $names; do
        plant "$name" "$top_srcdir/src/$(field "$name" file)" >/dev/null 2>&1 ||
            { echo "mutation=$name: its text does not stand once in $(field "$name" file)"; failed=1; }
        grep -q -F "{\"$(field "$name" model)\"," "$model_dir"/*.c ||
            { echo "mutation=$name: there is no model $(field "$name" model)"; failed=1; }
    done
    test -n "$names" && test $failed -eq 0 && echo "$(echo "$names" | wc -l) mutations can be planted"
}

if test "${1:-}" = --texts; then
    texts
    exit
fi
mkdir "$scratch/base"
compile_all "$top_srcdir/src" "$scratch/base" || { echo "the models do not compile"; exit 1; }
names=$(sed -n 's/^name: //p' "$table")
count=0
failed=0
for name in $names; do
    asked=$#
    for prefix in "$@"; do
        case $name in "$prefix"*) asked=0 ;; esac
    done
    test "$asked" -eq 0 || continue
    count=$((count + 1))
    try "$name" || failed=$((failed + 1))
done
echo "mutations=$count found=$((count - failed)) failed=$failed"
test "$count" -ne 0 && test "$failed" -eq 0
