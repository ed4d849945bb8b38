#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `make` and `make install` where apt knows no mirror of Debian, or is not there: they take the plain build, and say in one list what is
# missing. Debian, and what goes by a mirror of it, stays with the static one. Nothing is compiled.
. "$(dirname "$0")/lib.sh"
need_program make make
need_program cmake cmake
need_program apt-get apt
unset MAKEFLAGS
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
os() { printf 'PRETTY_NAME="%s"\nID=%s\nID_LIKE=%s\n' "$1" "$2" "${3:-}" >"$work/$2"; }
os 'Debian GNU/Linux 12 (bookworm)' debian
os 'Ubuntu 24.04 LTS' ubuntu debian
os 'Raspbian GNU/Linux 12' raspbian debian
os 'Alpine Linux v3.24' alpine
mkdir "$work/lists"
printf 'Dir::Etc::SourceList "/dev/null";\nDir::Etc::SourceParts "/dev/null";\nDir::State::Lists "%s";\n' "$work/lists" >"$work/no-mirror"

# A machine without apt, CMake and a compiler; then with CMake.
mkdir "$work/bare"
for program in sh sed grep tr awk cat dirname uname id make nproc; do ln -s "$(command -v $program)" "$work/bare/$program"; done

# wanted OS: does `make` take the plain build? With the mirrors that apt knows, or with no-mirror
wanted() { OS_RELEASE=$work/$1 APT_CONFIG=${2:-} toolchains/plain.sh --wanted >"$work/said"; }

wanted debian "$work/no-mirror" && wrong 'Debian whose lists are not there gets the plain build'
for system in ubuntu raspbian alpine; do
  wanted $system "$work/no-mirror" || wrong "$system without a Debian mirror does not get the plain build"
  grep -qF "$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' "$work/$system")" "$work/said" || wrong "the sentence does not name the system: $(cat "$work/said")"
done
PATH=$work/bare wanted alpine || wrong 'without apt it does not get the plain build'
if [ -n "$(apt-get indextargets 'Created-By: Packages' 2>/dev/null)" ]; then
  wanted raspbian && wrong 'what goes by a Debian mirror gets the plain build'
fi

# make and make install dispatch, and stop at one list of all that the build takes.
for goal in all install; do
  said=$(PATH=$work/bare OS_RELEASE=$work/alpine make $goal DESTDIR="$work/root" 2>&1) && wrong "make $goal succeeds without a compiler"
  for word in 'Alpine Linux' 'missing: cmake c++' 'Ubuntu, Raspberry Pi OS: g++ cmake make libmnl-dev libinih-dev libmbedtls-dev' \
    'Fedora: gcc-c++ cmake make libmnl-devel inih-devel mbedtls-devel' 'Alpine: g++ cmake make linux-headers libmnl-dev inih-dev mbedtls-dev' \
    'Arch: gcc cmake make libmnl libinih mbedtls'; do
    [[ $said == *"$word"* ]] || wrong "make $goal without cmake and a compiler does not say $word: $said"
  done
done
[ ! -e "$work/root" ] || wrong 'make install without a compiler installs something'

# The static program's ways end in a sentence, too.
said=$(OS_RELEASE=$work/ubuntu APT_CONFIG=$work/no-mirror toolchains/fetch.sh amd64 "$work/downloads" 2>&1) && wrong 'fetch.sh succeeds without a mirror'
[[ $said == *'make plain'* && $said != *'apt-get update'* ]] || wrong "fetch.sh on Ubuntu says: $said"
said=$(OS_RELEASE=$work/debian APT_CONFIG=$work/no-mirror toolchains/fetch.sh amd64 "$work/downloads" 2>&1) && wrong 'fetch.sh succeeds without a mirror'
[[ $said == *'apt-get update'* ]] || wrong "fetch.sh on Debian without its lists says: $said"
said=$(PATH=$work/bare toolchains/install.sh build 2>&1) && wrong 'install.sh succeeds without apt'
[[ $said == *'make plain'* ]] || wrong "install.sh without apt says: $said"
exit $status
