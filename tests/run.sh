#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the parts of the test suite that are named (those of `make test` without a name) on what `make test` built, and
# ends with one summary in cmocka's form. Exit status 0 or 1.
#
#   tests/run.sh                  # everything here; for the targets in VM_TARGETS also the program, on kernels of their own
#   tests/run.sh unit sim         # some parts
#   tests/run.sh unit@armv7       # a part for another target (tests/README.md)
#   tests/run.sh targets          # all parts of all other targets, and what is slow
#
#   ADD_RESULTS=1 tests/run.sh targets    # the summary is that of the run before and of this one
#
# One part more runs at once than the machine has processors, since some mostly wait (TEST_JOBS=1: one after the other). What
# they print comes in whole pieces, in the order of the parts; the first one that is not done is followed as it goes.
#
# A part that dies, runs no test, or is over its time limit is one failed test more. With CI=true skipped tests of
# the parts check, package, image, systemd@, unit, sim, kernel, openwrt, system, program@, vm@ and system@ count as failed. Output of each part:
# build/test-results/PART.txt.
set -u
cd "$(dirname "$0")/.." || exit 1

readonly build=${FLANNELETTE_BUILD_DIR:-build}
readonly results=$build/test-results
jobs=${TEST_JOBS:-$(($(nproc) + 1))}
[[ $jobs =~ ^[1-9][0-9]*$ ]] || { echo "tests/run.sh: TEST_JOBS is not a number of parts: '$jobs'" >&2; exit 1; }
# The system tier in pieces, which are one part to whoever reads the results: the suites of the first three are named here,
# and the fourth has all others.
readonly jobs system1=system/faults,system/settings,system/lease,system/names system2=system/tls,system/scale,system/quorum
readonly system3=system/damage,system/device,system/failover,system/upgrade,system/chaos
all_parts='unit sim system.1 unit-valgrind system.3 system.2 unit-asan system.4 sim-asan check kernel kernel-asan fuzz openwrt kube'
for target in ${VM_TARGETS:-}; do all_parts+=" program@$target vm@$target"; done  # make test says which
[ -z "${NOTLS_TARGET:-}" ] || all_parts+=" notls@$NOTLS_TARGET"
readonly all_parts
machine=$(toolchains/target.sh -m)
target_parts=$(
  for target in $(toolchains/target.sh); do
    [ "$target" != "$machine" ] || continue
    printf '%s ' "unit@$target" "sim@$target" "program@$target"
  done
  for target in $(tests/targets/vm.sh); do printf '%s ' "vm@$target"; done
  [ "$machine" != x86_64 ] || printf '%s ' system@i686  # which the kernel runs itself
  echo package systemd@bookworm systemd@trixie image reproducible check-lintian system-etcd35 prometheus chaos check-size check-plain
)
readonly machine target_parts

export CMOCKA_MESSAGE_OUTPUT=STDOUT
unset CMOCKA_XML_FILE
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:abort_on_error=0:exitcode=99:allow_addr2line=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:exitcode=99:allow_addr2line=1

# Background jobs of a script do not get the terminal's interrupt: each passes on what it is told here.
trap 'jobs -pr | xargs -r kill 2>/dev/null; wait; exit 1' INT TERM

# Where a processor is emulated (valgrind does so, too): a tenth of the rounds of tests with random input, which unit, sim and
# their -asan have all of.
readonly few_rounds=(env FLANNELETTE_TEST_ROUNDS=10)

