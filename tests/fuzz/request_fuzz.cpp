// SPDX-License-Identifier: Apache-2.0
// libFuzzer target for http::RequestParser. The first byte is the size of the pieces: a request must give the
// same in pieces as it gives in one.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "flannelette/http/request.hpp"

using flannelette::http::RequestHead;
using flannelette::http::RequestParser;
using Event = RequestParser::Event;

namespace {

struct Outcome {
  Event end = Event::kNeedMore;
  RequestHead::Method method = RequestHead::Method::kOther;
  bool chunks = false;
  std::string path, query;
  bool operator==(const Outcome&) const = default;
};

Outcome parse(std::string_view text, std::size_t piece) {
  RequestParser parser;
  Outcome outcome;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, piece);
    text.remove_prefix(part.size());
    outcome.end = parser.feed(part);
  }
  if (outcome.end != Event::kDone) return outcome;
  const RequestHead& head = parser.head();
  return {outcome.end, head.method, head.chunks, std::string(head.path()), std::string(head.query())};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Outcome whole = parse(text, text.size() + 1);
  if (parse(text, std::size_t{data[0]} + 1) != whole) std::abort();
  if (whole.end == Event::kDone && !whole.path.starts_with('/')) std::abort();
  return 0;
}
