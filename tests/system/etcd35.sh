#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# etcd35.sh BINARY: runs the system tests that speak most with etcd against etcd 3.5, Debian 13's package, unpacked in build/etcd35
# and not installed. It is a Go program that asks for nothing newer than Debian 12's C library.
set -eu
binary=$1
cd "$(dirname "$0")/../.."
. tests/system/unpack.sh
unpack etcd35 FAILED 'etcd 3.5'

# Not those that take their time with the node alone.
FLANNELETTE_ETCD=$dir/usr/bin/etcd exec "$binary" \
  --test-suite=system/join,system/lease,system/restart,system/boot,system/faults,system/tls,system/auth,etcd35 \
  --test-case-exclude='*joins and leaves*,*three lives*'
