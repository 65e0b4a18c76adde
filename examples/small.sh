#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The small examples run, exit with 0 and print what they should.
set -eu
: "${top_builddir:?}"
result=0

# expect PROGRAM: what it should print comes on standard input.
expect()
{
    expected=$(cat)
    printed=$("$top_builddir/examples/$1") || { echo "$1: exit status $?"; result=1; }
    test "$printed" = "$expected" || { echo "$1 printed:"; echo "$printed"; result=1; }
}

expect own_memory <<'EOF'
32 objects of half a MiB in a file of 16 MiB, then Cannot allocate memory
16 MiB given back
EOF
expect request_arena <<'EOF'
city=Arles&year=90 -> [city is Arles][year is 90]
city=Nimes -> 503 out of memory
city=Verona -> [city is Verona]
held after a reset: 65536 bytes
EOF
expect request_pool <<'EOF'
20000 served, 0 refused, some are idle, 0 bytes left
EOF
expect shared_index <<'EOF'
80000 right, 0 resets refused, 0 bytes left
EOF
expect snapshot_config <<'EOF'
200 versions, 0 torn, 0 bytes left
EOF
test $result -ne 0 || echo "4 examples"
exit $result
