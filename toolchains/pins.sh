#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# pins.sh FILE...: renews the pins in these files (toolchains/pins says in which form) with what the archive has today: of
# each line's release, of the same series. Checked against the archive's signature; what has changed is printed. New
# series (the next minor version of a library) are for somebody to choose.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
indices=$(cd "$here/.." && pwd)/${FLANNELETTE_BUILD_DIR:-build}/pins
. "$here/archive.sh"

for pins; do
  while IFS= read -r line; do
    case $line in
      '#'* | '')
        printf '%s\n' "$line"
        continue
        ;;
    esac
    # shellcheck disable=SC2086 # its words
    set -- $line
    present=$(archive_find "$indices/$3-$2" "$1" "$2" "$3" "$4") || {
      echo "pins: the archive has no $1 ($2) of the series of ${4##*/} in $3" >&2
      exit 1
    }
    [ "$present" = "$4 $5" ] || echo "pins: $2: ${4##*/} -> $(basename "${present% *}")" >&2
    printf '%-13s %-13s %-9s %-50s %s\n' "$1" "$2" "$3" "${present% *}" "${present#* }"
  done <"$pins" >"$pins.new"
  cat "$pins.new" >"$pins"
  rm "$pins.new"
done
