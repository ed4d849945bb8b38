# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# For scripts that run system tests with a program of Debian's archive that is not installed here.

# unpack NAME RESULT WHAT: unpacks the packages that tests/system/NAME.pins has for this machine into build/NAME; dir is its
# path. Where they cannot be had, a test "WHAT can be had" has this RESULT, SKIPPED or FAILED, and that was it.
unpack() {
  mkdir -p "${FLANNELETTE_BUILD_DIR:-build}/$1"
  dir=$(cd "${FLANNELETTE_BUILD_DIR:-build}/$1" && pwd)
  unpack_architecture=$(dpkg --print-architecture)
  export PINS="tests/system/$1.pins"
  if ! grep -q " $unpack_architecture " "$PINS"; then
    unpack_end "$3 can be had" SKIPPED "it is not pinned for $unpack_architecture"
  fi
  toolchains/fetch.sh "$unpack_architecture" "$dir" 2>"$dir/said" || unpack_end "$3 can be had" "$2" "$(tail -n 1 "$dir/said")"
  for unpack_package in "$dir"/*.deb; do
    dpkg-deb -x "$unpack_package" "$dir"
  done
}

unpack_end() { # test, result, reason
  printf '[ RUN      ] %s\n[   LINE   ] --- %s: %s\n[  %-8s] %s\n' "$1" "$(echo "$2" | tr '[:upper:]' '[:lower:]')" "$3" "$2" "$1"
  [ "$2" = SKIPPED ]
  exit
}
