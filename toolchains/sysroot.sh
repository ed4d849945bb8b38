#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sysroot.sh TARGET LIBC DIR: makes DIR what a program for TARGET (toolchains/targets) is linked with, compiled by Debian's GCC
# for it. Does nothing when DIR is up to date.
#   LIBC=musl   for the shipped binary: musl, the kernel's headers, libmnl, mbedTLS, inih
#   LIBC=gnu    for test binaries: libmnl, mbedTLS, inih and doctest, beside the glibc and libstdc++ of the compiler
set -eu
target=$1
libc=$2
mkdir -p "$3"
sysroot=$(cd "$3" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
downloads=$(dirname "$sysroot")/downloads

architecture=$("$here/target.sh" "$target" debian)
libmnl=$architecture
[ "$libmnl" != - ] || libmnl=amd64 # its headers, which are the same everywhere
musl=$("$here/target.sh" "$target" musl)
gnu=$("$here/target.sh" "$target" gnu)
CC=$gnu-gcc
flags="$("$here/target.sh" "$target" flags) -Os -pipe -fomit-frame-pointer -ffunction-sections -fdata-sections"
flags="$flags -fno-asynchronous-unwind-tables -fno-unwind-tables"
# As build.sh has it for our code: what is smaller. The switches of mbedTLS are in handshakes.
case $target in x86_64 | i686) size=-Oz ;; *) size=-Os ;; esac
small="$size --param max-inline-insns-size=1 -fno-inline-small-functions -fno-shrink-wrap -fmerge-all-constants -fno-jump-tables"
protect=-fstack-protector  # not for musl, which sets the protector up
case $libc in
  musl)
    model=$("$here/target.sh" "$target" model)
    [ "$model" = - ] || flags="$flags -mcmodel=$model"
    headers="-nostdinc -isystem $sysroot/include -isystem $("$CC" -print-file-name=include)" lto=-flto
    flags="$flags -fno-pie"
    # Ours is MIPS16 there (build.sh), which link-time optimisation would make of these, too.
    case $musl in *sf) flags="$flags -msoft-float" lto='' ;; esac
    ;;
  gnu) headers="-isystem $sysroot/include" lto='' flags="$flags -fPIE" ;;  # tests are linked often, and quickly without it
  *) echo "sysroot: musl or gnu, not $libc" >&2; exit 1 ;;
esac
jobs=$(nproc)

exec 9>"$(dirname "$sysroot")/lock"  # one at a time
flock 9
stamp=$({ echo "$musl $architecture $flags"; "$CC" --version; } | cat - "$here/sysroot.sh" "$here/pins" "$here"/*.[ch] | sha256sum)
[ "$(cat "$sysroot/stamp" 2>/dev/null)" != "$stamp" ] || exit 0

"$here/fetch.sh" "$libmnl" "$downloads"
echo "sysroot: building $target ($libc)" >&2
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
  # shellcheck disable=SC2016,SC2086 # expanded by the inner shell; $flags and $headers are lists of words
  xargs -P "$jobs" -I{} sh -c 'object=$1/$(basename "$2" .c).o; shift 2; exec "$@" -c -o "$object"' sh \
    "$work/$library.o" {} "$CC" $flags $headers "-ffile-prefix-map=$work/=" "$@" {}
  "$gnu-gcc-ar" rcs "$sysroot/lib/$library" "$work/$library.o"/*.o
}

if [ "$libc" = musl ]; then
  unpack musl "$downloads"/musl_*.orig.tar.*
  (
    cd "$work/musl"
    # The clock is read a few times a wake-up: by the system call alone, without a search of the vDSO for a faster one (0.7 KiB).
    sed -i 's/^#ifdef VDSO_CGT_SYM/#if 0/' src/time/clock_gettime.c
    # Names are looked up without a service: /etc/services is not read, and what is no UTF-8 is no name of a host anywhere (1.4 KiB).
    sed -i 's/if (flags & AI_NUMERICSERV) return/return/' src/network/lookup_serv.c
    sed -i 's/ || mbstowcs(0, host, 0) == -1//' src/network/lookup_name.c
    # For a word in a line of a file, and for a border of PEM: compared at each place, without tables (0.8 KiB).
    cat >src/string/strstr.c <<'END'
#include <string.h>
char *strstr(const char *text, const char *word) {
  size_t size = strlen(word);
  for (; strncmp(text, word, size); ++text)
    if (!*text) return 0;
  return (char *)text;
}
END
    # For the addresses of one name, of which there are 48 at most (1.2 KiB).
    cat >src/stdlib/qsort.c <<'END'
#define _BSD_SOURCE
#include <stdlib.h>
void __qsort_r(void *base, size_t count, size_t width, int (*compare)(const void *, const void *, void *), void *with) {
  char *begin = base;
  for (char *at = begin; count--; at += width)
    for (char *b = at; b > begin && compare(b - width, b, with) > 0; b -= width)
      for (size_t i = 0; i < width; ++i) {
        char c = b[i];
        b[i] = b[i - width];
        b[i - width] = c;
      }
}
weak_alias(__qsort_r, qsort_r);
END
    ./configure --target="$musl" --prefix= --libdir=/lib --includedir=/include --disable-shared --disable-wrapper \
      --enable-optimize=size CC="$CC" AR="$gnu-ar" RANLIB="$gnu-ranlib" CFLAGS="$flags $size"
    make -j "$jobs" DESTDIR="$sysroot" install-libs install-headers
  ) >"$work/musl.log" 2>&1 || { tail -n 20 "$work/musl.log" >&2; exit 1; }

  # The kernel's headers that belong to the compiler, <linux/*.h> and what they include.
  for file in linux/netlink.h asm/types.h asm-generic/types.h; do
    path=$(echo "#include <$file>" | "$CC" -E -xc - | sed -n "s,^# 1 \"\(.*\)/${file#*/}\".*,\1,p" | head -n 1)
    cp -rL "$path" "$sysroot/include/"
  done
