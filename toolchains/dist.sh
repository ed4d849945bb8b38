#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# dist.sh TARGET...: what a release consists of, in build/dist: the sources (flannelette-VERSION.tar.xz); a container image for all of these
# targets; for each its static program with all that belongs to it (flannelette-VERSION-TARGET.tar.zst, a tree to unpack at /, with the INI
# file among the documents, so that it replaces none), a bill of materials (.spdx.json) and the Debian package; and SHA256SUMS of them. The
# same bytes whoever packs them, where and when.
set -eu
cd "$(dirname "$0")/.."
umask 022
toolchains/install.sh dist
version=$(toolchains/news.sh version)
epoch=$(toolchains/news.sh epoch)
rm -rf build/dist
mkdir -p build/dist
toolchains/source.sh build/dist
toolchains/image.sh "$@" >/dev/null
cp -p "build/flannelette-$version-image.tar" build/dist/

for target; do
  name=flannelette-$version-$target
  root=build/dist/$name
  toolchains/stage.sh "$target" "$root" 'config manual completion documents systemd' -DCMAKE_INSTALL_PREFIX=/usr
  mv "$root/etc/flannelette.ini" "$root/usr/share/doc/flannelette/"
  rmdir "$root/etc"
  # A folder may have got its group's bit from the one above.
  find "$root" -type d -exec chmod 00755 {} +
  LC_ALL=C tar -C "$root" --sort=name --format=ustar --owner=root:0 --group=root:0 --mtime="@$epoch" --transform="s|^\.|$name|" -cf - . |
    zstd -q -19 --single-thread -o "$root.tar.zst"
  rm -r "$root"
  toolchains/sbom.sh "$target" >"$root.spdx.json"
  toolchains/deb.sh "$target" >/dev/null
  cp -p "build/flannelette_${version}_$(toolchains/target.sh "$target" debian).deb" build/dist/
done
(cd build/dist && LC_ALL=C sha256sum -- * >../SHA256SUMS && mv ../SHA256SUMS .)
ls -l build/dist
