#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# stage.sh TARGET ROOT COMPONENTS CMAKE-OPTIONS...: installs below ROOT ("/": on this machine) what was built for TARGET: the shipped program
# (build/TARGET/flannelette) and these components of CMakeLists.txt; "plain" as TARGET: what plain.sh built. The options say where
# (GNUInstallDirs); only the INI file's folder is SYSCONFDIR, as in build.sh and plain.sh, since the program knows it.
set -eu
target=$1
root=$2
components=$3
shift 3
umask 022
cd "$(dirname "$0")/.."
objects=build/$target/obj
[ "$target" != plain ] || objects=build/plain

cmake -S . -B "$objects" --no-warn-unused-cli --log-level=WARNING -U'CMAKE_INSTALL_*' -UFLANNELETTE_UNIT_DIR \
  -DCMAKE_INSTALL_SYSCONFDIR="${SYSCONFDIR:-/etc}" "$@" >/dev/null
directory() { sed -n "s/^CMAKE_INSTALL_$1:[A-Z]*=//p" "$objects/CMakeCache.txt"; }
sbin=$(directory SBINDIR)
case $sbin in /*) ;; *) sbin=$(directory PREFIX)/$sbin ;; esac

# Under another name first: the old one may be running.
install -d "${root%/}$sbin"
install -m 755 "build/$target/flannelette" "${root%/}$sbin/flannelette.new"
mv "${root%/}$sbin/flannelette.new" "${root%/}$sbin/flannelette"
for component in $components; do
  DESTDIR=${root%/} cmake --install "$objects" --component "$component" >"$objects/install.log" || { cat "$objects/install.log" >&2; exit 1; }
  sed -n 's/^-- \(Left as it is: .*\)/\1/p' "$objects/install.log"
done