fi

if [ "$libc" = musl ] && [ "${musl%sf}" != "$musl" ]; then
  # Of Debian's libgcc, which is for machines with floating point, what has to do with integers only, without its marks. Nothing
  # of ours asks for more: a function that is not there does not link.
  mkdir "$work/libgcc"
  (
    cd "$work/libgcc"
    "$gnu-ar" x "$("$CC" -print-libgcc-file-name)" _lshrdi3.o _ashldi3.o _ashrdi3.o _ucmpdi2.o _divdi3.o _moddi3.o _udivdi3.o _umoddi3.o \
      _clz.o _clzdi2.o _clzsi2.o _ctzdi2.o _ctzsi2.o _bswapsi2.o _bswapdi2.o
    for object in *.o; do "$gnu-objcopy" -R .gnu.attributes -R .MIPS.abiflags "$object"; done
    "$gnu-ar" rcs "$sysroot/lib/libgcc.a" ./*.o
  )
fi

dpkg-deb -x "$downloads"/libmnl-dev_*_"$libmnl".deb "$work/libmnl"
cp -r "$work/libmnl/usr/include/libmnl" "$sysroot/include/"
if [ "$libmnl" = "$architecture" ]; then
  # Without unwind tables, as everything else here. On 32-bit machines it was compiled for glibc's functions with 64-bit time;
  # musl has no others, and calls them by their plain names.
  "$gnu-objcopy" -R .eh_frame -R .rela.eh_frame --redefine-sym __recvmsg64=recvmsg --redefine-sym __setsockopt64=setsockopt \
    --redefine-sym __getsockopt64=getsockopt "$work"/libmnl/usr/lib/*/libmnl.a "$sysroot/lib/libmnl.a"
else
  echo "$here/mnl_sockets.c" | compile libmnl.a
fi
if [ "$libc" = gnu ]; then
  cp -r /usr/include/doctest "$sysroot/include/"  # a header for any machine
fi

unpack mbedtls "$downloads"/mbedtls_*.orig.tar.*
cp -r "$work/mbedtls/include/mbedtls" "$work/mbedtls/include/psa" "$sysroot/include/"
cp "$here/mbedtls_config.h" "$sysroot/include/mbedtls/mbedtls_config.h"
cp "$here/psa_config.h" "$sysroot/include/psa/crypto_config.h"
# RSA only signs and verifies: no ciphersuite here encrypts with it (2 KiB).
sed -i '/^    \.\(de\|en\)crypt_func = rsa_/d' "$work/mbedtls/library/pk_wrap.c"
# A private key names all its numbers, or is refused as it is read: none is computed from the others (2.6 KiB).
sed -i 's/^    \(pq_missing\|d_missing \) = .*/    \1 = 0;/; s/if (is_priv && !(have_DP && have_DQ && have_QP))/if (0)/' \
  "$work/mbedtls/library/rsa.c"
# In TLS 1.2, too, a server may sign with RSA-PSS that we offer for 1.3, and does if it goes by its own order; the code that verifies it is there.
sed -i 's/if (!mbedtls_ssl_sig_alg_is_supported(ssl, sig_alg))/if (sig_alg >> 8 != 8 \&\& !mbedtls_ssl_sig_alg_is_supported(ssl, sig_alg))/' \
  "$work/mbedtls/library/ssl_tls12_client.c"
# Nobody asks what a ciphersuite is called.
sed -i 's/"TLS[-0-9A-Z]*"/""/' "$work/mbedtls/library/ssl_ciphersuites.c"
# What reads a stranger's records and certificates is protected like our io, http and json (build.sh).
# shellcheck disable=SC2086 # a list of words
printf '%s\n' "$work"/mbedtls/library/ssl_*.c "$work"/mbedtls/library/x509*.c |
  compile libmbedtls.a $lto $small "$protect-strong" -I"$work/mbedtls/library"
rm "$work"/mbedtls/library/ssl_*.c "$work"/mbedtls/library/x509*.c
# shellcheck disable=SC2086 # a list of words
printf '%s\n' "$work"/mbedtls/library/*.c "$here/mbedtls_random.c" |
  compile libmbedcrypto.a $lto $small $protect -I"$work/mbedtls/library"
"$gnu-ar" rcs "$sysroot/lib/libmbedx509.a"  # it is in libmbedtls.a; others look for three files

unpack inih "$downloads"/libinih_*.orig.tar.*
cp "$work/inih/ini.h" "$sysroot/include/"
sed -i '/^int ini_parse_file(/,/^}/d; /^int ini_parse(/,/^}/d' "$work/inih/ini.c" # not called, and stdio would be linked for them
echo "$work/inih/ini.c" | compile libinih.a $lto $protect

rm -rf "$work"
echo "$stamp" >"$sysroot/stamp"
