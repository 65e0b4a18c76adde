#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Usage: part.sh DIRECTORY NAME COMMAND...
# Runs a command as one part of the evidence for doc/assurance.md: shows what it says, and keeps it in
# DIRECTORY/NAME.log with a last line of what it came to. A log without that line is of a part that was cut off.
#
#   part=NAME result=ok|skipped|FAILED status=N seconds=S load=L commit=C began=DATE
#
# load: of the machine, when the part began. commit: "+changes" if the tree was not as committed, doc/assurance.md apart.
# Exit status 77 of the command: skipped, which is success here.
set -u
log=$1/$2.log
name=$2
shift 2
: "${top_srcdir:=$(dirname "$0")/..}"

commit()
{
    git -C "$top_srcdir" rev-parse --short=12 HEAD 2>/dev/null || { echo unknown; return; }
    git -C "$top_srcdir" diff --quiet HEAD -- . ':!doc/assurance.md' || echo +changes
}

milliseconds()
{
    date +%s%3N
}

mkdir -p "$(dirname "$log")"
: >"$log" || exit 1
printf '== %s\n' "$name"
at=$(commit | tr -d '\n')
began=$(date -u +%Y-%m-%dT%H:%M:%SZ)
load=$(cut -d ' ' -f 1 /proc/loadavg)
start=$(milliseconds)
{ "$@" 2>&1; echo $? >"$log.status"; } | tee "$log"
taken=$(($(milliseconds) - start))
status=$(cat "$log.status")
rm -f "$log.status"
case $status in
0) result=ok ;;
77) result=skipped ;;
*) result=FAILED ;;
esac
# On a line of its own, whatever the command ended with.
printf '\npart=%s result=%s status=%s seconds=%d.%d load=%s commit=%s began=%s\n' "$name" "$result" "$status" \
    $((taken / 1000)) $((taken % 1000 / 100)) "$load" "$at" "$began" | tee -a "$log"
test "$result" != FAILED