command_of() {  # part: one word a line
  local target=${1#*@} binary=
  case $1 in
    unit@* | sim@*) printf '%s\n' "${few_rounds[@]}" "$(toolchains/target.sh "$target" qemu)" "$build/$target-test/tests/${1%@*}" ;;
    program@* | vm@* | notls@*)
      [ "${1%@*}" != notls ] || binary=$target-notls
      printf '%s\n' env FLANNELETTE_TARGET="${binary:-$target}" FLANNELETTE_EMULATOR="$(toolchains/target.sh "$target" qemu)" \
        "$build/test/tests/targets" "--test-suite=targets/${1%@*}"
      ;;
    system@*) printf '%s\n' env FLANNELETTE="$build/$target/flannelette" "$build/test/tests/system" --test-suite-exclude=soak,kube,prometheus,etcd35 ;;
    prometheus) printf '%s\n' tests/system/prometheus.sh "$build/test/tests/system" ;;
    kube) printf '%s\n' "$build/test/tests/system" --test-suite=kube ;;
    chaos) printf '%s\n' env FLANNELETTE_CHAOS=100 "$build/test/tests/system" --test-suite=system/chaos ;;
    check) printf '%s\n' tests/check/run.sh ;;
    check-*) printf '%s\n' tests/check/run.sh "${1#check-}" ;;
    package) printf '%s\n' tests/package/debian.sh ;;
    image) printf '%s\n' tests/package/image.sh ;;
    systemd@*) printf '%s\n' tests/systemd/systemd.sh "$target" ;;
    reproducible) printf '%s\n' tests/package/reproducible.sh ;;
    fuzz) printf '%s\n' tests/fuzz/replay.sh ;;
    openwrt) printf '%s\n' tests/openwrt/run.sh "$build/flannelette" ;;
    system-etcd35) printf '%s\n' tests/system/etcd35.sh "$build/test/tests/system" ;;
    unit-valgrind)
      printf '%s\n' "${few_rounds[@]}" valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect,possible \
        --errors-for-leak-kinds=definite,indirect,possible --child-silent-after-fork=yes "$build/test/tests/unit" ;;
    *-asan) printf '%s\n' "$build/asan/tests/${1%-asan}" ;;
    system) printf '%s\n' "$build/test/tests/system" --test-suite-exclude=soak,kube,prometheus,etcd35 ;;
    system.1) printf '%s\n' "$build/test/tests/system" --test-suite="$system1" ;;
    system.2) printf '%s\n' "$build/test/tests/system" --test-suite="$system2" ;;
    system.3) printf '%s\n' "$build/test/tests/system" --test-suite="$system3" ;;
    system.4) printf '%s\n' "$build/test/tests/system" --test-suite-exclude="soak,kube,prometheus,etcd35,$system1,$system2,$system3" ;;
    *) printf '%s\n' "$build/test/tests/$1" ;;
  esac
}

limit_of() {  # part: seconds
  case $1 in
    check | check-size | check-lintian) echo 600 ;;
    unit | sim | fuzz | openwrt | image | program@* | notls@*) echo 120 ;;
    unit-valgrind | unit-asan | sim-asan | unit@* | sim@* | vm@*) echo 600 ;;  # three times what they take: machines are busy
    kernel | kernel-asan | system-etcd35 | prometheus) echo 240 ;;
    package | systemd@*) echo 900 ;;  # with a Debian to be fetched
    reproducible) echo 7200 ;;
    system | system.* | system@* | kube | chaos) echo 900 ;;
    check-plain) echo 1800 ;;  # compiles everything twice
  esac
}

# Reads a part's output and prints one line a test: "passed|skipped|failed <tab> PART: test".
tests_in() {  # part, exit status, file
  awk -v part="$1" -v status="$2" '
    function result(word) { print word "\t" part ": " test; open = 0; seen[word]++ }
    /^\[ RUN      \] / { if (open) result("failed"); test = substr($0, 14); open = 1; next }
    open && $0 == "[       OK ] " test { result("passed") }
    open && $0 == "[  SKIPPED ] " test { result("skipped") }
    open && $0 == "[  FAILED  ] " test { result("failed") }
    END {
      if (status == 124 || status == 137) why = "over its time limit or killed"
      else if (status > 128) why = "died of signal " (status - 128)
      else if (status == 99) why = "a memory or undefined-behaviour error (see its output)"
      else why = "exit status " status
      if (open) { test = test " (the run ended in it: " why ")"; result("failed") }
      else if (status != 0 && !seen["failed"]) { test = why; result("failed") }
      else if (status > 1) { test = why; result("failed") }
      else if (!seen["passed"] && !seen["failed"] && !seen["skipped"]) { test = "ran no test"; result("failed") }
    }' "$3"
}

skips_count() {  # part: must none of its tests be skipped here?
  [ "${CI:-}" = true ] || return 1
  case $1 in check* | package | image | systemd@* | unit | sim | kernel | openwrt | system | system.* | system@* | program@* | notls@* | vm@*) return 0 ;; *) return 1 ;; esac
}

