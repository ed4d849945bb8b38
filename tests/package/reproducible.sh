#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# reproducible.sh [TARGET...]: what `make dist` has made of this tree, for these targets or for all, and the programs of those that a release
# has not, are made once more from the archive of its sources, from the libraries up: without git, in another folder, with other times of the
# files, another umask, time zone and locale, and fewer compilers at once. One test for each file of a release and each such program: it has
# the same bytes. And what belongs to them is complete.
set -u
. "$(dirname "$0")/../check/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/flannelette-another-folder.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
failed=0
released='' others=''
# shellcheck disable=SC2046 # words
[ $# -gt 0 ] || set -- $(toolchains/target.sh)
for target; do
  if [ "$(toolchains/target.sh "$target" debian)" = - ]; then others+=" $target"; else released+=" $target"; fi
done

toolchains/source.sh "$work"
mkdir -p "$work/tree/build/sysroot"
tar -C "$work/tree" --strip-components=1 -xmf "$work"/flannelette-*.tar.xz || exit 1
find "$work/tree" -type f -exec touch -d '2020-02-29 12:00' {} +
cp -r build/sysroot/downloads "$work/tree/build/sysroot/"
(
  umask 077
  cd "$work/tree" || exit 1
  export TZ=Pacific/Kiritimati LC_ALL=C.UTF-8 LANGUAGE=tr CMAKE_BUILD_PARALLEL_LEVEL=1
  unset CMAKE_C_COMPILER_LAUNCHER CMAKE_CXX_COMPILER_LAUNCHER MAKEFLAGS
  { [ -z "$others" ] || make cross TARGET="$others"; } && { [ -z "$released" ] || make dist TARGET="$released"; }
) >"$work/log" 2>&1 || { tail -n 20 "$work/log"; exit 1; }

verdict() {  # name, command...
  echo "[ RUN      ] $1"
  if "${@:2}"; then
    echo "[       OK ] $1"
  else
    echo "[  FAILED  ] $1"
    failed=1
  fi
}
# The program's components with their versions, and the program's own sum.
# shellcheck disable=SC2317 # verdict calls it
complete() {  # bill of materials, program
  local component
  for component in musl mbedtls inih libmnl gcc-runtime; do
    grep -q "\"name\": \"$component\", \"versionInfo\": \"[0-9][^\"]*\"" "$1" || return
  done
  grep -q "$(sha256sum "$2" | cut -d ' ' -f 1)" "$1" || return
  ! command -v python3 >/dev/null || python3 -m json.tool "$1" >/dev/null
}

for target in $others; do
  verdict "the program of $target has the same bytes in another folder" cmp {,"$work/tree/"}"build/$target/flannelette"
done
[ -n "$released" ] || exit "$failed"
for file in "$work"/tree/build/dist/flannelette*; do
  verdict "${file##*/} has the same bytes in another folder" cmp "build/dist/${file##*/}" "$file"
done
for file in "$work"/tree/build/dist/*.spdx.json; do
  target=${file##*-}
  target=${target%.spdx.json}
  verdict "${file##*/} has all components" complete "$file" "$work/tree/build/$target/flannelette"
done
verdict 'the archive of the sources has all files of this tree' \
  [ "$(tar -tf build/dist/flannelette-*.tar.xz | cut -d / -f 2-)" = "$(project_files '*' | LC_ALL=C sort)" ]
verdict 'SHA256SUMS has all files of the release' \
  [ "$(cut -c 67- build/dist/SHA256SUMS)" = "$(cd build/dist && LC_ALL=C ls flannelette*)" ]
verdict 'SHA256SUMS is right' sh -c 'cd build/dist && sha256sum --quiet -c SHA256SUMS'
exit "$failed"
