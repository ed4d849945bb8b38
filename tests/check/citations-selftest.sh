#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The check of cited numbers catches what it is there for.
. "$(dirname "$0")/lib.sh"
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
status=0
mkdir -p "$tree/src" "$tree/tests"
printf '%s\n' '## 9. Errors' '- **9.1** One.' '- **9.2** See 9.7.' '- **9.25** More.' >"$tree/src/COMPATIBILITY.md"
printf '%s\n' '## Other' '7. Not this.' '## Invariants' '1. One.' '2. Two,' '   in 3. lines.' '## More' '4. Nor this.' >"$tree/src/DESIGN.md"

# expect TEXT [MESSAGE]: with TEXT in a test the check says MESSAGE; without one it is content.
expect() {
  local output result=0
  printf '%b\n' "$1" >"$tree/tests/x.cpp"
  output=$(tests/check/citations.sh "$tree" 2>&1) || result=1
  [[ $output == "${2:-}" && $result == $(($# > 1)) ]] && return
  echo "'$1': expected '${2:-}', got '$output' and exit status $result"
  status=1
}

expect 'compat 9.1, compat 9.2 and 9.25; invariants 1 and 2; invariant 2.'
expect 'nexthop_compat 9.9, incompatible 9'
expect '\n// (compat 9.3)' 'tests/x.cpp:2: there is no compat 9.3'
expect 'compat 9.1, 9.12' 'tests/x.cpp:1: there is no compat 9.12'
expect 'compat 9' 'tests/x.cpp:1: there is no compat 9'
expect 'compat 9.7' 'tests/x.cpp:1: there is no compat 9.7'
expect 'invariants 1, 3 and 2' 'tests/x.cpp:1: there is no invariant 3'
expect 'invariant 4' 'tests/x.cpp:1: there is no invariant 4'
expect 'invariant 7' 'tests/x.cpp:1: there is no invariant 7'
echo '- **9.2** Again.' >>"$tree/src/COMPATIBILITY.md"
expect '' 'compat 9.2 is there twice'
exit "$status"
