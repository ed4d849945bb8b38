#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sysroot.sh TARGET DIR: makes DIR a musl sysroot for TARGET (x86_64-linux-musl, aarch64-linux-musl), with all that the static
# binary is linked with: musl, the kernel's headers, libmnl, mbedTLS and inih. Debian's own GCC for that processor compiles
# it; TARGET.cmake beside this script uses the result. Does nothing when DIR is up to date.
set -eu
target=$1
mkdir -p "$2"
sysroot=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
downloads=$(dirname "$sysroot")/downloads

case $target in
  x86_64-linux-musl) architecture=amd64 ;;
  aarch64-linux-musl) architecture=arm64 ;;
  *) echo "sysroot: unknown target $target" >&2 && exit 1 ;;
esac
gnu=${target%musl}gnu  # the name of Debian's compiler
CC=$gnu-gcc
flags="-Os -pipe -fPIE -fomit-frame-pointer -ffunction-sections -fdata-sections"
flags="$flags -fno-asynchronous-unwind-tables -fno-unwind-tables"
protect=-fstack-protector  # not for musl, which sets the protector up
jobs=$(nproc)

exec 9>"$(dirname "$sysroot")/lock"  # one at a time
flock 9
stamp=$("$CC" --version | cat - "$here/sysroot.sh" "$here/pins" "$here"/*.[ch] | sha256sum)
[ "$(cat "$sysroot/stamp" 2>/dev/null)" != "$stamp" ] || exit 0

"$here/fetch.sh" "$architecture" "$downloads"
echo "sysroot: building $target" >&2
rm -rf "${sysroot:?}"/*
work=$sysroot/work
mkdir -p "$work" "$sysroot/include" "$sysroot/lib"

unpack() { # unpack NAME FILE
  mkdir "$work/$1"
  tar -xf "$2" -C "$work/$1" --strip-components=1
}

# compile LIBRARY FLAGS...: the files named on standard input become lib/LIBRARY.
compile() {
  library=$1
  shift
  mkdir "$work/$library.o"
  # shellcheck disable=SC2016,SC2086 # expanded by the inner shell; $flags is a list of words
  xargs -P "$jobs" -I{} sh -c 'object=$1/$(basename "$2" .c).o; shift 2; exec "$@" -c -o "$object"' sh \
    "$work/$library.o" {} "$CC" $flags -nostdinc -isystem "$sysroot/include" \
    -isystem "$("$CC" -print-file-name=include)" "-ffile-prefix-map=$work/=" "$@" {}
  "$gnu-gcc-ar" rcs "$sysroot/lib/$library" "$work/$library.o"/*.o
}

unpack musl "$downloads"/musl_*.orig.tar.*
(
  cd "$work/musl"
  ./configure --target="$target" --prefix= --libdir=/lib --includedir=/include --disable-shared --disable-wrapper \
    --enable-optimize=size CC="$CC" AR="$gnu-ar" RANLIB="$gnu-ranlib" CFLAGS="$flags"
  make -j "$jobs" DESTDIR="$sysroot" install-libs install-headers
) >"$work/musl.log" 2>&1 || { tail -n 20 "$work/musl.log" >&2; exit 1; }

# The kernel's headers that belong to the compiler, <linux/*.h> and what they include.
for file in linux/netlink.h asm/types.h asm-generic/types.h; do
  path=$(echo "#include <$file>" | "$CC" -E -xc - | sed -n "s,^# 1 \"\(.*\)/${file#*/}\".*,\1,p" | head -n 1)
  cp -rL "$path" "$sysroot/include/"
done

dpkg-deb -x "$downloads"/libmnl-dev_*_"$architecture".deb "$work/libmnl"
cp -r "$work/libmnl/usr/include/libmnl" "$sysroot/include/"
# Without unwind tables, as everything else here.
"$gnu-objcopy" -R .eh_frame -R .rela.eh_frame "$work"/libmnl/usr/lib/*/libmnl.a "$sysroot/lib/libmnl.a"
echo "$here/glibc_shim.c" | compile libglibc_shim.a
printf 'ADDLIB %s\n' "$sysroot/lib/libmnl.a" "$sysroot/lib/libglibc_shim.a" |
  { echo "CREATE $sysroot/lib/libmnl.a.new"; cat; echo SAVE; } | "$gnu-ar" -M
mv "$sysroot/lib/libmnl.a.new" "$sysroot/lib/libmnl.a"

unpack mbedtls "$downloads"/mbedtls_*.orig.tar.*
cp -r "$work/mbedtls/include/mbedtls" "$work/mbedtls/include/psa" "$sysroot/include/"
cp "$here/mbedtls_config.h" "$sysroot/include/mbedtls/mbedtls_config.h"
printf '%s\n' "$work"/mbedtls/library/*.c "$here/mbedtls_random.c" | compile libmbedcrypto.a -flto $protect -I"$work/mbedtls/library"
for library in mbedtls mbedx509; do # all is in libmbedcrypto.a; others look for three files
  "$gnu-ar" rcs "$sysroot/lib/lib$library.a"
done

unpack inih "$downloads"/libinih_*.orig.tar.*
cp "$work/inih/ini.h" "$sysroot/include/"
echo "$work/inih/ini.c" | compile libinih.a -flto $protect

rm -rf "$work" "$sysroot/lib/libglibc_shim.a"
echo "$stamp" >"$sysroot/stamp"
