#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# deb.sh TARGET: packs what was built for TARGET as build/flannelette_VERSION_ARCHITECTURE.deb, out of board/debian. The same bytes whoever
# packs it, where and when.
set -eu
target=$1
cd "$(dirname "$0")/.."
umask 022
version=$(toolchains/news.sh version)
architecture=$(toolchains/target.sh "$target" debian)
[ "$architecture" != - ] || { echo "deb: Debian has no port for $target" >&2; exit 1; }
epoch=$(toolchains/news.sh epoch)
root=build/deb/$target
package=build/flannelette_${version}_$architecture.deb
documents=$root/usr/share/doc/flannelette

rm -rf "$root"
toolchains/stage.sh "$target" "$root" 'config manual completion systemd' -DCMAKE_INSTALL_PREFIX=/usr
find "$root/usr/share/man" -type f -exec gzip -9n {} +
mkdir -p "$documents" "$root/usr/share/lintian/overrides" "$root/DEBIAN"
sed '/^4\. /,$d' toolchains/LICENSE-THIRD-PARTY | cat board/debian/copyright - >"$documents/copyright"
cp README.md "$documents/"
cp board/debian/lintian-overrides "$root/usr/share/lintian/overrides/flannelette"
maintainer=$(sed -n 's/^Maintainer: //p' board/debian/control)
toolchains/news.sh changelog flannelette "$maintainer" | gzip -9n >"$documents/changelog.gz"

size=$(find "$root" -type f -exec stat -c %s {} + | awk '{ sum += int(($1 + 1023) / 1024) } END { print sum }')
sed "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@SIZE@/$size/" board/debian/control >"$root/DEBIAN/control"
find "$root/etc" -type f | sed "s|^$root||" >"$root/DEBIAN/conffiles"
install -m 755 board/debian/postinst board/debian/prerm board/debian/postrm "$root/DEBIAN/"
(cd "$root" && find . -path ./DEBIAN -prune -o -type f ! -path './etc/*' -printf '%P\n' | LC_ALL=C sort | xargs md5sum) >"$root/DEBIAN/md5sums"
chmod 644 "$root"/DEBIAN/control "$root"/DEBIAN/conffiles "$root"/DEBIAN/md5sums

# A folder may have got its group's bit from the one above.
find "$root" -type d -exec chmod 00755 {} +
find "$root" -exec touch -h -d "@$epoch" {} +
SOURCE_DATE_EPOCH=$epoch dpkg-deb --root-owner-group --threads-max=1 -Zxz --build "$root" "$package.new" >/dev/null
rm -f build/flannelette_*_"$architecture".deb
mv "$package.new" "$package"
echo "$package: $(stat -c %s "$package") bytes"
