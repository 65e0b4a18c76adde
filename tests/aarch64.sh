#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Builds the tree for aarch64 in $builddir/aarch64, runs its tests under qemu-user, looks at the stack's fences.
#
#   make check-aarch64       exit status 0: passed, or skipped with a message (this script: 77)
#
# A functional check and no more: it shows that the tree compiles, that 16-byte compare-and-swap, thread-local words and
# system calls do there what they should, that all tests of behaviour pass. Of memory orders it proves nothing, because
# qemu on x86 performs loads and stores in x86's order. Those are argued in doc/memory-order.md; what can be looked at is
# the code that the compiler makes of the stack's fences, and that is done here.
#
# The other architecture's packages are unpacked into a directory of our own, by apt with lists of its own: the
# machine's packages, its architectures and its caches stay as they are. AARCH64_SYSROOT=DIR names one that exists.
set -eu
: "${srcdir:=$(dirname "$0")/..}" "${builddir:=$PWD}"
MAKE=${MAKE:-make}
host=aarch64-linux-gnu
packages="liburcu-dev liburcu8 libck-dev libck0 check libsubunit0 libsubunit-dev"

skip()
{
    echo "check-aarch64: skipped: $*"
    exit 77
}

qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) || qemu=
missing=
for tool in "$host-gcc:gcc-$host" "$host-g++:g++-$host" "$host-objdump:binutils-$host" pkg-config:pkg-config; do
    command -v "${tool%%:*}" >/dev/null || missing="$missing ${tool#*:}"
done
test -n "$qemu" || missing="$missing qemu-user"
test -z "$missing" || skip "apt-get install$missing"
libc=/usr/$host
test -e "$libc/lib/ld-linux-aarch64.so.1" || skip "apt-get install libc6-dev-arm64-cross"

mkdir -p "$builddir/aarch64"
srcdir=$(cd "$srcdir" && pwd)
here=$(cd "$builddir/aarch64" && pwd)

# --- The other architecture's packages -----------------------------------------------------------
sysroot=${AARCH64_SYSROOT:-$here/sysroot}

# apt for arm64, with everything that it writes in a directory of ours.
apt_arm64()
{
    apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User= \
        -o Dir::State="$here/apt" -o Dir::State::status=/dev/null -o Dir::Cache="$here/apt" "$@"
}

