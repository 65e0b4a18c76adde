#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The small examples run, exit with 0 and print what they should.
set -eu
: "${top_builddir:?}"
result=0
count=0

# expect PROGRAM: what it should print comes on standard input.
expect()
{
    expected=$(cat)
    count=$((count + 1))
    printed=$("$top_builddir/examples/$1") || { echo "$1: exit status $?"; result=1; }
    test "$printed" = "$expected" || { echo "$1 printed:"; echo "$printed"; result=1; }
}

expect byte_buffer <<'EOF'
22 bytes: Salve, Roma! Year 753.
read: "Salve", passed over: ", ", remaining: "Roma!"
5 bytes more, through a pipe came Roma!
EOF
expect concurrent_writers <<'EOF'
200000 numbers of 10 threads, 0 wrong
handed out: at least what was asked for, no more than is held
EOF
expect fixed_memory <<'EOF'
10 bytes: Invalid argument
frame 0: x is 0
frame 1: x is 1
Cannot allocate memory, and failed: yes; frame 1 is still there
frame 2: x is 2
after a reset: as new
EOF
expect frames <<'EOF'
frame 0: circenses                #0
frame 1: circenses                #1
frame 2: circenses                #2
each frame in the same memory; kept: panem et circenses
EOF
expect gathered_parts <<'EOF'
part 3 was given up at 5000 numbers
35000 numbers, sum 45000
EOF
expect memory_budget <<'EOF'
begins with 8 MiB
more is committed than soft_limit
hard limit reached: memory refused
idle: 8 MiB
EOF
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
expect sized_request <<'EOF'
["processed_olives","processed_wine","processed_garum"]
["processed_salt"]
1000 requests, 0 chunks taken on the way
EOF
expect snapshot_config <<'EOF'
200 versions, 0 torn, 0 bytes left
EOF
expect typed_objects <<'EOF'
1 Livia, 2 Livia II
81 Drusus, 162 Drusus II
length 2, room for 10; handed out: no more than is held
after the reset: 0 bytes handed out, the peak remembered
EOF

# With HARENA_DEBUG=guard this one dies, of the right signal and with the right words; a sanitizer that it was built with may
# be faster, or have the last word.
count=$((count + 1))
report=$(mktemp)
trap 'rm -f "$report"' EXIT
status=0
printed=$(HARENA_DEBUG=guard "$top_builddir/examples/use_after_reset" 2>"$report") || status=$?
case ${SANITIZER_CFLAGS:-} in
*address*) words='AddressSanitizer: use-after-poison' ;;
*) words='^harena: use after reset: address 0x[0-9a-f]* was memory of the arena "request" (reset by thread [0-9]*)$' ;;
esac
if test "$printed" != Livia || ! grep -q "$words" "$report"; then
    echo "use_after_reset printed: $printed"
    cat "$report"
    result=1
fi
test -n "${SANITIZER_CFLAGS:-}" || test $status -eq 139 || { echo "use_after_reset: exit status $status"; result=1; }
test $status -ne 0 || { echo "use_after_reset was not stopped"; result=1; }
test $result -ne 0 || echo "$count examples"
exit $result
