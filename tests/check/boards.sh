#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Pages of board/: each README has the same headings, names files that exist, and sizes that are the budgets of toolchains/targets. Links
# of any page lead to something, and a page beside a README is linked there.
. "$(dirname "$0")/lib.sh"
headings='What it is|Install|Files|Kernel and budget|Limits'
budgets=$(awk '!/^#/ && NF > 6 { for (i = 7; i < 11; ++i) print $i }' toolchains/targets | grep -x '[0-9]*')
for page in board/*/README.md; do
  found=$(sed -n 's/^## //p' "$page" | paste -sd '|')
  [ "$found" = "$headings" ] || wrong "$page: headings are $found, not $headings"

  # The first column of the table below "Files", and links.
  while IFS= read -r file; do
    [ -e "${page%/*}/$file" ] || wrong "$page: there is no $file"
  done < <(
    sed -n '/^## Files/,/^## Kernel/s/^| \([^|]*\) |.*/\1/p' "$page" | sed '1d' | tr ',' '\n' | tr -d ' `'
  )

  while IFS= read -r size; do
    grep -qx "${size% KiB}" <<<"$budgets" || wrong "$page: $size is no budget of toolchains/targets"
  done < <(sed -n '/^## Kernel/,/^## Limits/p' "$page" | grep -oE '\b[0-9]{3} KiB')
done
for page in board/*/*.md; do
  while IFS= read -r link; do
    [ -e "${page%/*}/${link%#*}" ] || wrong "$page: there is no $link"
  done < <(grep -oE '\]\([^)]+\)' "$page" | sed 's/](\(.*\))/\1/' | grep -vE '^(https?:|#)')
  case ${page##*/} in
    README.md | SECURITY.md) ;;
    *) grep -qF "](${page##*/})" "${page%/*}/README.md" || wrong "$page: README.md does not lead to it" ;;
  esac
done
exit $status
