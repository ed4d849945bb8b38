#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The code compiles with clang too, without a warning.
. "$(dirname "$0")/lib.sh"
need_program clang++ clang
unset MAKEFLAGS MAKELEVEL MFLAGS
log=$(make --no-print-directory build-clang 2>&1) && exit 0
printf '%s\n' "$log" | tail -n 60
exit 1
