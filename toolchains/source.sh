#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# source.sh DIR: packs the sources as DIR/flannelette-VERSION.tar.xz, which builds without git. What is packed is the tree as it is compiled
# here; what of it no commit has is named. The same bytes whoever packs them, where and when, and from an unpacked archive, too.
set -eu
directory=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
umask 022
name=flannelette-$(toolchains/news.sh version)
epoch=$(toolchains/news.sh epoch)

if [ -e .git ]; then
  git status --porcelain | sed 's/^/source: no commit has this: /' >&2
  git ls-files --cached --others --exclude-standard --deduplicate | while IFS= read -r file; do
    [ ! -f "$file" ] || printf '%s\n' "$file"
  done
else
  find . -path ./build -prune -o ! -type d -printf '%P\n'
fi | LC_ALL=C sort |
  tar --no-recursion --verbatim-files-from -T - --format=ustar --owner=root:0 --group=root:0 --mtime="@$epoch" --mode=u=rwX,go=rX \
    --transform="s|^|$name/|S" -cf - | xz -9 -T 1 >"$directory/$name.tar.xz"
