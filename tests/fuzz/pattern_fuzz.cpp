// SPDX-License-Identifier: Apache-2.0
// A pattern and the text to search, parted by the first newline, over any bytes: what is refused is told with
// its place and matches nothing; other ways to write what is accepted give the same answer.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "flannelette/base/pattern.hpp"

using namespace flannelette;

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

bool found(const std::string& pattern, std::string_view text, bool expected) {
  Pattern compiled;
  const auto result = compiled.compile(pattern);
  if (result) return compiled.found_in(text);
  must(result.error().code == Code::kLimit);  // it is longer than the first one
  return expected;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* end = data + size;
  const auto* newline = std::find(data, end, std::uint8_t{'\n'});
  // Memory of its own size each, so that a read beyond it is seen.
  const std::vector<char> pattern_bytes(data, newline);
  const std::vector<char> text_bytes(newline == end ? end : newline + 1, end);
  const std::string_view pattern(pattern_bytes.data(), pattern_bytes.size());
  const std::string_view text(text_bytes.data(), text_bytes.size());

  Pattern compiled;
  PatternProblem problem;
  if (const auto result = compiled.compile(pattern, &problem); !result) {
    must(std::strlen(result.error().context) > 0 && !problem.part.empty());
    must(problem.part.data() == pattern.data() + problem.at &&
         problem.at + problem.part.size() <= pattern.size());
    must(!compiled.found_in(text) && !compiled.found_in(""));
    return 0;
  }
  must(pattern.size() <= Pattern::kMaxText);
  const bool expected = compiled.found_in(text);
  const bool fold = pattern.starts_with("(?i)");
  const std::string flags = fold ? "(?i)" : "";
  const std::string body(pattern.substr(flags.size()));
  must(found(flags + "(" + body + ")", text, expected) == expected);
  must(found(flags + "(?:" + body + "){1}", text, expected) == expected);
  must(found(flags + "(" + body + ")+?", text, expected) == expected);
  must(found(flags + "[^\\d\\D]|" + body, text, expected) == expected);
  must(found(flags + body + "|[^\\W\\w]", text, expected) == expected);
  must(found(flags + "\\A(?:.|\n)*(" + body + ")", text, expected) == expected);
  must(found(flags + "(" + body + ")(?:.|\n)*?$", text, expected) == expected);
  must(found(flags + "(" + body + ")?", text, true));
  return 0;
}
