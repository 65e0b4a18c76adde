#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Usage: summary.sh BUILD-DIRECTORY
# What `make check` hides in log files: the result and the last own line of each test, with Check's
# count of assertions, and the sums.
set -eu
cd "$1"
find . -name '*.trs' | sort | while read -r trs; do
    log=${trs%.trs}.log
    name=${log#./}
    result=$(sed -n 's/^:global-test-result: *//p' "$trs")
    # Automake ends a log with its own verdict.
    last=$(sed -e '/^[A-Z]* .* (exit status: [0-9]*)$/d' -e '/^[ \t]*$/d' "$log" | tail -n 1)
    counted=$(grep -E '^[0-9]+%: Checks: ' "$log" | tail -n 1) || counted=
    printf '%-5s %-36s %s\n' "$result" "${name%.log}" "${counted:-$last}"
done
find . -name '*.trs' | sed 's/trs$/log/' | tr '\n' '\0' | xargs -0 grep -h -E '^[0-9]+%: Checks: ' | tr -d ',' | awk '
    { checks += $3; failures += $5; errors += $7 }
    END { if (NR) printf "Check: %d tests in %d programs, %d failures, %d errors\n", checks, NR, failures, errors }'
sed -n '/^# TOTAL:/,/^# ERROR:/s/^# *//p' test-suite.log | paste -s -d ' ' - | sed 's/^/make check: /'
