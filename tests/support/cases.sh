# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For scripts that are tests: cases in cmocka's form, each going on where the one before ended. The first failure ends all.

begin() {
  test=$1
  echo "[ RUN      ] $test"
}
end() { echo "[       OK ] $test"; }
fail() {
  printf '[   LINE   ] --- %s:%s: error: %s\n[  FAILED  ] %s\n' "${BASH_SOURCE[1]}" "${BASH_LINENO[0]}" "$*" "$test"
  exit 1
}
skip() {
  printf '[   LINE   ] --- skipped: %s\n[  SKIPPED ] %s\n' "$*" "$test"
  exit 0
}

until_true() {  # seconds, command...: polls
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}
