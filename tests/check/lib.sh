# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For the checks of this folder. A check exits 0 (fine), 77 (cannot be done here; says why) or else (says what is wrong).

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

# The project's files that match the given patterns, whether git knows them already or not.
project_files() {
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files --cached --others --exclude-standard --deduplicate -- "$@" | while IFS= read -r file; do
      [ -f "$file" ] && printf '%s\n' "$file"
    done
  else
    local pattern
    local -a names=()
    for pattern in "$@"; do names+=(-o -name "${pattern##*/}"); done
    find . \( -path ./build -o -path ./.git \) -prune -o -type f \( "${names[@]:1}" \) -print | sed 's|^\./||' | sort
  fi
}

need_program() {  # program, Debian package
  command -v "$1" >/dev/null && return
  echo "$1 is missing (Debian: $2)"
  exit 77
}

# Says what is wrong and goes on; the check ends with `exit $status`.
status=0
# shellcheck disable=SC2034 # by who includes this
wrong() {
  printf '%s\n' "$1"
  status=1
}
