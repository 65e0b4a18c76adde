#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The demo: loads harena-server over all its endpoints, with wrk and with a client that compares
# every answer with the data, reloads the data every 100 ms and resets the window every 200 ms,
# drains; then asks a server with a limit of 64 MiB for more than it may hold; prints one table.
# Exit 0: nothing wrong, no error, nothing left in use.
#
#   demo.sh BUILDDIR [SECONDS]     20 s if not said; 600 is the long tier: is the memory flat?
set -eu
LC_ALL=C # figures have a point
export LC_ALL
build=${1:?usage: demo.sh BUILDDIR [SECONDS]}
seconds=${2:-20}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/serve.sh"
data=/usr/share/iso-codes/json
server=$build/examples/server/harena-server
checker=$build/examples/server/harena-server-check
stat=$build/tools/harena-stat

for program in "$server" "$checker" "$stat"; do
    test -x "$program" || {
        echo "demo: $program is missing; configure says why (libmicrohttpd-dev, libcjson-dev)" >&2
        exit 1
    }
done
command -v wrk >/dev/null || { echo "demo: wrk is missing (apt-get install wrk)" >&2; exit 1; }
test -r "$data/iso_639-3.json" || { echo "demo: no data (apt-get install iso-codes)" >&2; exit 1; }

scratch=$(mktemp -d)
server_pid='' wrk_pid='' check_pid='' sampler_pid='' stat_pid=''

