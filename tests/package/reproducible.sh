#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# reproducible.sh [TARGET...]: what `make dist` has made of this tree, for these targets or for all, is made once more from a copy of
# it, from the libraries up: in another folder, with other times of the files, another umask, time zone and locale, and fewer
# compilers at once. One test for each file of a release: it has the same bytes.
set -u
. "$(dirname "$0")/../check/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/flannelette-another-folder.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
failed=0

mkdir -p "$work/tree/build/sysroot"
project_files '*' | tar -cf - -T - | tar -C "$work/tree" -xmf -
find "$work/tree" -type f -exec touch -d '2020-02-29 12:00' {} +
cp -r build/sysroot/downloads "$work/tree/build/sysroot/"
(
  umask 077
  cd "$work/tree" || exit 1
  export TZ=Pacific/Kiritimati LC_ALL=C.UTF-8 LANGUAGE=tr CMAKE_BUILD_PARALLEL_LEVEL=1
  unset CMAKE_C_COMPILER_LAUNCHER CMAKE_CXX_COMPILER_LAUNCHER MAKEFLAGS
  make dist ${1:+TARGET="$*"}
) >"$work/log" 2>&1 || { tail -n 20 "$work/log"; exit 1; }

for file in "$work"/tree/build/dist/flannelette*; do
  name="${file##*/} has the same bytes in another folder"
  echo "[ RUN      ] $name"
  if cmp "build/dist/${file##*/}" "$file"; then
    echo "[       OK ] $name"
  else
    echo "[  FAILED  ] $name"
    failed=1
  fi
done
exit "$failed"
