# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# For the tests beside it: servers that are started, checked and stopped, each with its logs in $scratch.
# A server must exit 0, which it only does when nothing is left in use.
set -eu
: "${top_builddir:?}"
data=/usr/share/iso-codes/json
bin=$top_builddir/examples/server
. "$(dirname "$0")/serve.sh"
for file in iso_3166-2.json iso_639-3.json; do
    test -r "$data/$file" || { echo "no $data/$file (apt-get install iso-codes)"; exit 77; }
done
case ${SANITIZER_CFLAGS:-} in
*thread*)
    echo "libmicrohttpd is not built for ThreadSanitizer, which would report its locks; test_window is"
    exit 77
    ;;
esac

scratch=$(mktemp -d)
server_pid=''
clean_up()
{
    test -z "$server_pid" || kill -KILL "$server_pid" 2>/dev/null || :
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 1' INT HUP TERM

die()
{
    echo "FAILED: $*"
    for file in "$scratch"/*.log; do
        test ! -s "$file" || sed "s|^|${file##*/}: |" "$file"
    done
    exit 1
}

# start NAME ARGUMENT...: starts a server.
start()
{
    name=$1
    shift
    serve "$scratch/$name.log" "$bin/harena-server" "$@" 2>"$scratch/$name.err.log" ||
        die "$name: the server did not start"
}

# check ARGUMENT...: runs the checking client.
check()
{
    "$bin/harena-server-check" --port "$port" --pid "$server_pid" "$@" \
        >>"$scratch/$name.check.log" 2>>"$scratch/$name.check.err.log" || die "$name: checker: $*"
}

# stop: the server must end by itself, clean.
stop()
{
    kill -TERM "$server_pid" 2>/dev/null || :
    status=0
    wait "$server_pid" || status=$?
    server_pid=''
    test $status -eq 0 || die "$name: the server exited $status"
    for figure in cut_off in_use_bytes deferred_bytes; do
        grep -q -x "$figure 0" "$scratch/$name.log" || die "$name: $figure is not 0"
    done
    grep '^kind=' "$scratch/$name.check.log" || :
    echo "$name: $(awk '/^checked /{ sum += $2 } END { print sum }' "$scratch/$name.check.log") answers checked," \
        "$(awk '/^reloads /{ print $2 }' "$scratch/$name.log") data sets," \
        "$(awk '/^resets /{ print $2 }' "$scratch/$name.log") window resets"
}

