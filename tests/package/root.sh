#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# root.sh SUITE DIR PACKAGE...: makes DIR the root of a small Debian of that release, with these packages (essential ones, too: others do not
# depend on them) and what they depend on: unpacked as any user, and known to dpkg as installed; no maintainer script runs. Does
# nothing when DIR is there already.
set -eu
suite=$1
dir=$2
shift 2
[ "$(cat "$dir.packages" 2>/dev/null)" != "$*" ] || exit 0
cd "$(dirname "$0")/../.."
. toolchains/archive.sh

archive=$dir.archive
# One version of each: a newer list or release leaves the old files there.
rm -f "$archive"/cache/archives/*.deb
# Without the lock of dpkg, which only root can have: nothing is installed here.
archive_apt "$archive" "$(dpkg --print-architecture)" "$suite" apt-get install -o Debug::NoLocking=true --download-only -y --no-install-recommends \
  base-files base-passwd usr-is-merged "$@"
rm -rf "$dir" "$dir.new"
mkdir -p "$dir.new"
for folder in bin sbin lib lib64; do
  mkdir -p "$dir.new/usr/$folder"
  ln -s "usr/$folder" "$dir.new/$folder"
done
mkdir -p "$dir.new/var/lib/dpkg/info" "$dir.new/var/lib/dpkg/updates"
for package in "$archive"/cache/archives/*.deb; do
  { dpkg-deb -f "$package" | sed '1a Status: install ok installed'; echo; } >>"$dir.new/var/lib/dpkg/status"
  name=$(dpkg-deb -f "$package" Package)
  [ "$(dpkg-deb -f "$package" Multi-Arch)" != same ] || name=$name:$(dpkg-deb -f "$package" Architecture)
  dpkg-deb --fsys-tarfile "$package" | tar -xv -C "$dir.new" --no-same-owner --keep-directory-symlink --exclude='./usr/share/doc*' \
    --exclude='./usr/share/man*' --exclude='./usr/share/locale*' | sed 's|^\.||; s|/$||; s|^$|/.|' >"$dir.new/var/lib/dpkg/info/$name.list"
done
cp "$dir.new/usr/share/base-passwd/passwd.master" "$dir.new/etc/passwd"
cp "$dir.new/usr/share/base-passwd/group.master" "$dir.new/etc/group"
touch "$dir.new/etc/shadow" "$dir.new/etc/gshadow"
mv "$dir.new" "$dir"
echo "$*" >"$dir.packages"
