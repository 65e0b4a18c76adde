#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The server under a short load with reloads and resets; then what happens at the edges: exact
# counts, drain, SIGHUP, broken data, wrong arguments. test_limit.sh is about a full provider.
. "$(dirname "$0")/testing.sh"

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
refuse 2 --limit 1MiB --soft-limit 2MiB
refuse 2 --threads 0
refuse 2 --port 65536
refuse 0 --help
echo "wrong arguments refused"
