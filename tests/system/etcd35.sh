#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# etcd35.sh BINARY: runs the system tests that speak most with etcd against etcd 3.5, Debian 13's package, unpacked in build/etcd35
# and not installed. It is a Go program that asks for nothing newer than Debian 12's C library.
set -eu
binary=$1
cd "$(dirname "$0")/../.."
mkdir -p "${FLANNELETTE_BUILD_DIR:-build}/etcd35"
dir=$(cd "${FLANNELETTE_BUILD_DIR:-build}/etcd35" && pwd)
name='etcd 3.5 can be had'

architecture=$(dpkg --print-architecture)
export PINS=tests/system/etcd35.pins
if ! grep -q " $architecture " "$PINS"; then
  printf '[ RUN      ] %s\n[   LINE   ] --- skipped: it is pinned for amd64, not for %s\n[  SKIPPED ] %s\n' "$name" "$architecture" "$name"
  exit 0
fi
if ! toolchains/fetch.sh "$architecture" "$dir"; then
  printf '[ RUN      ] %s\n[  FAILED  ] %s\n' "$name" "$name"
  exit 1
fi
for package in "$dir"/etcd-*.deb; do
  dpkg-deb -x "$package" "$dir"
done

# Not those that take their time with the node alone.
FLANNELETTE_ETCD=$dir/usr/bin/etcd exec "$binary" \
  --test-suite=system/join,system/lease,system/restart,system/boot,system/faults,system/tls,system/auth \
  --test-case-exclude='*joins and leaves*,*three lives*'
