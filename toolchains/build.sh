#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh TARGET WHAT: compiles for TARGET (toolchains/targets), with all that it takes.
#   WHAT=program   build/TARGET/flannelette, static and stripped; obj/flannelette there is the same with symbols
#   WHAT=router    build/TARGET-router/flannelette: the same without Kubernetes
#   WHAT=shared    build/TARGET-shared/flannelette: the router's as an SDK links it, with shared libraries. To measure: it has none
#   WHAT=notls     build/TARGET-notls/flannelette: the smallest one, without Kubernetes, TLS, names and regular expressions
#   WHAT=tests     build/TARGET-test/tests/unit and sim, with Debian's glibc and libstdc++ (doctest does not compile with Debian's
#                  libstdc++ on musl)
# SYSCONFDIR (/etc) is where the program looks for flannelette.ini.
set -eu
target=$1
what=$2
cd "$(dirname "$0")/.."
gnu=$(toolchains/target.sh "$target" gnu)

toolchains/install.sh build
command -v "$gnu-g++" >/dev/null || toolchains/install.sh "cross-$target"

static=ON
# configure DIRECTORY CMAKE-OPTIONS...
configure() {
  directory=$1
  shift
  cmake -G Ninja -S . -B "$directory" --no-warn-unused-cli --log-level=WARNING -DCMAKE_TOOLCHAIN_FILE="toolchains/$target.cmake" \
    -DFLANNELETTE_WERROR=ON -DFLANNELETTE_STATIC=$static "$@"
}

sandbox=ON
case $target in mips*) sandbox=OFF ;; esac # no kernel here on which one could be tried

if [ "$what" = tests ]; then
  out=build/$target-test
  toolchains/install.sh test-target
  toolchains/sysroot.sh "$target" gnu "build/sysroot/$target-gnu"
  # One target has no precompiled headers, so that each file has to do with what it includes itself.
  without=OFF
  [ "$target" != i686 ] || without=ON
  # GCC 12 sees copies of short strings out of bounds that are none, in other files for each processor; the builds for this machine warn of real ones.
  warnings='-Wno-array-bounds -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread'
  configure "$out" -DCMAKE_DISABLE_PRECOMPILE_HEADERS=$without -DFLANNELETTE_LIBC=gnu -DFLANNELETTE_SANDBOX=$sandbox -DFLANNELETTE_TESTS=ON -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_CXX_FLAGS_DEBUG="-O1 $warnings"
  cmake --build "$out" --target test_unit test_sim
  exit
fi

smaller=
edge=
case $what in
  program) out=build/$target parts=ON kube=ON small_heap=OFF edge=-fstack-protector-strong ;;  # 1.3 KiB
  router) out=build/$target-router parts=ON kube=OFF small_heap=OFF edge=-fstack-protector-strong ;;
  shared) out=build/$target-shared parts=ON kube=OFF small_heap=OFF static=OFF ;;
  notls) # what is smaller and costs speed
    out=build/$target-notls parts=OFF kube=OFF small_heap=ON
    smaller='-fno-expensive-optimizations -fno-guess-branch-probability -fno-move-loop-invariants -fno-tree-loop-im -fipa-pta'
    ;;
  *) echo "build: program, router, shared, notls or tests, not $what" >&2; exit 1 ;;
esac
[ $sandbox = OFF ] || sandbox=$parts
sysroot=build/sysroot/$target
toolchains/sysroot.sh "$target" musl "$sysroot"
if [ $static = OFF ]; then
  toolchains/shared.sh "$gnu" "$sysroot" "$sysroot-shared"
  sysroot=$sysroot-shared sandbox=OFF # an SDK may have another libc
fi
# -Oz on x86 makes 1 % less of its code than -Os (GCC 12 and later), on ARM none. Tables there have no more than their alignment.
# MIPS16 makes two thirds of MIPS32's.
case $target in
  x86_64 | i686) size='-Oz -malign-data=abi' ;;
  mips*) size='-Os -mips16 -minterlink-mips16' ;;
  *) size=-Os ;;
esac
# On top of that: nothing is inlined that is larger than its call, one prologue a function, equal constants are one.
small="$size -DNDEBUG --param max-inline-insns-size=1 -fno-inline-small-functions -fno-shrink-wrap -fmerge-all-constants $smaller"
configure "$out/obj" -DFLANNELETTE_TLS=$parts -DFLANNELETTE_NAMES=$parts -DFLANNELETTE_REGEX=$parts -DFLANNELETTE_IPTABLES=$parts \
  -DFLANNELETTE_LEAVE=$parts -DFLANNELETTE_SANDBOX=$sandbox -DFLANNELETTE_STATUS=$parts -DFLANNELETTE_CHECK=$parts -DFLANNELETTE_KUBE=$kube -DFLANNELETTE_SMALL_HEAP=$small_heap -DFLANNELETTE_EDGE_FLAGS=$edge \
  -DMUSL_SYSROOT="$PWD/$sysroot" -DFLANNELETTE_NO_LIBSTDCXX=ON -DFLANNELETTE_LTO=ON -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_INSTALL_SYSCONFDIR="${SYSCONFDIR:-/etc}" \
  -DCMAKE_C_FLAGS_MINSIZEREL="$small" -DCMAKE_CXX_FLAGS_MINSIZEREL="$small"
cmake --build "$out/obj"
# strip_sections FILE: cuts the table of sections off, which no kernel reads: 1 KiB. binutils cannot before 2.41.
strip_sections() {
  end=0
  for segment in $("$gnu-readelf" -lW "$1" | awk '$1 == "LOAD" { print $2 "+" $5 }'); do
    # shellcheck disable=SC2004 # dash does not look into a variable for an expression
    last=$(($segment))
    [ "$last" -le "$end" ] || end=$last
  done
  head -c "$end" "$1" >"$1.cut"
  # e_shoff, then e_shnum and e_shstrndx: zero means that there is none.
  case $("$gnu-readelf" -h "$1") in
    *ELF64*) fields='40 8 60 4' ;;
    *) fields='32 4 48 4' ;;
  esac
  # shellcheck disable=SC2086 # a list of words
  set -- "$1" $fields
  dd if=/dev/zero of="$1.cut" bs=1 seek="$2" count="$3" conv=notrunc status=none
  dd if=/dev/zero of="$1.cut" bs=1 seek="$4" count="$5" conv=notrunc status=none
  chmod 755 "$1.cut"
  mv "$1.cut" "$1"
}

# Under another name first: the old one may be running.
"$gnu-strip" -s -R .comment -R .note.gnu.build-id -o "$out/flannelette.new" "$out/obj/flannelette"
[ $static = OFF ] || strip_sections "$out/flannelette.new"
mv "$out/flannelette.new" "$out/flannelette"
echo "$out/flannelette: $(stat -c %s "$out/flannelette") bytes"
