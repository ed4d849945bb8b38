#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# initramfs.sh PARTS BINARY OUT: the initramfs of a virtual machine, from what vm.sh has put together in PARTS, the program
# and init. OUT.d is for its own use.
set -eu
root=$3.d
mkdir "$root" "$root/bin" "$root/dev" "$root/proc" "$root/run" "$root/sys"
cp -r "$1/modules" "$root/modules"
cp "$1/busybox" "$root/bin/"
cp "$2" "$root/bin/flannelette"
cp "$(dirname "$0")/init" "$root/init"
(cd "$root" && find . | LC_ALL=C sort | cpio --quiet --create --format newc --owner 0:0) | gzip -1 >"$3"
rm -r "$root"
