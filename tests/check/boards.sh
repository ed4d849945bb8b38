#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Pages of board/: each has the same headings, names files that exist, and sizes that are the budgets of toolchains/targets.
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
    grep -o '](\.\./[^)]*)' "$page" | sed 's/](\(.*\))/\1/'
  )

  while IFS= read -r size; do
    grep -qx "${size% KiB}" <<<"$budgets" || wrong "$page: $size is no budget of toolchains/targets"
  done < <(sed -n '/^## Kernel/,/^## Limits/p' "$page" | grep -oE '\b[0-9]{3} KiB')
done
exit $status
