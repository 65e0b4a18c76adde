#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Usage: summary.sh BUILD-DIRECTORY [TIER [TEST...]]
# What `make check` hides in log files: the result and the last own line of each test, with Check's count of assertions,
# and the sums. The last line is for programs: tier=TIER compiler=CC tests=N passed=N skipped=N failed=N checks=N
# reports=N; reports are what sanitizers and Valgrind found. Fails if a test failed, none ran, or there are reports.
set -eu
cd "$1"
tier=${2:-check}
test $# -lt 2 || shift
shift
results=$(mktemp)
logs=$(mktemp)
trap 'rm -f "$results" "$logs"' EXIT

# The tests named, else all that have a result here; other tiers' builds are below.
if test $# -gt 0; then
    printf './%s.log\n' "$@"
else
    find . \( -path './tsan*' -o -path ./sanitize -o -path ./aarch64 \) -prune -o -name '*.trs' -print | sed 's/trs$/log/'
fi | sort >"$logs"

while read -r log; do
    name=${log#./}
    result=$(sed -n 's/^:global-test-result: *//p' "${log%.log}.trs")
    # Automake ends a log with its own verdict.
    last=$(sed -e '/^[A-Z]* .* (exit status: [0-9]*)$/d' -e '/^[ \t]*$/d' "$log" | tail -n 1)
    counted=$(grep -E '^[0-9]+%: Checks: ' "$log" | tail -n 1) || counted=
    reports=$(grep -c -E 'WARNING: ThreadSanitizer|ERROR: [A-Z][a-z]+Sanitizer|: runtime error: |valgrind-report' "$log") || :
    printf '%-5s %-36s %s\n' "$result" "${name%.log}" "${counted:-$last}"
    echo "$result $reports ${counted:-}" | tr -d ',' >>"$results"
done <"$logs"

compiler=$(sed -n 's/^CC = //p' Makefile)
awk -v tier="$tier" -v compiler="$(basename "${compiler%% *}")" '
    { tests++; count[$1]++; reports += $2 }
    $4 == "Checks:" { programs++; checks += $5; failures += $7; errors += $9 }
    END {
        failed = tests - count["PASS"] - count["SKIP"] - count["XFAIL"]
        if (programs)
            printf "Check: %d tests in %d programs, %d failures, %d errors\n", checks, programs, failures, errors
        printf "tier=%s compiler=%s tests=%d passed=%d skipped=%d failed=%d checks=%d reports=%d\n", tier, compiler,
            tests, count["PASS"] + count["XFAIL"], count["SKIP"], failed, checks, reports
        exit failed > 0 || tests == 0 || reports > 0
    }' "$results"
