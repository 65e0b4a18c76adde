#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Servers that are asked for more than their --limit: what finds no memory gets 503, the rest is served,
# memory stays below the limit, and all is as before when the load is over. check_limit.c looks.
. "$(dirname "$0")/testing.sh"

# Room for the data and one large request, not for several. Sanitizers need memory of their own.
limit=67108864 storm=2 resident=--resident
test -z "${HARENA_LONG:-}" || storm=60
test -z "${SANITIZER_CFLAGS:-}" || resident=
start limit --limit $limit --window 50
check limit --limit $limit --threads 8 --seconds $storm $resident
stop
start all-limits --limit $limit --window 50 --soft-limit 32MiB --deferred-limit 4MiB --threads 2
check limit --limit $limit --threads 8 --seconds $((storm / 2)) $resident
stop
