#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The compiler knows how large an object is that an allocation function returns, so that _FORTIFY_SOURCE and warnings know it.
# gcc forgets it where it inlines the function, clang does not.
set -eu
: "${top_srcdir:?}" "${CC:=cc}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# compile NAME FLAGS...: $scratch/NAME.c to $scratch/NAME.o
compile()
{
    name=$1
    shift
    # shellcheck disable=SC2086
    $CC -std=gnu11 -O2 -I"$top_srcdir/include" "$@" -c "$scratch/$name.c" -o "$scratch/$name.o"
}

cat >"$scratch/known.c" <<'END'
#include <harena.h>
extern void size_not_known(const char *call);
#define KNOWN(call) \
    do { \
        void *at = call; \
        if (__builtin_object_size(at, 0) != 24) \
            size_not_known(#call); \
    } while (0)
void ask(harena *a, harena_shared *s, harena_view *v);
void ask(harena *a, harena_shared *s, harena_view *v)
{
    KNOWN(harena_alloc_zeroed(a, 24));
    KNOWN(harena_alloc_aligned(a, 24, 64));
    KNOWN(harena_alloc_aligned_zeroed(a, 24, 64));
    KNOWN(harena_alloc_array(a, 3, 8));
    KNOWN(harena_realloc(a, NULL, 0, 24));
    KNOWN(harena_memdup(a, a, 24));
    KNOWN(harena_shared_alloc_zeroed(s, 24));
    KNOWN(harena_shared_alloc_aligned(s, 24, 64));
    KNOWN(harena_shared_alloc_array(s, 3, 8));
    KNOWN(harena_view_alloc_atomic(v, 24));
#ifdef __clang__
    KNOWN(harena_alloc(a, 24));
    KNOWN(harena_shared_alloc(s, 24));
    KNOWN(harena_view_alloc(v, 24));
#endif
}
END
compile known
if ${NM:-nm} "$scratch/known.o" | grep -q size_not_known; then
    strings "$scratch/known.o" | grep '^harena_.*(' | sed 's/$/: its size is not known/'
    exit 1
fi

cat >"$scratch/overflow.c" <<'END'
#include <harena.h>
#include <string.h>
void *overflow(harena *a);
void *overflow(harena *a)
{
    char *at = harena_alloc_zeroed(a, 24);

    return memset(at, 1, 32);
}
END
compile overflow 2>"$scratch/told"
if ! $CC -dM -E -xc /dev/null | grep -q __clang__ && ! grep -q Wstringop-overflow "$scratch/told"; then
    echo "an overflow compiles without a warning"
    exit 1
fi
