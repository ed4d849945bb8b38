#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# No shell script (*.sh, *.bash and whatever begins with a shell's #! line) has anything that shellcheck would change.
# SC1091 and SC2016 are off: sourced files are checked themselves, and awk's $1 in single quotes is meant.
. "$(dirname "$0")/lib.sh"
need_program shellcheck shellcheck
mapfile -t files < <(project_files '*' | while IFS= read -r file; do
  if [[ $file == *.sh || $file == *.bash ]] || head -c 64 "$file" | head -n 1 | tr -d '\0' | grep -qE '^#!.*[/ ](ba|da)?sh'; then
    printf '%s\n' "$file"
  fi
done)
shellcheck --external-sources --source-path=SCRIPTDIR --severity=style --exclude=SC1091,SC2016 --format=gcc "${files[@]}"
