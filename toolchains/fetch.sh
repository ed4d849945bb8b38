#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fetch.sh ARCHITECTURE DIR: brings the files that toolchains/pins names for "source" and for ARCHITECTURE (Debian's name)
# into DIR and checks every one against its pin. Works as any user, with the Debian mirror that this machine already uses.
# What is there and right is not fetched again. Debian's pool drops a version when the next one comes: in the place of
# a pinned file that is gone comes what the archive has of its series today, checked by apt, and that is said.
set -eu
architecture=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
pins=${PINS:-$here/pins}  # another file of the same form
. "$here/archive.sh"

say() { echo "fetch: $*" >&2; }

wanted() { awk -v a="$architecture" '/^[^#]/ && ($2 == "source" || $2 == a)' "$pins"; }
is_right() { [ -f "$dir/${1##*/}" ] && echo "$2  $dir/${1##*/}" | sha256sum --check --status; }
all_right() { wanted | while read -r _ _ _ path sum; do is_right "$path" "$sum" || return 1; done; }

wanted | grep -q '\.deb ' || { say "$pins has no line for the architecture $architecture"; exit 1; }
all_right && exit 0
mirror=$(archive_mirror)

# download PATH SHA-256: straight from the pool, whose indices (10 MB each and unusable while a mirror is updated) are not
# needed. Exit status 2: the mirror has no such file.
download() {
  rm -f "$dir/${1##*/}"
  said=$(LC_ALL=C /usr/lib/apt/apt-helper -qq -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3 \
    download-file "${mirror%/}/pool/main/$1" "$dir/${1##*/}" "SHA256:$2" 2>&1) && is_right "$1" "$2" && return
  case $said in *' 404 '* | *'File not found'*) return 2 ;; esac
  say "${1##*/}: $said"
  return 1
}

# bring PACKAGE KIND RELEASE PATH SHA-256: the pinned file, else its successor; nothing else of that package stays.
bring() {
  path=$4 sum=$5 status=0
  download "$path" "$sum" || status=$?
  if [ $status = 2 ] && present=$(archive_find "$dir/apt/$3-$2" "$1" "$2" "$3" "$4"); then
    path=${present% *} sum=${present#* } status=0
    say "${4##*/} is pinned and gone from $mirror: not the pinned one but ${path##*/} (make pins renews $pins)"
    is_right "$path" "$sum" || download "$path" "$sum" || status=$?
  fi
  [ $status = 0 ] || return $status
  case $2 in
    source) find "$dir" -maxdepth 1 -name "$1_*.orig.tar.*" ! -name "${path##*/}" -delete ;;
    *) find "$dir" -maxdepth 1 -name "$1_*_$2.deb" ! -name "${path##*/}" -delete ;;
  esac
}

missing=$(wanted)
for attempt in $(seq "${ATTEMPTS:-4}"); do
  [ "$attempt" = 1 ] || { say "trying again in $((attempt * 5)) s"; sleep $((attempt * 5)); }
  missing=$(echo "$missing" | while read -r package kind release path sum; do
    is_right "$path" "$sum" && continue
    say "${path##*/}"
    bring "$package" "$kind" "$release" "$path" "$sum" || echo "$package $kind $release $path $sum"
  done)
  [ -n "$missing" ] || exit 0
done

echo "$missing" | while read -r package kind _ path _; do
  say "pool/main/$path ($package, $kind) is not to be had from $mirror, nor is another version of its series."
done
exit 1
