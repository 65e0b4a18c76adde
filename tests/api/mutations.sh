#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Each fault that the long tier plants for the models to find can be planted still.
set -eu
: "${top_srcdir:?}"
exec sh "$top_srcdir/tests/model/mutate.sh" --texts
