#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The inline allocation paths stay short: instructions from the entry of a function to its return
# when the window serves, and no read-modify-write among them. x86-64 with objdump only.
set -eu
: "${top_srcdir:?}"
OBJDUMP=${OBJDUMP:-objdump}
command -v "$OBJDUMP" >/dev/null 2>&1 || { echo "no objdump"; exit 77; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cat >"$scratch/paths.c" <<'EOF'
#include <harena.h>
#ifndef __x86_64__
#error "counted on x86-64 only"
#endif
void *arena_constant(harena *a);
void *arena_variable(harena *a, size_t size);
void *lane(harena_view *view);
void *view_constant(harena_view *view);
void *view_variable(harena_view *view, size_t size);
void *shared_constant(harena_shared *s);
void *shared_variable(harena_shared *s, size_t size);

void *arena_constant(harena *a) { return harena_alloc(a, 48); }
void *arena_variable(harena *a, size_t size) { return harena_alloc(a, size); }
void *lane(harena_view *view) { return harena_view_lane(view); }
void *view_constant(harena_view *view) { return harena_view_alloc(view, 48); }
void *view_variable(harena_view *view, size_t size) { return harena_view_alloc(view, size); }
void *shared_constant(harena_shared *s) { return harena_shared_alloc(s, 48); }
void *shared_variable(harena_shared *s, size_t size) { return harena_shared_alloc(s, size); }
EOF
printf '#ifndef __x86_64__\n#error\n#endif\n' >"$scratch/machine.c"
${CC:-cc} -fsyntax-only "$scratch/machine.c" 2>/dev/null || { echo "not x86-64"; exit 77; }
${CC:-cc} -std=gnu11 -O2 -fPIC -I"$top_srcdir/include" -c -o "$scratch/paths.o" "$scratch/paths.c"
"$OBJDUMP" -d --no-show-raw-insn "$scratch/paths.o" >"$scratch/paths.s"

# The fast path is what falls through: no jump is taken from the entry to the first return. Padding
# and the landing mark of -fcf-protection do not count; they are gone where the path is inlined.
${AWK:-awk} '
function fail(text) { print name ": " text; failed = 1 }
function bar(function_name, limit, with_return) {
    wanted[function_name] = limit; returns[function_name] = with_return
}
BEGIN {
    # "<= 8" counts the return, "<= 11" does not; 0: no bar, printed and checked for locks.
    bar("arena_constant", 8, 1); bar("arena_variable", 11, 0); bar("lane", 0, 0)
    bar("view_constant", 0, 0); bar("view_variable", 0, 0)
    bar("shared_constant", 0, 0); bar("shared_variable", 0, 0)
    printf "%-18s %12s %12s  %s\n", "path", "instructions", "with return", "bar"
}
/^[0-9a-f]+ <.*>:$/ {
    name = $2; gsub(/[<>:]/, "", name)
    counting = name in wanted; count = 0
    next
}
counting && /^ *[0-9a-f]+:\t/ {
    text = $0; sub(/^ *[0-9a-f]+:\t/, "", text)
    if (text ~ /^(nop|endbr64|data16|cs nop|xchg +%ax,%ax)/)
        next
    if (text ~ /^(lock|xchg|xadd|cmpxchg|mfence|lfence|sfence)/)
        fail("an atomic read-modify-write or fence: " text)
    if (text ~ /^(call|jmp)/) {
        fail("the fast path is not what falls through: " text); counting = 0
        next
    }
    if (text !~ /^(repz +|rep +|bnd +)?ret/) {
        count++
        next
    }
    counting = 0; seen[name] = 1
    own = returns[name] ? count + 1 : count
    printf "%-18s %12d %12d  %s\n", name, count, count + 1, \
        wanted[name] ? "<= " wanted[name] (returns[name] ? " with return" : "") : ""
    if (wanted[name] && own > wanted[name])
        fail(own " instructions, more than " wanted[name])
}
END {
    for (name in wanted)
        if (!(name in seen))
            fail("no path found")
    exit failed
}' "$scratch/paths.s" || { cat "$scratch/paths.s"; exit 1; }
