#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What CMakeLists.txt promises to those who package: the tests change nothing of the program, the INI file is read from where
# it is installed and one that is there stays, the manual pages and the unit name the places, and settings that come later or are
# empty work. Configures only: nothing is compiled.
. "$(dirname "$0")/lib.sh"
need_program cmake cmake
need_program ninja ninja-build
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
# configure FOLDER OPTIONS...: prints cmake's complaints, if any
configure() {
  local folder=$work/$1
  shift
  cmake -G Ninja -S . -B "$folder" --log-level=WARNING "$@" >"$work/log" 2>&1 && return
  cat "$work/log"
  return 1
}

# commands FOLDER: all that makes the program there, whatever the folder's name
commands() { ninja -C "$work/$1" -t commands flannelette | sed "s|$work/$1|FOLDER|g"; }

# With tests and without: the same commands make the same program.
configure plain -DCMAKE_INSTALL_PREFIX=/usr || exit 1
if configure tests -DCMAKE_INSTALL_PREFIX=/usr -DFLANNELETTE_TESTS=ON; then
  diff <(commands plain) <(commands tests) >"$work/diff" || wrong "FLANNELETTE_TESTS=ON changes the program:
$(cut -c 1-400 "$work/diff" | head -n 6)"
else
  wrong 'FLANNELETTE_TESTS=ON cannot be configured'
fi

