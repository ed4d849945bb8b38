#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# target.sh                the names of all targets
# target.sh -m             the target that this machine is; uname's word for it where there is none
# target.sh NAME COLUMN    what toolchains/targets says in that column
set -eu
table=$(dirname "$0")/targets
case $#${1:-} in
  0) exec awk '/^[^#]/ { print $1 }' "$table" ;;
  1-m) uname -m | sed 's/^armv7.*/armv7/'; exit ;;
  2*) ;;
  *) sed -n 's/^# \(target.sh\)/\1/p' "$0" >&2; exit 1 ;;
esac

awk -v name="$1" -v column="$2" '
  $1 == "#" && $2 == "name" && $NF == "flags" { for (i = 2; i <= NF; ++i) number[$i] = i - 1 }
  $1 == name && column in number {
    found = 1
    if (column == "flags") for (i = 1; i < number[column]; ++i) $i = ""  # the last one has several words or none
    text = column == "flags" ? $0 : $number[column]
    sub(/^ */, "", text)
    print text
  }
  END { exit !found }' "$table" || { echo "target: $table has no target $1 or no column $2" >&2; exit 1; }
