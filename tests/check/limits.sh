#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What src and include keep to, so that they can be read: no function over 65 lines, no file over 450, no interface with more than
# 8 virtual functions, no class with more than 3 boolean members, a base name once (for one header and one source of one room).
# limits.sh [DIRECTORY]: the tree to check, the project itself by default (the self-test checks others). What is listed in
# limits.allowed there is let through, and refused in that list when it is needed no more.
. "$(dirname "$0")/lib.sh"
rules=$PWD/tests/check/limits.awk
cd "${1:-.}" || exit 1
allowed=$(grep -v '^#' tests/check/limits.allowed 2>/dev/null)

find src include -type f \( -name '*.cpp' -o -name '*.hpp' \) | LC_ALL=C sort | xargs -r awk -f "$rules" |
  awk -F'\t' -v allowed="$allowed" '
    BEGIN { count = split(allowed, line, "\n"); for (i = 1; i <= count; ++i) if (line[i] != "") waiting[line[i]] = 1 }
    ($1 " " $2) in waiting { used[$1 " " $2] = 1; next }
    { print $3; bad = 1 }
    END {
      for (entry in waiting) if (!(entry in used)) { print "tests/check/limits.allowed: needed no more: " entry; bad = 1 }
      exit bad
    }'