fetch()
{
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    mkdir -p "$here/apt/lists/partial" "$here/apt/archives/partial" "$here/debs"
    apt_arm64 update || return 1
    # shellcheck disable=SC2086
    (cd "$here/debs" && apt_arm64 download $packages) || return 1
    rm -rf "$sysroot" "$sysroot.new"
    for deb in "$here"/debs/*.deb; do
        dpkg-deb -x "$deb" "$sysroot.new" || return 1
    done
    mv "$sysroot.new" "$sysroot"
    rm -rf "$here/apt" "$here/debs"
}

if ! test -d "$sysroot"; then
    fetch >"$here/fetch.log" 2>&1 || { tail -n 5 "$here/fetch.log"; skip "no arm64 packages ($packages); see above"; }
fi
include=$sysroot/usr/include
lib=$sysroot/usr/lib/$host
test -e "$lib/pkgconfig/ck.pc" || skip "$sysroot is no sysroot for $host"
PKG_CONFIG_LIBDIR=$lib/pkgconfig
PKG_CONFIG_SYSROOT_DIR=$sysroot
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR

# --- The stack's fences --------------------------------------------------------------------------
cat >"$here/stack.c" <<'END'
#include "ck.h"
void push(hri_stack *s, hri_stack_entry *entry);
hri_stack_entry *pop(hri_stack *s);
void push(hri_stack *s, hri_stack_entry *entry) { hri_stack_push(s, entry); }
hri_stack_entry *pop(hri_stack *s) { return hri_stack_pop(s); }
END
"$host-gcc" -std=gnu11 -O2 -I"$srcdir/include" -iquote "$srcdir/src" -isystem "$include" -isystem "$include/$host" \
    -c -o "$here/stack.o" "$here/stack.c"
"$host-objdump" -d --no-show-raw-insn "$here/stack.o" >"$here/stack.s"
awk '
    /^[0-9a-f]+ <.*>:$/ { name = $2; gsub(/[<>:]/, "", name); next }
    name == "push" && /dmb\tish$/ && !exclusive { before = 1 }
    name == "push" && /(ldx|ldax|cas)/ { exclusive = 1; if (!before) bare = 1 }
    name == "pop" && /(stx|stlx|cas)/ { after = 0 }
    name == "pop" && /dmb\tish(ld)?$/ { after = 1 }
    END {
        if (!exclusive || bare) { print "FAILED: no dmb ish before the exclusive pair of hri_stack_push"; failed = 1 }
        if (!after) { print "FAILED: no dmb ishld behind the exclusive pair of hri_stack_pop"; failed = 1 }
        exit failed
    }' "$here/stack.s" || { cat "$here/stack.s"; exit 1; }
echo "check-aarch64: the fences of hri_stack_push and hri_stack_pop are outside of their exclusive pairs"

# --- Build ---------------------------------------------------------------------------------------
if test -e "$srcdir/config.status"; then
    (cd "$builddir" && $MAKE -s distdir distdir=aarch64/source)
    srcdir=$here/source
fi
mkdir -p "$here/build"
cd "$here/build"
cc="$host-gcc -isystem $include -isystem $include/$host"
cxx="$host-g++ -isystem $include -isystem $include/$host"
test -e config.status || "$srcdir/configure" --host="$host" --enable-tests --enable-werror --disable-static \
    CC="$cc" CXX="$cxx" LDFLAGS="-L$lib -Wl,-rpath-link,$lib"
$MAKE
printf 'include Makefile\nprint-tests:\n\t@echo %s\nprint-examples:\n\t@echo %s\n' \
    '$(unit_tests) $(race_tests) $(fault_tests) $(prop_tests) $(progress_tests)' '$(small_examples)' >print.mk
tests=${AARCH64_TESTS:-$($MAKE -s -f print.mk print-tests)}

# --- Tests ---------------------------------------------------------------------------------------
# More addresses than this are refused here: qemu would set up page tables of its own for a petabyte.
cat >qemu-run <<END
#!/bin/sh
ulimit -v 200000000
exec "$qemu" -L "$libc" -E LD_LIBRARY_PATH="\$LD_LIBRARY_PATH:$lib:$libc/lib" "\$@"
END
chmod +x qemu-run

# qemu 7.2 aborts in the child of a fork by one of several threads, and has no single steps. The models explore what has
# nothing to do with the machine.
not_here="tests/race/race_fork tests/prop/test_sums tests/progress/suspend tests/progress/fork_step tests/progress/fork_storm"
# Nor does it tell that memory which it shall give back is not mapped, nor block SIGBUS, nor know MADV_DONTFORK.
not_by_qemu='what_is_not_reserved_gives_an_error|signals_are_for_the_others|a_child_shows_its_own_or_nothing|a_fork_leaves_no_lock_taken|a_thread_that_forks_at_its_end_gives_one_number_back'

failed=
passed=0

# Usage: note STATUS NAME LOG
note()
{
    if test "$1" -eq 0; then
        passed=$((passed + 1))
        echo "aarch64 test=$2 result=ok $(sed -n 's/^100%: Checks: \([0-9]*\),.*/checks=\1/p' "$3" | tail -n 1)"
    else
        failed="$failed $2"
        cat "$3"
        echo "aarch64 test=$2 result=FAILED status=$1"
    fi
}

for test in $tests; do
    case " $not_here " in *" $test "*)
        echo "aarch64 test=$test result=skipped"
        continue ;;
    esac
    $MAKE -s "$test"
    status=0
    CK_TIMEOUT_MULTIPLIER=20 ./libtool --mode=execute ./qemu-run "$test" >log 2>&1 || status=$?
    grep -E '^[^ ]*:[0-9]+:[FE]:' log >failures || true
    if test $status -ne 0 && test -s failures && ! grep -v -E ":($not_by_qemu):" failures; then
        echo "aarch64 test=$test result=ok but=$(sed 's/^[^ ]*:[0-9]*:[FE]:\([^:]*\):.*/\1/' failures | paste -s -d ,)"
        continue
    fi
    note $status "$test" log
done

# What compiles for the machine, and the examples, by way of scripts that qemu runs.
mkdir -p run/examples
for example in $($MAKE -s -f print.mk print-examples); do
    printf '#!/bin/sh\ncd "%s" && exec ./libtool --mode=execute ./qemu-run %s\n' "$PWD" "$example" >"run/$example"
    chmod +x "run/$example"
done
for test in tests/api/flavors.sh tests/api/headers.sh tests/api/symbols.sh examples/small.sh; do
    status=0
    top_builddir=$PWD
    test $test != examples/small.sh || top_builddir=$PWD/run
    env CC="$cc" CXX="$cxx" NM="$host-nm" OBJDUMP="$host-objdump" AWK=awk top_srcdir="$srcdir" \
        top_builddir="$top_builddir" sh "$srcdir/$test" >log 2>&1 || status=$?
    note $status $test log
done

test -z "$failed" || { echo "check-aarch64: FAILED:$failed"; exit 1; }
echo "check-aarch64: $passed tests passed"
