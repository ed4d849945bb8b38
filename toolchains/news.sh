#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# news.sh version         the version of this tree, CMakeLists.txt's
# news.sh epoch           the time that packages of it carry: SOURCE_DATE_EPOCH, else midnight of the newest date in .github/NEWS.md
# news.sh changelog NAME MAINTAINER   .github/NEWS.md as the changelog of a Debian package
set -eu
cd "$(dirname "$0")/.."
news=.github/NEWS.md

case $1 in
  version) sed -n 's/^project(flannelette VERSION \([0-9.]*\) .*/\1/p' CMakeLists.txt ;;
  epoch) echo "${SOURCE_DATE_EPOCH:-$(date -u -d "$(sed -n 's/^## [0-9.]* (\(.*\))$/\1/p' $news | head -n 1)" +%s)}" ;;
  changelog)
    date=
    close() { [ -z "$date" ] || printf '\n -- %s  %s\n' "$maintainer" "$(LC_ALL=C date -u -R -d "$date")"; }
    name=$2 maintainer=$3
    # A line for each heading and for each point of a list, whose other lines are indented.
    awk '/^## /  { print point; point = ""; print; next }
         /^- /   { print point; point = $0; next }
         /^  /   { sub(/^ +/, " "); point = point $0 }
         END     { print point }' $news | {
      while IFS= read -r line; do
        case $line in
          '## '*)
            [ -z "$date" ] || { close; echo; }
            version=${line#'## '} date=${line#*'('}
            version=${version%% *} date=${date%')'}
            printf '%s (%s) unstable; urgency=medium\n\n' "$name" "$version"
            ;;
          '- '*) echo "${line#- }" | fold -s -w 74 | sed '1s/^/  * /; 1!s/^/    /; s/ *$//' ;;
        esac
      done
      close
    }
    ;;
  *) sed -n 's/^# \(news.sh\)/\1/p' "$0" >&2; exit 1 ;;
esac
