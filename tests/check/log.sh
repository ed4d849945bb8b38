#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# board/man/flannelette-log.7 has an entry for each warning and error that the sources may log and for each reason why a peer is
# ignored, and none that is no longer there. README.md quotes none but such.
# log.sh [DIRECTORY]: the tree to check, the project itself by default.
. "$(dirname "$0")/lib.sh"
walk=$PWD/tests/check/log_lines.awk
cd "${1:-.}" || exit 1
export LC_ALL=C
status=0

mapfile -t sources < <(find src include -name '*.cpp' -o -name '*.hpp' | sort)
lines=$(awk -f "$walk" "${sources[@]}") || status=1
reasons=$(sed -n 's/^ *case Ignored::.*return "\(.*\)";$/\1/p' src/overlay/ignored.cpp)
entries=$(sed -n 's/^\.It "\(.*\)"$/\1/p' board/man/flannelette-log.7)
if [ -z "$lines" ] || [ -z "$reasons" ]; then
  echo 'no line is found in the sources'
  exit 1
fi

say() {  # what is wrong, with which: one a line
  [ -n "$2" ] || return 0
  printf '%s\n' "$2" | sed "s|^|$1: |"
  status=1
}
say 'no entry for' "$(comm -23 <(printf '%s\n' "$lines" "$reasons" | sort -u) <(sort -u <<<"$entries"))"
say 'two entries for' "$(sort <<<"$entries" | uniq -d)"
# Other entries are texts of errors, which need not all have one. What the system says follows "connect: ".
say 'nobody logs' "$(comm -13 <(printf '%s\n' "$lines" "$reasons" | sort -u) <(grep -v '^connect: ' <<<"$entries" | sort -u) |
  while IFS= read -r entry; do
    grep -qrF "\"$entry\"" src include || printf '%s\n' "$entry"
  done)"
# README.md's table of symptoms quotes lines as they are.
say 'README.md: nobody logs' "$(comm -13 <(sort -u <<<"$entries") <(
  sed -n '/^### By symptom/,/^### Taking/p' README.md 2>/dev/null | grep -oE '`(warning|error): [^`]*`' | tr -d '`' | sort -u))"
exit $status
