#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# plain.sh                 the plain build: build/plain/flannelette, with this machine's compiler and shared libraries
# plain.sh --wanted        whether `make` and `make install` take that one: where apt knows no Debian mirror, the packages of the static
#                          one cannot be had
#
# Where apt is, what is missing is installed (install.sh); else one message names it, CMake's or that of here. SYSCONFDIR (/etc) is
# where the program looks for flannelette.ini; CMAKE_OPTIONS are more of CMake's options.
set -eu
cd "$(dirname "$0")/.."
. toolchains/archive.sh

system=$(sed -n 's/^PRETTY_NAME=//p' "$OS_RELEASE" 2>/dev/null | tr -d '"')
if [ "${1:-}" = --wanted ]; then
  ! grep -qx 'ID="\{0,1\}debian"\{0,1\}' "$OS_RELEASE" 2>/dev/null || exit 1
  ! archive_mirror >/dev/null 2>&1 || exit 1
  echo "${system:-This system} is not Debian, and apt knows no Debian mirror: the plain build, with shared libraries (toolchains/README.md)"
  exit 0
fi

! command -v apt-get >/dev/null || toolchains/install.sh plain
missing=
for program in cmake make c++; do command -v $program >/dev/null || missing="$missing $program"; done
if [ -n "$missing" ]; then
  echo "plain: missing:$missing. The plain build takes these packages:" >&2
  awk -F '|' '/^\| (Debian|Fedora|Alpine|Arch)/ { line = $2 ":" $7 $3 $4 $5; gsub(/ +/, " ", line); sub(" :", ":", line); sub(/ $/, "", line); print " " line }' toolchains/README.md >&2
  exit 1
fi
# shellcheck disable=SC2086 # a list of words
cmake -S . -B build/plain --log-level=WARNING -DCMAKE_INSTALL_SYSCONFDIR="${SYSCONFDIR:-/etc}" ${CMAKE_OPTIONS:-}
cmake --build build/plain --parallel "$(nproc)"
