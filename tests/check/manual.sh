#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The manual pages are mdoc without a warning, and name no page of ours that is not there. (Pages of other packages need not be
# installed here.)
. "$(dirname "$0")/lib.sh"
need_program mandoc mandoc
status=0

while IFS= read -r page; do
  case $page in board/man/*) ;; *) continue ;; esac
  said=$(mandoc -Tlint -W style "$page" 2>/dev/null | grep -v 'STYLE: referenced manual not found')
  [ -z "$said" ] || { printf '%s\n' "$said"; status=1; }
  while IFS= read -r other; do
    [ -f "board/man/$other" ] || { echo "$page names $other, which is not there"; status=1; }
  done < <(sed -n 's/^\.Xr \(flannelette[^ ]*\) \([0-9]\).*/\1.\2/p' "$page")
done < <(project_files '*.[578]')
exit $status
