#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Usage: subbuild.sh NAME CONFIGURE-OPTION...
# Builds the tree once more, with other options, in $builddir/NAME, and runs its tests; see summary.sh for the last line
# (its tier is NAME up to the first hyphen).
# A source tree that is configured itself cannot be built elsewhere too: then from a copy of what the tarball has.
set -eu
: "${srcdir:?}" "${builddir:?}"
name=$1
shift
cd "$builddir"
mkdir -p "$name/build"
if test -e "$srcdir/config.status"; then
    ${MAKE:-make} -s distdir distdir="$name/source"
    srcdir=$builddir/$name/source
fi
cd "$name/build"
wanted="CC=$CC CXX=$CXX $*"
if test "$(cat configured-for 2>/dev/null)" != "$wanted"; then
    cd ..
    rm -rf build
    mkdir build
    cd build
    "$srcdir/configure" --enable-tests --disable-static CC="$CC" CXX="$CXX" "$@"
    echo "$wanted" >configured-for
fi

# ThreadSanitizer of gcc 12 and clang 14 finds no room if the kernel randomizes more than 28 bits.
run=
if test "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0)" -gt 28 && setarch -R true 2>/dev/null; then
    run="setarch -R"
fi
${MAKE:-make}
find . -name '*.trs' -exec rm -f {} + # of tests that are no more
status=0
# shellcheck disable=SC2086
$run ${MAKE:-make} check || status=1
sh "$srcdir/tests/summary.sh" . "${name%%-*}" || status=1
exit $status
