#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every file that git has is in the tarball. Skipped where there is no git checkout to compare with.
set -eu
: "${top_srcdir:?}" "${top_builddir:?}"
if ! test -e "$top_srcdir/.git" || ! git -C "$top_srcdir" ls-files >/dev/null 2>&1; then
    echo "no git checkout"
    exit 77
fi
scratch=$(mktemp -d)
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
git -C "$top_srcdir" ls-files | sort >"$scratch/tracked"
(cd "$top_builddir" && MAKEFLAGS='' ${MAKE:-make} -s distdir "distdir=$scratch/dist" >"$scratch/log" 2>&1) ||
    { cat "$scratch/log"; exit 1; }
(cd "$scratch/dist" && find . -type f) | sed 's,^\./,,' | sort >"$scratch/packed"
comm -23 "$scratch/tracked" "$scratch/packed" | sed 's/^/not in the tarball: /' >"$scratch/missing"
cat "$scratch/missing"
test ! -s "$scratch/missing"
echo "$(wc -l <"$scratch/tracked") files"
