#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The shipped programs, of this machine and of every other target that is built: within the budget of toolchains/targets,
# statically linked (but what an SDK would link), stripped, without the C++ runtime library.
. "$(dirname "$0")/lib.sh"
need_program readelf binutils
build=${FLANNELETTE_BUILD_DIR:-build}
[ -f "$build/flannelette" ] || { echo "$build/flannelette is not there: run make first"; exit 1; }
status=0

# check TARGET PROGRAM COLUMN: with the budget in that column
check() {
  local binary=$2 budget limit=0 size
  wrong() {
    echo "$binary: $1"
    status=1
  }
  budget=$(toolchains/target.sh "$1" "$3") || wrong "no target is called $1"
  case $budget in
    '' | -) ;;  # none is set for it
    *) limit=$((budget * 1024)) ;;
  esac
  size=$(stat -Lc %s "$binary")
  echo "$binary: $size bytes, budget $limit (0: none set)"
  if [ "$limit" -gt 0 ] && [ "$size" -gt "$limit" ]; then wrong "$((size - limit)) bytes over its budget"; fi
  if [ "$3" = budget-shared ]; then
    if readelf -hW "$binary" | grep -q 'DYN'; then wrong 'position-independent'; fi
  else
    if readelf -lW "$binary" | grep -q INTERP; then wrong 'not statically linked: it names an interpreter'; fi
    if readelf -dW "$binary" | grep -q NEEDED; then wrong 'not statically linked: it needs shared libraries'; fi
    if command -v file >/dev/null && ! file -L "$binary" | grep -qE 'statically linked|static-pie linked'; then
      wrong "file says: $(file -bL "$binary")"
    fi
  fi
  if readelf -SW "$binary" | grep -q '\.symtab'; then wrong 'not stripped'; fi
  # What libstdc++ leaves in a binary that has it, static or not.
  for trace in GLIBCXX_ 'terminate called' St9exception __gxx_personality _ZNSt; do
    if grep -qaF "$trace" "$binary"; then wrong "linked with the C++ runtime library: it contains '$trace'"; fi
  done
}

machine=$(toolchains/target.sh -m)
check "$machine" "$build/flannelette" budget-full
for target in $(toolchains/target.sh); do
  [ "$target" = "$machine" ] || [ ! -f "$build/$target/flannelette" ] ||
    check "$target" "$build/$target/flannelette" budget-full
  [ ! -f "$build/$target-router/flannelette" ] || check "$target" "$build/$target-router/flannelette" budget
  [ ! -f "$build/$target-notls/flannelette" ] || check "$target" "$build/$target-notls/flannelette" budget-notls
  [ ! -f "$build/$target-shared/flannelette" ] || check "$target" "$build/$target-shared/flannelette" budget-shared
done
exit "$status"
