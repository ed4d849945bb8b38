#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/run.sh loses no failure: it runs stand-ins for test binaries that fail, skip, die and say nothing, several at once.
. "$(dirname "$0")/lib.sh"
build=$(mktemp -d) || exit 1
trap 'rm -rf "$build"' EXIT
mkdir -p "$build/test/tests" "$build/asan/tests"

stand_in() {  # file: the script comes from stdin
  { echo '#!/bin/sh'; cat; } >"$build/$1"
  chmod +x "$build/$1"
}

stand_in test/tests/unit <<'END'
echo '[==========] a: Running 3 test(s).'
for result in '      OK' ' SKIPPED' ' FAILED '; do
  echo "[ RUN      ] t$result"
  echo "[ $result ] t$result"
done
echo '[==========] a: 3 test(s) run.'
echo '[  FAILED  ] a: 1 test(s), listed below:'
echo '[  FAILED  ] t FAILED '
exit 1
END
stand_in test/tests/kernel <<'END'
echo '[ RUN      ] half way'
kill -KILL $$
END
stand_in asan/tests/unit <<'END'
echo '[ RUN      ] fine'
echo '[       OK ] fine'
exit 99
END
stand_in asan/tests/kernel </dev/null

status=0
expect() {  # CI's value, expected summary
  local summary
  FLANNELETTE_BUILD_DIR=$build CI=$1 tests/run.sh unit unit-asan kernel kernel-asan >"$build/log" 2>&1 &&
    { echo 'exit status 0 in spite of failures'; status=1; }
  summary=$(sed -n '/^\[==========\] flannelette:/,$p' "$build/log")
  [ "$summary" = "$2" ] && return
  diff <(echo "$2") <(echo "$summary")
  status=1
}

expect false "[==========] flannelette: 7 test(s) run.
[  PASSED  ] 2 test(s).
[  SKIPPED ] flannelette: 1 test(s), listed below:
[  SKIPPED ] unit: t SKIPPED

 1 SKIPPED TEST(S)
[  FAILED  ] flannelette: 4 test(s), listed below:
[  FAILED  ] unit: t FAILED 
[  FAILED  ] unit-asan: a memory or undefined-behaviour error (see its output)
[  FAILED  ] kernel: half way (the run ended in it: over its time limit or killed)
[  FAILED  ] kernel-asan: ran no test

 4 FAILED TEST(S)"

expect true "[==========] flannelette: 7 test(s) run.
[  PASSED  ] 2 test(s).
[  FAILED  ] flannelette: 5 test(s), listed below:
[  FAILED  ] unit: t SKIPPED (skipped)
[  FAILED  ] unit: t FAILED 
[  FAILED  ] unit-asan: a memory or undefined-behaviour error (see its output)
[  FAILED  ] kernel: half way (the run ended in it: over its time limit or killed)
[  FAILED  ] kernel-asan: ran no test

 5 FAILED TEST(S)"

# What CI lacks for a service under a real systemd is a failure there: here a PATH without etcd.
mkdir "$build/bin"
ln -s /usr/bin/* "$build/bin/"
rm -f "$build/bin/etcd"
PATH=$build/bin FLANNELETTE_BUILD_DIR=$build CI=true tests/run.sh systemd@bookworm >"$build/log" 2>&1 &&
  { echo 'exit status 0 although what runs under systemd is skipped'; status=1; }
grep -q '^failed.systemd@bookworm: .*(skipped)$' "$build/test-results/all.tests" || { cat "$build/log"; status=1; }

# A part for another target is told for which.
stand_in test/tests/targets <<'END'
echo "[ RUN      ] $FLANNELETTE_TARGET by $FLANNELETTE_EMULATOR, $*"
echo "[       OK ] $FLANNELETTE_TARGET by $FLANNELETTE_EMULATOR, $*"
END
FLANNELETTE_BUILD_DIR=$build tests/run.sh vm@armv7 unit@armv7 >"$build/log" 2>&1 &&
  { echo 'exit status 0 although a part is not built'; status=1; }
[ "$(cat "$build/test-results/all.tests")" = "\
passed	vm@armv7: armv7 by qemu-arm-static, --test-suite=targets/vm
failed	unit@armv7: env FLANNELETTE_TEST_ROUNDS=10 qemu-arm-static $build/armv7-test/tests/unit can be run" ] ||
  { cat "$build/test-results/all.tests"; status=1; }

# Two parts run at the same time: each waits for the other. What they say is not mixed, and in the order of the parts.
for part in unit kernel; do
  stand_in "test/tests/$part" <<END
echo '[ RUN      ] together'
touch "$build/$part.runs"
for attempt in \$(seq 100); do
  if [ -e "$build/unit.runs" ] && [ -e "$build/kernel.runs" ]; then echo '[       OK ] together'; exit 0; fi
  sleep 0.1
done
exit 1
END
done
TEST_JOBS=2 FLANNELETTE_BUILD_DIR=$build tests/run.sh kernel unit >"$build/log" 2>&1 ||
  { echo 'two parts do not run at the same time'; status=1; }
[ "$(grep -E '^\[|^### [ku]' "$build/log" | sed 's/: [0-9]* s/: 0 s/')" = "\
### kernel
[ RUN      ] together
[       OK ] together
### kernel: 0 s, 1 test(s), 0 failed
### unit
[ RUN      ] together
[       OK ] together
### unit: 0 s, 1 test(s), 0 failed
[==========] flannelette: 2 test(s) run.
[  PASSED  ] 2 test(s)." ] || { cat "$build/log"; status=1; }

# One after the other, if that is wanted: the second begins when the first has ended.
rm "$build"/*.runs
for part in unit kernel; do
  stand_in "test/tests/$part" <<END
echo '[ RUN      ] alone'
if mkdir "$build/alone"; then sleep 0.3; rmdir "$build/alone"; echo '[       OK ] alone'; fi
END
done
TEST_JOBS=1 FLANNELETTE_BUILD_DIR=$build tests/run.sh kernel unit >"$build/log" 2>&1 ||
  { echo 'TEST_JOBS=1 runs two parts at the same time'; status=1; }

# An interrupt ends all parts that run.
for part in unit kernel; do
  printf 'echo $$ >"%s"\nexec sleep 60\n' "$build/$part.pid" | stand_in "test/tests/$part"
done
TEST_JOBS=2 FLANNELETTE_BUILD_DIR=$build tests/run.sh kernel unit >"$build/log" 2>&1 &
run=$!
for attempt in $(seq 100); do
  [ -s "$build/unit.pid" ] && [ -s "$build/kernel.pid" ] && break
  sleep 0.1
done
kill "$run"
wait "$run" && { echo "exit status 0 after an interrupt (attempt $attempt)"; status=1; }
for part in unit kernel; do
  ! kill -0 "$(cat "$build/$part.pid")" 2>/dev/null || { echo "$part outlives an interrupt"; status=1; }
done

# And it is content with what is right.
printf '%s\n' 'echo "[ RUN      ] fine"' 'echo "[       OK ] fine"' | stand_in test/tests/unit
FLANNELETTE_BUILD_DIR=$build tests/run.sh unit >"$build/log" 2>&1 || { echo 'exit status 1 without a failure'; status=1; }
[ "$(tail -n 2 "$build/log")" = '[==========] flannelette: 1 test(s) run.
[  PASSED  ] 1 test(s).' ] || { tail -n 2 "$build/log"; status=1; }
exit "$status"
