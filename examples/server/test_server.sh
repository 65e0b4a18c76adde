#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The server under a short load with reloads and resets; then what happens at the edges: exact
# counts, drain, SIGHUP, broken data, a full provider. After each the server must exit 0, which it
# only does when nothing is left in use.
set -eu
: "${top_builddir:?}"
data=/usr/share/iso-codes/json
bin=$top_builddir/examples/server
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
pid=''
clean_up()
{
    test -z "$pid" || kill -KILL "$pid" 2>/dev/null || :
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

# start NAME ARGUMENT...: starts a server and learns its port.
start()
{
    name=$1
    shift
    : >"$scratch/$name.log" # there before the server's shell has opened it
    "$bin/harena-server" --port 0 "$@" >"$scratch/$name.log" 2>"$scratch/$name.err.log" &
    pid=$!
    tries=0
    until port=$(sed -n 's/^port //p' "$scratch/$name.log") && test -n "$port"; do
        tries=$((tries + 1))
        if test $tries -gt 300 || ! kill -0 "$pid" 2>/dev/null; then
            die "$name: the server did not start"
        fi
        sleep 0.1
    done
}

# check ARGUMENT...: runs the checking client.
check()
{
    "$bin/harena-server-check" --port "$port" --pid "$pid" "$@" \
        >>"$scratch/$name.check.log" 2>>"$scratch/$name.check.err.log" || die "$name: checker: $*"
}

# stop: the server must end by itself, clean.
stop()
{
    kill -TERM "$pid" 2>/dev/null || :
    status=0
    wait "$pid" || status=$?
    pid=''
    test $status -eq 0 || die "$name: the server exited $status"
    for figure in cut_off in_use_bytes deferred_bytes; do
        grep -q -x "$figure 0" "$scratch/$name.log" || die "$name: $figure is not 0"
    done
    echo "$name: $(awk '/^checked /{ sum += $2 } END { print sum }' "$scratch/$name.check.log") answers checked," \
        "$(awk '/^reloads /{ print $2 }' "$scratch/$name.log") data sets," \
        "$(awk '/^resets /{ print $2 }' "$scratch/$name.log") window resets"
}

start load --threads 4 --window 50
check --seconds 3 --threads 4 --reload-ms 100
stop

start exact --window 0
check exact
stop

start drain
check drain
stop

mkdir "$scratch/data"
cp "$data/iso_3166-2.json" "$data/iso_639-3.json" "$scratch/data"
start data --data "$scratch/data" --threads 1
check hangup
printf '{"639-3": [{"alpha_3": "aaa"' >"$scratch/data/iso_639-3.json"
check broken
rm "$scratch/data/iso_639-3.json"
check broken
cp "$data/iso_639-3.json" "$scratch/data"
check hangup
stop

# Room for the data and for small requests, not for a large one.
start limit --limit 24MiB
check limit
grep -q '^refused [1-9]' "$scratch/limit.check.log" || die "limit: refused nothing"
stop

# What must not start, and says so with its exit status.
refuse()
{
    expected=$1
    shift
    status=0
    "$bin/harena-server" "$@" >"$scratch/refuse.log" 2>&1 || status=$?
    test $status -eq "$expected" || die "harena-server $* exited $status instead of $expected"
}
refuse 3 --data "$scratch/nothing"
refuse 3 --limit 1MiB
refuse 2 --limit 1MB
refuse 2 --threads 0
refuse 2 --port 65536
refuse 0 --help
echo "wrong arguments refused"
