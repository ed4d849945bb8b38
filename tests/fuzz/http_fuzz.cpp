// SPDX-License-Identifier: Apache-2.0
// libFuzzer target for http::ResponseParser. The first byte is the size of the pieces: a response must give
// the same events in pieces as it gives in one.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "flannelette/http/response.hpp"

using flannelette::http::ResponseParser;
using Event = ResponseParser::Event;

namespace {

struct Outcome {
  int status = 0;
  std::string body;
  std::string error;
  Event end = Event::kNeedMore;
  bool operator==(const Outcome&) const = default;
};

Outcome parse(std::string_view text, std::size_t piece) {
  ResponseParser parser;
  Outcome outcome;
  while (outcome.end == Event::kNeedMore && !text.empty()) {
    const std::string_view part = text.substr(0, piece);
    text.remove_prefix(part.size());
    parser.feed(part);
    do {
      outcome.end = parser.next();
      if (outcome.end == Event::kHead) outcome.status = parser.head().status;
      if (outcome.end == Event::kBody) outcome.body += parser.body();
    } while (outcome.end == Event::kHead || outcome.end == Event::kBody);
  }
  if (outcome.end == Event::kNeedMore) outcome.end = parser.finish();
  outcome.error = parser.error();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (parse(text, std::size_t{data[0]} + 1) != parse(text, text.size() + 1)) std::abort();
  return 0;
}
