#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clang-tidy (.clang-tidy) finds nothing in src/, and clang has no warning about it. A file in which nothing was found is left
# alone until it, a header of the project that it includes, its command, clang-tidy or its settings change.
. "$(dirname "$0")/lib.sh"
need_program clang-tidy clang-tidy
need_program ninja ninja-build
build=${FLANNELETTE_BUILD_DIR:-build}
[ -f "$build/test/compile_commands.json" ] || { echo "$build/test is not there: run make build-test first"; exit 1; }
clean=$build/check/tidy # one empty file for each state in which nothing was found
mkdir -p "$clean"
find "$clean" -type f -mtime +30 -delete
settings=$(clang-tidy --version | cat - .clang-tidy tests/check/tidy.sh | sha256sum)

# One line a file of src/ in the data base (others are not built on this machine): the file, a tab, and all that its findings
# depend on. What has not been compiled yet depends on every header.
states() {
  {
    find src include -type f -exec sha256sum {} + | awk '{ print "digest", $2, $1 }'
    ninja -C "$build/test" -t deps | sed "s|$PWD/||; s|\.\./\.\./||" | awk '
      /^[^ ]/ { file = ""; if (match($1, /\.dir\/src\/.*\.cpp\.o:$/)) file = substr($1, RSTART + 5, RLENGTH - 8) }
      /^ +(src|include)\// && file != "" { print "header", file, $1 }'
    sed -n 's/^ *"command": "\(.*\)",$/\1/p' "$build/test/compile_commands.json" |
      sed -n "s|^\(.* -c $PWD/\(src/[^ ]*\.cpp\)\)\$|command \2 \1|p"
  } | awk -v settings="$settings" '
    $1 == "digest" { digest[$2] = $3; if ($2 ~ /\.hpp$/) every = every " " $3 }
    $1 == "header" { headers[$2] = headers[$2] " " digest[$3] }
    $1 == "command" { print $2 "\t" settings, digest[$2], ($2 in headers) ? headers[$2] : every, $0 }'
}

files=0
while IFS=$'\t' read -r file state; do
  files=$((files + 1))
  state=$(sha256sum <<<"$state")
  [ -e "$clean/${state%% *}" ] || printf '%s\0' "$file" "$clean/${state%% *}"
done < <(states) >"$clean.todo"
[ "$files" -gt 0 ] || { echo "no file of src/ in $build/test/compile_commands.json"; exit 1; }
# GCC's own options are not clang's. One header is seen by many files: each finding is printed once.
xargs -r -0 -n 2 -P "$(nproc)" bash -c 'clang-tidy -p "$0" --quiet --extra-arg=-Wno-unknown-warning-option \
  --extra-arg=-Wno-ignored-optimization-argument "$1" 2>/dev/null && touch "$2"' "$build/test" <"$clean.todo" |
  grep -E ': (error|warning): ' | sed "s|^$PWD/||" | sort -u
exit "$((PIPESTATUS[0] != 0))"
