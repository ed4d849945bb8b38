#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C++ file is as clang-format leaves it (.clang-format).
. "$(dirname "$0")/lib.sh"
need_program clang-format clang-format
mapfile -t files < <(project_files '*.cpp' '*.hpp')
[ ${#files[@]} -gt 0 ] || { echo 'no C++ files found'; exit 1; }
clang-format --dry-run -Werror "${files[@]}" 2>&1 | grep -E 'error:' | cut -d: -f1 | sort | uniq -c |
  sed 's/$/ (lines to format; clang-format -i does it)/'
exit "$((PIPESTATUS[0] != 0))"
