#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The check of the limits catches what it is there for, and lets through what is at its limit.
. "$(dirname "$0")/lib.sh"
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
status=0

# file NAME: its content comes from stdin
file() {
  mkdir -p "$tree/src" "$tree/include" "$tree/$(dirname "$1")"
  cat >"$tree/$1"
}
times() { for ((i = 0; i < $1; i++)); do printf '%b\n' "$2"; done; }

# expect MESSAGE...: what is there now is refused with these words, each in a line; none: it is fine
expect() {
  local output result=0 message
  output=$(tests/check/limits.sh "$tree" 2>&1) || result=1
  [ "$result" = $(($# > 0)) ] || { echo "exit status $result, expected: $*"; status=1; }
  for message; do
    [[ $output == *"$message"* ]] || { echo "expected '$message', got '$output'"; status=1; }
  done
  [ "$(grep -c . <<<"$output")" = $# ] || { echo "expected $# lines, got '$output'"; status=1; }
  rm -rf "${tree:?}"/*
}

function_of() {  # lines, indent: a function of so many
  printf '%svoid f(int a,\n%s       int b) {\n' "$2" "$2"
  times $(($1 - 3)) "$2  if (a) { b(); }"
  printf '%s}\n' "$2"
}

function_of 65 '' | file src/a/x.cpp
expect
function_of 66 '' | file src/a/x.cpp
expect 'src/a/x.cpp:1: f has 66 lines of at most 65'
{ printf 'namespace a {\nclass C final : public D {\n public:\n  int before() { return 1; }\n'; function_of 66 '  '; echo '};'; } | file include/flannelette/a/x.hpp
expect 'x.hpp:5: f has 66'
{ echo 'constexpr int kTable[] = {'; times 100 '  1,'; echo '};'; } | file src/a/x.cpp
expect

times 450 '// text' | file src/a/x.cpp
times 451 '// text' | file src/a/y.cpp
expect 'src/a/y.cpp: 451 lines of at most 450'

interface() { printf 'class Port {\n public:\n  virtual ~Port() = default;\n'; times "$1" '  virtual int get() = 0;'; echo '};'; }
interface 8 | file src/a/x.hpp
expect
interface 9 | file src/a/x.hpp
expect 'src/a/x.hpp:1: Port has 9 virtual functions of at most 8'
{ interface 8; interface 8; } | file src/a/x.hpp
expect

state() { printf 'struct Out {\n  class In {\n'; times "$1" '    bool is_ = false;'; printf '  };\n  bool is_;\n};\n'; }
state 3 | file src/a/x.hpp
expect
state 4 | file src/a/x.hpp
expect 'src/a/x.hpp:2: In has 4 boolean members of at most 3'

for name in src/a/x.cpp include/flannelette/a/x.hpp src/a/y.hpp src/a/y.cpp src/main.cpp; do echo | file "$name"; done
expect
for name in include/flannelette/a/x.hpp src/b/x.cpp; do echo | file "$name"; done
expect 'src/b/x.cpp: the base name of include/flannelette/a/x.hpp, of another room'
for name in include/flannelette/a/x.hpp src/a/x.hpp; do echo | file "$name"; done
expect 'src/a/x.hpp: include/flannelette/a/x.hpp has this name, too'

exit "$status"
