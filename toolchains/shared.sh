#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# shared.sh GNU SYSROOT DIR: makes DIR another musl sysroot, to measure what an SDK links: with the libraries of SYSROOT as shared
# ones, which have the names of theirs and no code. A program that is linked with them does not run. GNU-gcc is the compiler.
set -eu
gnu=$1
sysroot=$(cd "$2" && pwd)
mkdir -p "$3/lib"
dir=$(cd "$3" && pwd)
[ "$(cat "$dir/stamp" 2>/dev/null)" != "$(cat "$sysroot/stamp")" ] || exit 0

ln -sfn "$sysroot/include" "$dir/include"
ln -sf "$sysroot"/lib/crt*.o "$dir/lib/"
for library in "$sysroot"/lib/lib*.a; do
  name=$(basename "$library" .a)
  if [ "$name" = libgcc ]; then
    ln -sf "$library" "$dir/lib/"
    continue
  fi
  "$gnu-gcc-nm" -g --defined-only "$library" 2>/dev/null | awk '
    NF == 3 && !seen[$3]++ {
      function_ = $2 ~ /[TW]/
      print (function_ ? ".text" : ".data") "; .globl " $3 "; .type " $3 ", " (function_ ? "@function" : "@object")
      print $3 ": .space 64; .size " $3 ", 64"
    }' | "$gnu-gcc" -x assembler -shared -nostdlib "-Wl,-soname,$name.so" -o "$dir/lib/$name.so" -
done
cp "$sysroot/stamp" "$dir/stamp"
