#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every fuzz target, built with sanitizers, over its kept corpus. One test a target, in cmocka's form.
set -u
cd "$(dirname "$0")/../.." || exit 1

total=0
failed=()
for source in tests/fuzz/*_fuzz.cpp; do
  name=$(basename "$source" .cpp)
  corpus=tests/fuzz/corpus/${name%_fuzz}
  printf '[ RUN      ] %s\n' "$name"
  total=$((total + 1))
  if "build/asan/tests/$name" "$corpus"; then
    printf '[       OK ] %s\n' "$name"
  else
    failed+=("$name")
    printf '[   LINE   ] --- %s:1: error: Failure!\n[  FAILED  ] %s\n' "$source" "$name"
  fi
done
printf '[==========] fuzz: %d test(s) run.\n[  PASSED  ] %d test(s).\n' "$total" $((total - ${#failed[@]}))
[ "${#failed[@]}" -eq 0 ] && exit 0
printf '[  FAILED  ] fuzz: %d test(s), listed below:\n' "${#failed[@]}"
printf '[  FAILED  ] %s\n' "${failed[@]}"
printf '\n %d FAILED TEST(S)\n' "${#failed[@]}"
exit 1
