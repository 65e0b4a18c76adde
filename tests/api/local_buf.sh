#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The address of a local buffer goes nowhere: after a call of a function that the compiler knows nothing of, it still knows
# what is in the buffer. That is what lets it keep a buffer in registers.
set -eu
: "${top_srcdir:?}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cat >"$scratch/local.c" <<'EOF'
#include <harena.h>
void anything(void);
void is_known(void);
int everything(harena *a, const char *bytes, char *to, size_t size, int fd);

int everything(harena *a, const char *bytes, char *to, size_t size, int fd)
{
    harena_buf b;
    int sum = 0;

    harena_buf_init(&b, a);
    for (int i = 0; i < fd; i++)
        sum += harena_buf_write(&b, bytes, 64) + harena_buf_write(&b, bytes, size) +
               harena_buf_write_byte(&b, 'x') + harena_buf_write_string(&b, bytes);
    sum += harena_buf_reserve(&b, size) != NULL;
    harena_buf_commit(&b, size);
    sum += (int)harena_buf_read(&b, to, size) + (int)harena_buf_read(&b, to, 16) + harena_buf_read_byte(&b);
    sum += harena_buf_next(&b, &size) != NULL;
    sum += harena_buf_bytes(&b) != NULL && harena_buf_string(&b) != NULL;
    sum += (int)(harena_buf_len(&b) + harena_buf_cap(&b)) + harena_buf_truncate(&b, size);
    sum += (int)(harena_buf_write_to(&b, fd) + harena_buf_read_from(&b, fd));
#ifdef GIVE_AWAY
    sum += harena_buf_printf(&b, "%d", fd);
#endif
    harena_buf_reset(&b);
    anything();
    if (__builtin_constant_p(b.len) && b.len == 0)
        is_known();
    return sum;
}
EOF

# Usage: known FLAG...: does the compiler know?
known()
{
    ${CC:-cc} -std=gnu11 -O2 -I"$top_srcdir/include" "$@" -S -o "$scratch/local.s" "$scratch/local.c" ||
        exit 2
    grep -q is_known "$scratch/local.s"
}

known || { echo "the address of a local buffer goes somewhere"; exit 1; }
if known -DGIVE_AWAY; then
    echo "this test sees nothing: the compiler knows what is in a buffer whose address was given away"
    exit 1
fi
