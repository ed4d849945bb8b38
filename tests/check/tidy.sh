#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clang-tidy (.clang-tidy) finds nothing in src/.
. "$(dirname "$0")/lib.sh"
need_program clang-tidy clang-tidy
database=${FLANNELETTE_BUILD_DIR:-build}/test
[ -f "$database/compile_commands.json" ] || { echo "$database/compile_commands.json is not there: run make build-test first"; exit 1; }
# Only what the data base has: other files are not built on this machine. GCC's own options are not clang's.
mapfile -t files < <(project_files 'src/*.cpp' | while IFS= read -r file; do
  grep -qF "/$file\"" "$database/compile_commands.json" && printf '%s\n' "$file"
done)
[ ${#files[@]} -gt 0 ] || { echo "no file of src/ in $database/compile_commands.json"; exit 1; }
# One header is seen by many files: each finding is printed once.
printf '%s\0' "${files[@]}" |
  xargs -0 -n 1 -P 2 clang-tidy -p "$database" --quiet --extra-arg=-Wno-unknown-warning-option \
    --extra-arg=-Wno-ignored-optimization-argument 2>/dev/null |
  grep -E ': (error|warning): ' | sed "s|^$PWD/||" | sort -u
exit "$((PIPESTATUS[1] != 0))"
