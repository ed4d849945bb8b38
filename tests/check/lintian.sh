#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Debian packages that were made (make deb, make dist) are without an error or warning of lintian, but for the one that board/debian says is
# meant.
. "$(dirname "$0")/lib.sh"
need_program lintian lintian
shopt -s nullglob
packages=("${FLANNELETTE_BUILD_DIR:-build}"/{,dist/}flannelette_*.deb)
[ ${#packages[@]} -gt 0 ] || { echo 'there is no package: run make deb first'; exit 1; }
status=0
for package in "${packages[@]}"; do
  found=$(lintian --allow-root --show-overrides "$package" 2>&1 | grep -v '^N: ')
  # This one line, and no other.
  [[ $found == 'O: flannelette: statically-linked-binary '* && $found != *$'\n'* ]] && continue
  printf '%s: %s\n' "$package" "$found"
  status=1
done
exit $status
