#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A pin that Debian's pool has dropped: the version of its series that the archive has now is taken, checked and named, and
# `make pins` writes it down. Asks the archive for its list of sources, once a day.
. "$(dirname "$0")/lib.sh"
need_program dpkg dpkg
work=$PWD/${FLANNELETTE_BUILD_DIR:-build}/check/pins
mkdir -p "$work"
cd "$work" || exit 1
root=$OLDPWD
find . -maxdepth 1 -type f -delete
# Everything is there but mbedTLS, of which a version is pinned that never was, beside an older file of the same library.
grep -E ' (source|amd64) ' "$root/toolchains/pins" | grep -v '^mbedtls ' >pins
while read -r _ _ _ path _; do
  cp "$root/build/sysroot/downloads/${path##*/}" . 2>/dev/null
done <pins
sed -n 's/mbedtls_3\.6\.[0-9]*/mbedtls_3.6.0.1/p' "$root/toolchains/pins" >>pins
touch mbedtls_3.6.0.orig.tar.bz2
if ! PINS=$work/pins "$root/toolchains/fetch.sh" amd64 "$work" >said 2>&1; then
  grep -q 'update failed' said && { echo 'the archive cannot be reached'; exit 77; }
  wrong "$(cat said)"
fi
files=(mbedtls_3.6.*.orig.tar.*)
[[ ${#files[@]} == 1 && -s ${files[0]} ]] || wrong "not one file of mbedTLS: ${files[*]}"
[[ $(grep -c 'not the pinned one' said) == 1 ]] || wrong "not said once that it is not the pinned one: $(cat said)"
grep -q "mbedtls_3.6.0.1.* ${files[0]} " said || wrong "the two files are not named: $(cat said)"

# A checksum that does not fit the file of a pinned name is an error, never a reason to take another.
awk '$2 == "amd64" { $5 = "00" substr($5, 3); print }' "$root/toolchains/pins" >wrong-sum
if PINS=$work/wrong-sum ATTEMPTS=1 "$root/toolchains/fetch.sh" amd64 "$work" >said 2>&1; then
  wrong "a file with another checksum than its pin's was taken: $(cat said)"
fi

# What `make pins` writes is there.
"$root/toolchains/pins.sh" pins 2>said || wrong "$(cat said)"
grep -q "${files[0]}" pins || wrong "pins.sh does not write ${files[0]} down: $(cat said)"
[[ $(wc -l <pins) == 4 ]] || wrong "pins.sh leaves $(wc -l <pins) lines of 4"
PINS=$work/pins "$root/toolchains/fetch.sh" amd64 "$work" >said 2>&1 || wrong 'the renewed pins are not taken'
! grep -q 'not the pinned one' said || wrong "after the renewal: $(cat said)"
exit $status
