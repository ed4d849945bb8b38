#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The plain build, as a newcomer elsewhere than on Debian and as a packager make it, of a copy of the sources: `make` without a Debian
# mirror, the installed tree, and ctest. Part of make test-targets.
. "$(dirname "$0")/lib.sh"
need_program cmake cmake
need_program readelf binutils
need_program busybox busybox
toolchains/install.sh plain test-target >/dev/null 2>&1 || { echo 'the libraries to build with are missing (Debian: toolchains/packages.txt, plain)'; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/sources" "$work/lists"
project_files '*' | tar -cT - | tar -xC "$work/sources" || exit 1
printf 'PRETTY_NAME="Elsewhere 1"\nID=elsewhere\n' >"$work/os-release"
printf 'Dir::Etc::SourceList "/dev/null";\nDir::Etc::SourceParts "/dev/null";\nDir::State::Lists "%s";\n' "$work/lists" >"$work/no-mirror"

# With flags from outside, as OpenWrt and Yocto give them.
export OS_RELEASE=$work/os-release APT_CONFIG=$work/no-mirror
CXXFLAGS='-O2 -DFROM_OUTSIDE' LDFLAGS=-Wl,-z,now \
  CMAKE_OPTIONS='-DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-DNDEBUG -DFLANNELETTE_WERROR=ON' \
  make -C "$work/sources" >"$work/log" 2>&1 || { tail -n 40 "$work/log"; exit 1; }
grep -q 'Elsewhere 1 is not Debian' "$work/log" || wrong "make does not say that it makes the plain build: $(head -n 3 "$work/log")"
program=$work/sources/build/flannelette
[[ $("$program" --version) == flannelette\ * ]] || wrong 'build/flannelette does not run'
readelf -dW "$program" >"$work/dynamic"
for library in libmnl libinih libmbedtls; do grep -q "NEEDED.*\[$library" "$work/dynamic" || wrong "$library is not linked as a shared library"; done
! grep -E 'RPATH|RUNPATH' "$work/dynamic" || wrong 'it has a path to libraries'
grep -q 'BIND_NOW\|FLAGS.*NOW' "$work/dynamic" || wrong 'LDFLAGS from outside are not used'
readelf -SW "$program" | grep -q '\.symtab' || wrong 'it is stripped, which is for packagers to do'
! grep -qaF "$work" "$program" || wrong 'it holds the path of its sources'

DESTDIR=$work/root cmake --install "$work/sources/build/plain" >"$work/log" 2>&1 || wrong "$(cat "$work/log")"
for file in usr/sbin/flannelette etc/flannelette.ini usr/share/man/man8/flannelette.8 usr/share/bash-completion/completions/flannelette; do
  [ -f "$work/root/$file" ] || wrong "there is no $file in the installed tree"
done

# make install installs the same, by the tools that Alpine has, and compiles nothing again.
mkdir "$work/busybox"
for program in $(busybox --list); do
  case $program in '[' | '[[' | sh | ash) ;; *) ln -s "$(command -v busybox)" "$work/busybox/$program" ;; esac
done
(umask 077 && PATH=$work/busybox:$PATH make -C "$work/sources" install DESTDIR="$work/made" prefix=/usr) >"$work/log" 2>&1 || wrong "$(tail -n 40 "$work/log")"
! grep Building "$work/log" || wrong 'make install compiles again'
files() { find "$work/$1" -type f -printf '%m %s %P\n' | LC_ALL=C sort -k 3; }
diff <(files root) <(files made) || wrong 'make install and cmake --install differ'

# The packager's tests: ctest has each tier; the first two run anywhere.
cd "$work/sources" || exit 1
{ cmake build/plain -DFLANNELETTE_TESTS=ON && cmake --build build/plain --parallel "$(nproc)" --target test_unit test_sim; } >"$work/log" 2>&1 ||
  { tail -n 40 "$work/log"; exit 1; }
cd build/plain || exit 1
[[ $(ctest -N | sed -n 's/^ *Test *#[0-9]*: //p' | sort | paste -sd ' ') == 'kernel sim system unit' ]] || wrong "ctest has $(ctest -N)"
ctest -R '^(unit|sim)$' --output-on-failure >"$work/log" 2>&1 || wrong "$(tail -n 40 "$work/log")"
# A build elsewhere than below the sources: the tests find the documents that they read from where ctest starts them.
cp tests/unit "$work/unit"
(cd "$work/sources" && "$work/unit" -ts='cli/*') >"$work/log" 2>&1 || wrong "outside of the sources: $(grep -F '[  FAILED  ]' "$work/log")"
exit $status