runnable() {  # command...: the first word is a program, and so is every other one that is a path
  local word
  command -v "$1" >/dev/null || return 1
  for word; do
    [[ $word != /* && $word != "$build"/* || -x $word ]] || return 1
  done
}

# Runs in the background; what is to be said at its end is in PART.end.
run_part() {  # part
  local part=$1 output=$results/$1.txt status=0 started=$SECONDS tier=${1%%[-@.]*} pid=
  local -a command
  trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; wait; exit 1' INT TERM
  mapfile -t command < <(command_of "$part")
  if ! compgen -G "tests/$tier/*_test.cpp" >/dev/null && [[ $tier =~ ^(unit|sim|kernel|system)$ ]]; then
    printf '[ RUN      ] the tier has tests\n[   LINE   ] --- skipped: no tests/%s/*_test.cpp\n[  SKIPPED ] the tier has tests\n' \
      "$tier" >>"$output"
  elif ! runnable "${command[@]}"; then
    printf '[ RUN      ] %s can be run\n[  FAILED  ] %s can be run\n' "${command[*]}" "${command[*]}" >>"$output"
  else
    # To a file that is followed, not through a pipe: what a killed test leaves behind must not hold the end back.
    timeout -k 10 "$(limit_of "$part")" "${command[@]}" >"$output" 2>&1 </dev/null &
    pid=$!
    wait "$pid"
    status=$?
    pid=
  fi
  tests_in "${part%.[0-9]}" "$status" "$output" >"$results/$part.tests"
  {
    if skips_count "$part" && grep -q '^skipped' "$results/$part.tests"; then
      echo "### $part: skipped tests count as failed, since CI=true"
      sed -i 's/^skipped\t\(.*\)/failed\t\1 (skipped)/' "$results/$part.tests"
    fi
    printf '### %s: %d s, %d test(s), %d failed\n' "$part" $((SECONDS - started)) \
      "$(wc -l <"$results/$part.tests")" "$(grep -c '^failed' "$results/$part.tests")"
  } >"$results/$part.end"
}

# Prints each part as far as it is, in their order, and goes on to the next one when it is done.
print_parts() {  # part...
  local part
  for part; do
    until [ -e "$results/$part.pid" ]; do sleep 0.1; done
    printf '\n### %s\n' "$part"
    tail -n +1 -s 0.2 -f --pid="$(cat "$results/$part.pid")" "$results/$part.txt"
    cat "$results/$part.end"
  done
}

run_parts() {  # part...
  local part printer
  print_parts "$@" &
  printer=$!
  for part; do
    while [ "$(jobs -pr | grep -vcx "$printer")" -ge "$jobs" ]; do wait -n; done
    : >"$results/$part.txt"
    run_part "$part" &
    echo "$!" >"$results/$part.new" && mv "$results/$part.new" "$results/$part.pid"
  done
  wait
  for part; do cat "$results/$part.tests"; done >>"$results/all.tests"
}

summary() {
  local word label count
  printf '[==========] flannelette: %d test(s) run.\n' "$(wc -l <"$results/all.tests")"
  printf '[  PASSED  ] %d test(s).\n' "$(grep -c '^passed' "$results/all.tests")"
  for word in skipped failed; do
    count=$(grep -c "^$word" "$results/all.tests")
    [ "$count" -gt 0 ] || continue
    label=${word^^}
    printf '[  %-8s] flannelette: %d test(s), listed below:\n' "$label" "$count"
    sed -n "s/^$word\t/[  $(printf '%-8s' "$label")] /p" "$results/all.tests"
    printf '\n %d %s TEST(S)\n' "$count" "$label"
  done
}

[ $# -gt 0 ] || eval "set -- $all_parts"
[ "$*" != targets ] || eval "set -- $target_parts"
for part in "$@"; do
  case " $all_parts system $target_parts " in
    *" $part "*) ;;
    *) echo "tests/run.sh: no part '$part' (there are: $all_parts system $target_parts)" >&2; exit 1 ;;
  esac
done

mkdir -p "$results" || exit 1
rm -f "$results"/*.{end,pid}
if [ -z "${ADD_RESULTS:-}" ]; then
  rm -f "$results"/*.{txt,tests}
  : >"$results/all.tests"
fi
run_parts "$@"
printf '\n### all: %d s\n' "$SECONDS"
left=
for part in $target_parts; do [[ " $* " == *" $part "* ]] || left+=" $part"; done
[ -z "$left" ] || echo "### not run here, but by make test-more or make test-targets:$left"
summary | tee "$results/summary.txt"
! grep -q '^failed' "$results/all.tests"
