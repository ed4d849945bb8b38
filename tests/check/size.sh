#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The shipped binary: within its budget, statically linked, stripped, without the C++ runtime library.
. "$(dirname "$0")/lib.sh"
need_program readelf binutils
binary=${1:-${FLANNELETTE_BUILD_DIR:-build}/flannelette}
[ -f "$binary" ] || { echo "$binary is not there: run make first"; exit 1; }

machine=$(LC_ALL=C readelf -h "$binary" | sed -n 's/^ *Machine: *//p')
case $machine in
  *X86-64*) limit=$((416 * 1024)) ;;
  AArch64) limit=$((384 * 1024)) ;;
  ARM) limit=$((288 * 1024)) ;;
  *) limit=0 ;;  # no budget is set for it
esac
size=$(stat -c %s "$binary")
echo "$machine: $size bytes, budget $limit (0: none set)"

status=0
wrong() {
  echo "$binary: $1"
  status=1
}
if [ "$limit" -gt 0 ] && [ "$size" -gt "$limit" ]; then wrong "$((size - limit)) bytes over its budget"; fi
if readelf -lW "$binary" | grep -q INTERP; then wrong 'not statically linked: it names an interpreter'; fi
if readelf -dW "$binary" | grep -q NEEDED; then wrong 'not statically linked: it needs shared libraries'; fi
if readelf -SW "$binary" | grep -q '\.symtab'; then wrong 'not stripped'; fi
# What libstdc++ leaves in a binary that has it, static or not.
for trace in GLIBCXX_ 'terminate called' St9exception __gxx_personality _ZNSt; do
  if grep -qaF "$trace" "$binary"; then wrong "linked with the C++ runtime library: it contains '$trace'"; fi
done
if command -v file >/dev/null && ! file -L "$binary" | grep -qE 'statically linked|static-pie linked'; then
  wrong "file says: $(file -bL "$binary")"
fi
exit "$status"
