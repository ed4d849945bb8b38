#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What src and include keep to, so that they can be read: no function over 65 lines, no file over 450, no interface with more than
# 8 virtual functions, no class with more than 3 boolean members, a base name once (for one header and one source of one room).
# limits.sh [DIRECTORY]: the tree to check, the project itself by default (the self-test checks others).
. "$(dirname "$0")/lib.sh"
rules=$PWD/tests/check/limits.awk
cd "${1:-.}" || exit 1

mapfile -t files < <(find src include -type f \( -name '*.cpp' -o -name '*.hpp' \) | LC_ALL=C sort)
awk -f "$rules" "${files[@]}"
