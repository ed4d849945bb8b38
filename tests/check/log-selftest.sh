#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The check of the log's lines finds the text of a call wherever it stands, and what has no entry or is not there any more.
. "$(dirname "$0")/lib.sh"
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
status=0

mkdir -p "$tree/src/overlay" "$tree/include" "$tree/board/man"
echo '    case Ignored::kOurs: return "it is ours";' >"$tree/src/overlay/ignored.cpp"

# expect ENTRIES MESSAGES: of the source at stdin and a page with these entries and the reason, one a line
expect() {
  local output entries=$1
  cat >"$tree/src/a.cpp"
  printf '.It "%s"\n' 'it is ours' >"$tree/board/man/flannelette-log.7"
  while IFS= read -r entry; do printf '.It "%s"\n' "$entry"; done <<<"$entries" >>"$tree/board/man/flannelette-log.7"
  output=$(tests/check/log.sh "$tree" 2>&1)
  [ "$output" = "$2" ] || { printf 'of %s\nexpected "%s", got "%s"\n' "$(cat "$tree/src/a.cpp")" "$2" "$output"; status=1; }
}

expect 'warning: a; b, c' '' <<<'void f() { log_.warning("a; b, " // a comment
  "c", {{"key", value("x")}}); }'
expect 'warning: a' 'no entry for: error: b' <<<'void f() { log.warning("a"); log->error("b"); }'
expect $'error: a\nerror: b' 'nobody logs: error: b' <<<'void f() { p.log.error("a", {"b"}); /* log */ }  // log.error("b")'
expect $'error: a\nerror: a' 'two entries for: error: a' <<<'void f() { log.error("a"); }'
expect $'error: a\nerror: b' '' <<<"void f() { if (c == '\"' || c == '\\\\') log.error(x ? \"a\" : \"b\"); }"
expect 'error: a' '' <<<'constexpr const char* kText = "a"; void f() { log.error(kText, {Field(error)}); }'
expect $'error: a\nerror: b' '' <<<'void report(const char* text, int x) { log.error(text, {{"x", x}}); }
void f() { report("a", 1); report(x ? "b" : "a", 2); }'
expect $'error: a\nwarning: b' '' <<<'const auto say = [&](Level level, const char* text) { log_.write(level, text, {}); };
void f() { say(Level::kError, "a"); say(Level::kWarning, "b"); say(Level::kInfo, "c"); }'
expect $'warning: a\nwarning: b' '' <<<'const char* words_of(const Finding& finding) { return finding.x ? "a" : "b"; }
void f() { log.warning(words_of(finding), {}); }'
expect 'error: a' 'src/a.cpp: the text of log.error(text is not found' <<<'void f() { log.error("a"); log.error(text); }'
expect $'flannelette: fatal: a\nwarning: N lines' '' <<<'void f() { die("a"); out.put("warning: ").put_unsigned(n).put(" lines\n"); }'
expect $'error: a\netcd: b\netcd: c' 'nobody logs: etcd: c' <<<'void f() { log.error("a"); return Error{"etcd: b"}; }'
exit $status
