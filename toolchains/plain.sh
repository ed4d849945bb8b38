#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# plain.sh                 the plain build: build/plain/flannelette, with this machine's compiler and shared libraries
# plain.sh --wanted        whether `make` makes that one: where apt knows no Debian mirror, the packages of the static one cannot be had
#
# Where apt is, what is missing is installed (install.sh); else CMake names it. CMAKE_OPTIONS are more of its options.
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
  echo "plain: missing:$missing. It takes CMake, make and a C++20 compiler: cmake make g++ (Alpine, Debian), gcc-c++ (Fedora), gcc (Arch)" >&2
  exit 1
fi
# shellcheck disable=SC2086 # a list of words
cmake -S . -B build/plain --log-level=WARNING ${CMAKE_OPTIONS:-}
cmake --build build/plain --parallel "$(nproc)"