# Ends only what this script has started, by pid; a pid is forgotten once it was waited for.
clean_up()
{
    for pid in $stat_pid $wrk_pid $check_pid $server_pid $sampler_pid; do
        kill -TERM "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done 2>/dev/null
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'echo "demo: interrupted" >&2; exit 130' INT HUP TERM

# figure FILE NAME: the value of a line "NAME value", or "?" if there is none.
figure()
{
    awk -v name="$2" '$1 == name { value = $2 } END { print value == "" ? "?" : value }' "$1"
}

# finish PID: waits for it; its exit status is in $status.
finish()
{
    status=0
    wait "$1" || status=$?
}

# Resident memory in KiB, ten times a second for short demos, once a second for long ones.
sample_memory()
{
    while sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status" 2>/dev/null; do
        sleep "$2"
    done
}

# What harena-stat sees of the server in the middle of the load, written at once.
show_figures()
{
    sleep "$2"
    "$stat" --once "$1" >"$scratch/figures" && sed 's/^/  | /' "$scratch/figures"
}

# start OUTPUT ARGUMENT...: a server with the data.
start()
{
    output=$1
    shift
    serve "$output" "$server" --threads 4 --data "$data" "$@" || {
        echo "demo: the server did not start" >&2
        exit 1
    }
}

echo "harena-server: 4 workers, window reset every 200 ms, data reloaded every 100 ms, $seconds s"
start "$scratch/server" --window 200
echo "listening on http://127.0.0.1:$port, pid $server_pid; loading it:"

interval=0.1
test "$seconds" -lt 60 || interval=1
sample_memory "$server_pid" $interval >"$scratch/memory" &
sampler_pid=$!
wrk --threads 2 --connections 16 --duration "${seconds}s" --timeout 10s \
    --script "$here/demo.lua" "http://127.0.0.1:$port" -- "$data" >"$scratch/wrk" 2>&1 &
wrk_pid=$!
"$checker" --port "$port" --threads 2 --seconds "$seconds" --reload-ms 100 --data "$data" \
    --progress >"$scratch/check" &
check_pid=$!
show_figures "$server_pid" $((seconds / 2)) &
stat_pid=$!

finish "$stat_pid"; stat_status=$status; stat_pid=''
finish "$check_pid"; check_status=$status; check_pid=''
finish "$wrk_pid"; wrk_status=$status; wrk_pid=''
peak_rss=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$server_pid/status" || :)
echo "load is over; draining"
kill -TERM "$server_pid"
finish "$server_pid"; server_status=$status; server_pid=''
finish "$sampler_pid"; sampler_pid='' # ends with the server

limit=67108864
echo "the same with a limit of 64 MiB, and with requests that need more together"
start "$scratch/limited" --window 50 --limit $limit
"$checker" --port "$port" --pid "$server_pid" --threads 8 --seconds 2 --data "$data" --limit $limit \
    --resident limit >"$scratch/limit" &
check_pid=$!
finish "$check_pid"; limit_status=$status; check_pid=''
kill -TERM "$server_pid"
finish "$server_pid"; limited_status=$status; server_pid=''

# The second half of the samples, lowest and highest; then median and highest of each of its halves.
samples=$(wc -l <"$scratch/memory")
quarter()
{
    sed -n "$(($1 + 1)),$(($2))p" "$scratch/memory" | sort -n |
        awk '{ rss[NR] = $1 } END { print rss[1] + 0, rss[int((NR + 1) / 2)] + 0, rss[NR] + 0 }'
}
third=$(quarter $((samples / 2)) $((samples * 3 / 4)))
fourth=$(quarter $((samples * 3 / 4)) "$samples")
# shellcheck disable=SC2086
set -- $third $fourth
third_low=$1 third_median=$2 third_high=$3 fourth_low=$4 fourth_median=$5 fourth_high=$6
low_rss=$third_low high_rss=$third_high
test "$fourth_low" -ge "$low_rss" || low_rss=$fourth_low
test "$fourth_high" -le "$high_rss" || high_rss=$fourth_high

limit_figure() { figure "$scratch/limit" "$1"; }
server_figure() { figure "$scratch/server" "$1"; }
check_figure() { figure "$scratch/check" "$1"; }
wrk_figure() { figure "$scratch/wrk" "$1"; }

failures=''
# must NAME VALUE EXPECTED
must()
{
    test "$2" = "$3" || failures="$failures
  $1: $2 instead of $3"
}

wrong=$(check_figure wrong)
wrk_errors=$(awk -v a="$(wrk_figure wrk_socket_errors)" -v b="$(wrk_figure wrk_status_errors)" \
    'BEGIN { print a == "?" || b == "?" ? "?" : a + b }')
errors=$(awk -v a="$(check_figure errors)" -v b="$wrk_errors" -v c="$(server_figure cut_off)" \
    'BEGIN { print a == "?" || b == "?" || c == "?" ? "?" : a + b + c }')
left=$(awk -v a="$(server_figure in_use_bytes)" -v b="$(server_figure deferred_bytes)" \
    'BEGIN { print a == "?" || b == "?" ? "?" : a + b }')
must "wrong answers" "$wrong" 0
must errors "$errors" 0
must "bytes still in use" "$left" 0
must "exit status of the server" "$server_status" 0
must "exit status of the checker" "$check_status" 0
must "exit status of wrk" "$wrk_status" 0
must "exit status of harena-stat" "$stat_status" 0
must "names that harena-stat saw" "$(awk '$1 ~ /^(request|window|data)$/' "$scratch/figures" | wc -l)" 3
must "wrong under the limit" "$(limit_figure wrong)" 0
must "errors under the limit" "$(limit_figure errors)" 0
must "exit status of the checker under the limit" "$limit_status" 0
must "exit status of the server under the limit" "$limited_status" 0
must "generations reclaimed" "$(server_figure reclaimed)" "$(server_figure retired)"
must "codes checked" "$(check_figure codes_checked)" "$(check_figure codes_total)"
must "reloads refused" "$(server_figure failed_reloads)" 0
# Flat: the usual level of the last quarter, and the lowest one, are those of the third, within a tenth
# and 8 MiB: a leak would raise them. The highest sample is a matter of how many large requests met (some
# 45 MiB each, in use, and retired data waits for them), so it gets 64 MiB more. A short demo only shows
# the figures.
if test "$seconds" -ge 60; then
    test "$fourth_low" -le $((third_low + third_low / 10 + 8192)) || failures="$failures
  resident memory grows: lowest $third_low KiB in the third quarter, $fourth_low KiB in the last"
    test "$fourth_median" -le $((third_median + third_median / 10 + 8192)) || failures="$failures
  resident memory grows: median $third_median KiB in the third quarter, $fourth_median KiB in the last"
    test "$fourth_high" -le $((third_high + third_high / 10 + 65536)) || failures="$failures
  resident memory grows: highest $third_high KiB in the third quarter, $fourth_high KiB in the last"
fi

mib() { awk -v b="$1" 'BEGIN { if (b == "?") print b; else printf "%.1f MiB", b / 1048576 }'; }
ms() { awk -v u="$1" 'BEGIN { if (u == "?") print u; else printf "%.2f", u / 1000 }'; }
row() { printf '  %-28s %s\n' "$1" "$2"; }

echo
row requests "$(server_figure requests)"
row requests/s "$(awk -v n="$(server_figure requests)" -v s="$(wrk_figure wrk_seconds)" \
    'BEGIN { if (s > 0) printf "%.0f", n / s; else print "?" }')"
row "p50 / p99 / p99.9" "$(ms "$(wrk_figure wrk_p50_us)") / $(ms "$(wrk_figure wrk_p99_us)") / $(ms "$(wrk_figure wrk_p999_us)") ms"
row "answers checked" "$(check_figure checked) (seed $(check_figure seed))"
row wrong "$wrong"
row errors "$errors"
row reloads "$(server_figure reloads)"
row "window resets" "$(server_figure resets)"
row "generations retired" "$(server_figure retired)"
row "generations reclaimed" "$(server_figure reclaimed)"
row "peak memory" "$(mib "$(server_figure peak_bytes)") (arenas), $(mib $((${peak_rss:-0} * 1024))) (process)"
row "resident, second half" "$(mib $((low_rss * 1024))) to $(mib $((high_rss * 1024)))"
row "resident, third quarter" "$(mib $((third_median * 1024))) median, $(mib $((third_high * 1024))) highest"
row "resident, last quarter" "$(mib $((fourth_median * 1024))) median, $(mib $((fourth_high * 1024))) highest"
row "memory still in use" "$left"
row "limit of 64 MiB" "$(limit_figure served) answers, $(limit_figure refused) times 503; peak $(mib "$(figure "$scratch/limited" peak_bytes)") (arenas)"
echo
if test -n "$failures"; then
    echo "demo: FAILED:$failures"
    tail -n 20 "$scratch/wrk" >&2
    exit 1
fi
echo "demo: passed"
