#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh SECONDS [NAME...]: runs the fuzz targets (all without a name) that make build-fuzz built, each so long and two at a time.
# All that a target found is in build/fuzz/corpus/NAME, for the next run; tests/fuzz/corpus/NAME gets what reaches code that
# its kept files do not. An input that crashes is left in build/fuzz/NAME-*. Exit status 1 if there is one.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=$1
shift
if [ $# -eq 0 ]; then
  for source in tests/fuzz/*_fuzz.cpp; do
    source=${source##*/}
    set -- "$@" "${source%_fuzz.cpp}"
  done
fi
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1

fuzz() {  # name
  local found=build/fuzz/corpus/$1 kept=tests/fuzz/corpus/$1 log=build/fuzz/$1.log program=build/fuzz/tests/$1_fuzz
  mkdir -p "$found" "$kept"
  # Longer inputs find nothing more here and cost speed.
  "$program" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/$1-" "$found" "$kept" >"$log" 2>&1
  local status=$? before
  before=$(find "$kept" -type f | wc -l)
  # Without counters: an input is new by an edge, not by how often one is taken. So the kept ones stay few.
  [ $status -ne 0 ] || "$program" -merge=1 -use_counters=0 -timeout=10 "$kept" "$found" >>"$log" 2>&1 || status=$?
  awk -v name="$1" -v status=$status -v kept="$(find "$kept" -type f | wc -l)" -v before="$before" '
    / cov: / { for (i = 1; i < NF; ++i) if ($i == "cov:" && $(i + 1) > edges) edges = $(i + 1) }
    /number_of_executed_units/ && !executions { executions = $2 }
    END {
      printf "%-12s %12d executions %6d edges %4d kept (%d new)%s\n", name, executions, edges, kept, kept - before,
        status == 0 ? "" : "  FAILED: build/fuzz/" name ".log"
    }' "$log"
  return $status
}
export -f fuzz
export seconds
printf '%s\n' "$@" | xargs -P 2 -I{} bash -c 'fuzz "$1"' bash {}
