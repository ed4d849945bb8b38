#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# prometheus.sh BINARY: the metrics of a node before a real Prometheus, Debian 12's package, unpacked in build/prometheus and not
# installed. It is a Go program that asks for nothing but a C library.
set -eu
binary=$1
cd "$(dirname "$0")/../.."
. tests/system/unpack.sh
unpack prometheus SKIPPED Prometheus
PROMETHEUS=$dir/usr/bin/prometheus exec "$binary" --test-suite=prometheus
