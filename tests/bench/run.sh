#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Measures the shipped binary and prints one table (README.md in this folder). `make bench` builds first what this needs.
#
#   tests/bench/run.sh                      # everything
#   tests/bench/run.sh sync latency         # some parts
#   FLANNELD=path ...                       # flanneld beside it; several paths, separated by blanks
#   PLOT=1 ...                              # also draws tests/bench/time.svg and memory.svg, if `sync` was run
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly build=${FLANNELETTE_BUILD_DIR:-build}
export FLANNELETTE=${FLANNELETTE:-$build/flannelette}
export BENCH_PROBE=${BENCH_PROBE:-$build/$(toolchains/target.sh -m)/obj/bench_probe}
export BENCH_RESULTS=$build/bench/results.tsv
readonly bench=${BENCH:-$build/test/bench}
mkdir -p "$build/bench"

for program in "$FLANNELETTE" "$BENCH_PROBE" "$bench" ${FLANNELD-}; do
  [[ -x $program ]] || { echo "cannot be executed: $program (make bench builds what is ours)" >&2; exit 1; }
done
for program in etcd etcdctl curl valgrind ip; do
  command -v "$program" >/dev/null || { echo "$program is missing" >&2; exit 1; }
done

"$bench" "$@" 2> >(tee "$build/bench/log" >&2) | tee "$build/bench/table.txt"

[[ ${PLOT-} ]] || exit 0
draw() { # chart, file, title, axis
  awk -f tests/bench/chart.awk -v chart="$1" -v title="$3" -v axis="$4" -v floor_label='floor: curl + bare netlink' \
    "$BENCH_RESULTS" >"$build/bench/$2"
  mv "$build/bench/$2" "tests/bench/$2"
  echo "tests/bench/$2"
}
draw sync time.svg 'From exec until every peer is in the kernel' 'time (logarithmic)'
draw rss memory.svg 'Memory once every peer is in the kernel' 'resident memory (logarithmic)'
