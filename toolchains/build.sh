#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh TARGET WHAT: compiles for TARGET (toolchains/targets), with all that it takes.
#   WHAT=program   build/TARGET/flannelette, static and stripped; obj/flannelette there is the same with symbols
#   WHAT=notls     build/TARGET-notls/flannelette: without TLS
#   WHAT=tests     build/TARGET-test/tests/unit and sim, with Debian's glibc and libstdc++ (doctest does not compile with Debian's
#                  libstdc++ on musl)
set -eu
target=$1
what=$2
cd "$(dirname "$0")/.."
gnu=$(toolchains/target.sh "$target" gnu)
musl=$(toolchains/target.sh "$target" musl)

toolchains/install.sh build
command -v "$gnu-g++" >/dev/null || toolchains/install.sh "cross-$target"
static=ON
[ "$musl" != - ] || static=OFF

# configure DIRECTORY CMAKE-OPTIONS...
configure() {
  directory=$1
  shift
  cmake -G Ninja -S . -B "$directory" --no-warn-unused-cli --log-level=WARNING -DCMAKE_TOOLCHAIN_FILE="toolchains/$target.cmake" \
    -DFLANNELETTE_WERROR=ON -DFLANNELETTE_STATIC=$static "$@"
}

if [ "$what" = tests ]; then
  out=build/$target-test
  toolchains/install.sh test-target
  toolchains/sysroot.sh "$target" gnu "build/sysroot/$target-gnu"
  configure "$out" -DFLANNELETTE_LIBC=gnu -DFLANNELETTE_TESTS=ON -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O1
  cmake --build "$out" --target test_unit test_sim
  exit
fi

case $what in
  program) out=build/$target tls=ON ;;
  notls) out=build/$target-notls tls=OFF ;;
  *) echo "build: program, notls or tests, not $what" >&2; exit 1 ;;
esac
if [ "$static" = ON ]; then
  toolchains/sysroot.sh "$target" musl "build/sysroot/$target"
else
  toolchains/sysroot.sh "$target" gnu "build/sysroot/$target-gnu"
fi
# On top of -Os: nothing is inlined that is larger than its call, one prologue a function, equal constants are one.
small="-Os -DNDEBUG --param max-inline-insns-size=1 -fno-inline-small-functions -fno-shrink-wrap -fmerge-all-constants"
configure "$out/obj" -DFLANNELETTE_TLS=$tls -DFLANNELETTE_NO_LIBSTDCXX=ON -DFLANNELETTE_LTO=ON -DCMAKE_INSTALL_PREFIX=/usr \
  -DCMAKE_C_FLAGS_MINSIZEREL="$small" -DCMAKE_CXX_FLAGS_MINSIZEREL="$small"
cmake --build "$out/obj"
# Under another name first: the old one may be running.
"$gnu-strip" -s -R .comment -R .note.gnu.build-id -o "$out/flannelette.new" "$out/obj/flannelette"
mv "$out/flannelette.new" "$out/flannelette"
echo "$out/flannelette: $(stat -c %s "$out/flannelette") bytes"