# The INI file: installed where the program looks for it.
for prefix in /usr /usr/local /opt/flannelette; do
  configure plain -DCMAKE_INSTALL_PREFIX="$prefix" || wrong "prefix $prefix cannot be configured"
  path=$(commands plain | grep -o 'FLANNELETTE_CONFIG=[^ ]*' | sort -u)
  path=${path#*=}
  path=${path//[\\\"]/}
  rm -rf "$work/root"
  DESTDIR=$work/root cmake --install "$work/plain" --component config >"$work/log" 2>&1 || wrong "$(cat "$work/log")"
  [ -f "$work/root$path" ] || wrong "prefix $prefix: the program reads $path, and the file is $(cd "$work" && find root -type f)"
  # One that is there is somebody's, and stays.
  echo '[log]' >"$work/root$path"
  DESTDIR=$work/root cmake --install "$work/plain" --component config >"$work/log" 2>&1 || wrong "$(cat "$work/log")"
  [ "$(cat "$work/root$path")" = '[log]' ] || wrong "prefix $prefix: the INI file that was there is overwritten"
  for part in manual completion documents systemd; do
    DESTDIR=$work/root cmake --install "$work/plain" --component $part >"$work/log" 2>&1 || wrong "$(cat "$work/log")"
  done
  for file in man/man8/flannelette.8 man/man5/flannelette.ini.5 man/man7/flannelette-log.7 bash-completion/completions/flannelette \
    doc/flannelette/LICENSE doc/flannelette/LICENSE-THIRD-PARTY; do
    [ -f "$work/root$prefix/share/$file" ] || wrong "prefix $prefix: there is no share/$file"
  done
  grep -qF "$path" "$work/root$prefix/share/man/man5/flannelette.ini.5" || wrong "prefix $prefix: flannelette.ini(5) does not name $path"
  unit=$work/root$prefix/lib/systemd/system/flannelette.service
  grep -q "^ExecStart=$prefix/sbin/flannelette " "$unit" || wrong "prefix $prefix: the unit does not start $prefix/sbin/flannelette"
  [ "$(sed 's/^ExecStart=.* run$/ExecStart=flannelette run/' "$unit")" = "$(cat board/systemd/flannelette.service)" ] ||
    wrong "prefix $prefix: the unit is not that of board/systemd"
  # All of board/systemd is installed.
  while IFS= read -r file; do
    [ -n "$(find "$work/root$prefix/lib" -name "$file")" ] || wrong "prefix $prefix: board/systemd's $file is not installed"
  done < <(find board/systemd -type f ! -name README.md -printf '%f\n')
  ! grep -r '@[A-Z_]*@' "$work/root$prefix/share/man" || wrong "prefix $prefix: something is not filled in"
  [ "$prefix" != /usr ] || [ "$path" = /etc/flannelette.ini ] || wrong "with the prefix /usr the program reads $path"
done

# State elsewhere: the unit makes the folder and may write there.
configure state -DFLANNELETTE_STATE_DIR=/data/flannelette || wrong 'FLANNELETTE_STATE_DIR cannot be configured'
diff board/systemd/flannelette.service "$work/state/flannelette.service" | grep '^[<>]' | grep -v ExecStart= | diff - <(
  echo '< StateDirectory=flannelette'
  echo '< StateDirectoryMode=0700'
  echo '> ExecStartPre=-+install -d -m 700 -o flannelette -g flannelette /data/flannelette'
  echo '> ReadWritePaths=-/data/flannelette'
) || wrong 'the unit does not follow FLANNELETTE_STATE_DIR'

# Without systemd: nothing for it.
configure plain -DFLANNELETTE_UNIT_DIR= || wrong 'FLANNELETTE_UNIT_DIR= cannot be configured'
rm -rf "$work/root"
DESTDIR=$work/root cmake --install "$work/plain" --component systemd >"$work/log" 2>&1 || wrong "$(cat "$work/log")"
[ ! -e "$work/root" ] || wrong "FLANNELETTE_UNIT_DIR= installs $(cd "$work/root" && find . -type f)"

# Static linking, switched on and off in a folder that was configured: what was found for the other is not kept, but what
# somebody named is.
mkdir -p "$work/libraries"
for library in mnl inih mbedtls mbedx509 mbedcrypto; do touch "$work/libraries/lib$library".{a,so}; done
touch "$work/named.a"
found() { sed -n 's|^[a-z0-9]*_LIBRARY:[A-Z]*=.*/||p' "$work/plain/CMakeCache.txt" | sort | paste -sd ' '; }
fresh=(-Umnl_LIBRARY '-Umbed*_LIBRARY')
for kind in OFF ON OFF; do
  suffix=so
  [ $kind = OFF ] || suffix=a
  configure plain -DCMAKE_LIBRARY_PATH="$work/libraries" -DFLANNELETTE_STATIC=$kind -Dinih_LIBRARY="$work/named.a" \
    "${fresh[@]}" || wrong "FLANNELETTE_STATIC=$kind cannot be configured"
  fresh=()
  expected="libmbedcrypto.$suffix libmbedtls.$suffix libmbedx509.$suffix libmnl.$suffix named.a"
  [ "$(found)" = "$expected" ] || wrong "FLANNELETTE_STATIC=$kind in a folder of the other kind takes $(found), not $expected"
done

# Flags from outside are used, and ours add no optimisation, no path to libraries and no stripping.
CXXFLAGS='-O2 -DFROM_OUTSIDE' LDFLAGS=-Wl,-z,now configure flags -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-DNDEBUG ||
  wrong 'flags from outside cannot be configured'
commands flags >"$work/commands"
lacking=$(grep ' -c ' "$work/commands" | grep -vc -- '-O2 -DFROM_OUTSIDE -DNDEBUG')
[ "$lacking" = 0 ] || wrong "$lacking files are compiled without the flags from outside"
! grep -oE -- ' -O[013sz]| -Ofast' "$work/commands" || wrong 'an optimisation level is forced'
grep -v ' -c ' "$work/commands" | grep -q -- '-Wl,-z,now' || wrong 'LDFLAGS from outside are not used'
! grep -v ' -c ' "$work/commands" | grep -E -- ' -s |rpath' || wrong 'the program is stripped or has a path to libraries'

# Nothing is there: one message names every header and library, and the packages of four systems.
said=$(configure nothing -DCMAKE_FIND_ROOT_PATH="$work/empty" -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY \
  -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY -DFLANNELETTE_TESTS=ON) && wrong 'configured without any library'
for word in libmnl/libmnl.h libmnl ini.h libinih mbedtls/ssl.h libmbedtls libmbedx509 libmbedcrypto doctest/doctest.h \
  'libmnl-dev libinih-dev libmbedtls-dev doctest-dev' Fedora Alpine Arch; do
  [[ $said == *"$word"* ]] || wrong "the message about what is missing does not say $word: $said"
done
# One is too new or too old: the others are not named.
mkdir -p "$work/other/mbedtls"
for version in 4.0 2.16; do
  header=build_info.h
  [ $version = 4.0 ] || header=version.h
  rm -f "$work"/other/mbedtls/*
  printf '#define MBEDTLS_VERSION_MAJOR          %s\n#define MBEDTLS_VERSION_MINOR  %s\n' ${version%.*} ${version#*.} >"$work/other/mbedtls/$header"
  said=$(configure other -Ddep_mbedtls_INCLUDE_DIR="$work/other") && wrong "mbedTLS $version is taken"
  [[ $said == *"2.28 or 3; $work/other has $version"* && $said == *mbedtls3-dev* && $said != *libmnl* ]] || wrong "mbedTLS $version gets: $said"
done

# SOURCE_DATE_EPOCH: empty is as unset, a number is taken, and anything else is named.
for epoch in '' 1700000000; do
  SOURCE_DATE_EPOCH=$epoch configure plain || wrong "SOURCE_DATE_EPOCH='$epoch' cannot be configured"
  built=$(commands plain | grep -o 'FLANNELETTE_BUILT=[0-9]*')
  [ "$built" = "${epoch:+FLANNELETTE_BUILT=$epoch}" ] || wrong "SOURCE_DATE_EPOCH='$epoch' gives '$built'"
done
if said=$(SOURCE_DATE_EPOCH=yesterday configure plain) || [[ $said != *"'yesterday'"* ]]; then
  wrong "SOURCE_DATE_EPOCH=yesterday: $said"
fi
exit $status
