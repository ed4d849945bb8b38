#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All checks (or those named), each one test of a group "check" in cmocka's STDOUT form. Exit status 0 or 1.
set -u
cd "$(dirname "$0")" || exit 1

all='spdx format layers layers-selftest run-selftest cmake elsewhere packaging systemd pins relink limits limits-selftest citations citations-selftest kernel_config boards k3s log log-selftest manual shellcheck size tidy yocto'
# clang-format's releases disagree about some lines, and Debian 13 has no 14 any more.
if version=$(clang-format --version 2>/dev/null) && [[ $version != *' version 14.'* && $# == 0 ]]; then
  echo "### check: format is left out here: the style is that of clang-format 14 (Debian 12), and this is $version"
  all=${all/ format/}
fi
[ $# -gt 0 ] || eval "set -- $all"

passed=0
skipped=()
failed=()
echo "[==========] check: Running $# test(s)."
for check in "$@"; do
  echo "[ RUN      ] $check"
  output=$("./$check.sh" 2>&1)
  case $? in
    0)
      passed=$((passed + 1))
      [ -z "$output" ] || printf '%s\n' "$output"
      echo "[       OK ] $check"
      ;;
    77)
      skipped+=("$check")
      echo "[   LINE   ] --- skipped: $output"
      echo "[  SKIPPED ] $check"
      ;;
    *)
      failed+=("$check")
      echo "[  ERROR   ] --- $output"
      echo "[   LINE   ] --- tests/check/$check.sh:1: error: Failure!"
      echo "[  FAILED  ] $check"
      ;;
  esac
done
echo "[==========] check: $# test(s) run."
echo "[  PASSED  ] $passed test(s)."
if [ ${#skipped[@]} -gt 0 ]; then
  echo "[  SKIPPED ] check: ${#skipped[@]} test(s), listed below:"
  printf '[  SKIPPED ] %s\n' "${skipped[@]}"
  printf '\n %d SKIPPED TEST(S)\n' "${#skipped[@]}"
fi
if [ ${#failed[@]} -gt 0 ]; then
  echo "[  FAILED  ] check: ${#failed[@]} test(s), listed below:"
  printf '[  FAILED  ] %s\n' "${failed[@]}"
  printf '\n %d FAILED TEST(S)\n' "${#failed[@]}"
  exit 1
fi
