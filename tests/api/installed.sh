#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The installed library, as its users meet it: pkg-config says all that is needed to build a program
# in C and in C++, dynamic and static. Run by `make installcheck`.
set -eu
: "${pkgconfigdir:?}" "${libdir:?}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cat >"$scratch/user.c" <<'EOF'
#include <harena.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    harena *a = harena_create(NULL);
    char *text = a ? harena_strdup(a, "installed") : NULL;
    int good = text && strcmp(text, "installed") == 0;

    harena_release(a);
    puts(good ? "an arena works" : "an arena does not work");
    return !good;
}
EOF
cp "$scratch/user.c" "$scratch/user.cc"
PKG_CONFIG_PATH=$pkgconfigdir${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export PKG_CONFIG_PATH LD_LIBRARY_PATH
if test -n "${DESTDIR:-}"; then # what it says of directories is true below there
    export PKG_CONFIG_SYSROOT_DIR="$DESTDIR" PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
fi
shared_flags=$(${PKG_CONFIG:-pkg-config} --cflags --libs harena)
static_flags=$(${PKG_CONFIG:-pkg-config} --static --cflags --libs harena)

# try WHAT COMMAND...: builds and runs one program.
try()
{
    what=$1
    shift
    if ! "$@" -o "$scratch/user" || ! "$scratch/user" >/dev/null; then
        echo "installcheck: FAILED: $what: $*"
        exit 1
    fi
    echo "installcheck: $what"
}

# Compilers and flags may be several words.
# shellcheck disable=SC2086
{
    if test -e "$libdir/libharena.so"; then
        try "C, shared" ${CC:-cc} ${SANITIZER_CFLAGS:-} "$scratch/user.c" $shared_flags
        if command -v "${CXX%% *}" >/dev/null; then
            try "C++, shared" $CXX -std=c++17 ${SANITIZER_CFLAGS:-} "$scratch/user.cc" $shared_flags
        fi
    fi
    # A sanitizer's run-time library cannot be linked statically.
    if test -e "$libdir/libharena.a" && test -z "${SANITIZER_CFLAGS:-}"; then
        try "C, static" ${CC:-cc} "$scratch/user.c" -static $static_flags
    fi
}
