# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2034
# For the scripts beside it: how they start a server.

# serve OUTPUT PROGRAM ARGUMENT...: starts harena-server on a free port with its output in OUTPUT; the
# port is in $port, its pid in $server_pid from the start. Fails if the server does not come up.
serve()
{
    output=$1
    shift
    : >"$output" # there before the server's shell has opened it
    "$@" --port 0 >"$output" &
    server_pid=$!
    tries=0
    until port=$(sed -n 's/^port //p' "$output") && test -n "$port"; do
        tries=$((tries + 1))
        test $tries -le 300 && kill -0 "$server_pid" 2>/dev/null || return 1
        sleep 0.1
    done
}
