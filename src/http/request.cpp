// SPDX-License-Identifier: Apache-2.0
// Heads of HTTP/1 requests, parsed piece by piece.
#include "flannelette/http/request.hpp"

#include <algorithm>

#include "http/lines.hpp"

namespace flannelette::http {

RequestParser::Event RequestParser::feed(std::string_view bytes) {
  while (event_ == Event::kNeedMore && !bytes.empty()) {
    const Taken taken = take_line(bytes, line_, line_size_);
    if (taken == Taken::kNeedMore) break;
    const bool good = taken == Taken::kLine && ++line_count_ <= kMaxLines;
    event_ = good ? take({line_.data(), line_size_}) : Event::kBad;
    line_size_ = 0;
  }
  return event_;
}

RequestParser::Event RequestParser::take(std::string_view line) {
  if (!head_.target.empty()) {
    if (line.empty()) return Event::kDone;
    return parse_field(line) ? Event::kNeedMore : Event::kBad;
  }
  return line.empty() ? Event::kNeedMore : request_line(line);  // RFC 9112, 2.2
}

/// "GET /status?format=json HTTP/1.1". The target is a path of ours: no other form is for a server like this.
RequestParser::Event RequestParser::request_line(std::string_view line) {
  constexpr std::string_view kVersion = " HTTP/1.";
  const std::size_t blank = std::min(line.find(' '), line.size());
  const std::string_view method = line.substr(0, blank);
  std::string_view target = line.substr(std::min(blank + 1, line.size()));
  if (!is_token(method) || target.size() <= kVersion.size()) return Event::kBad;
  const char minor = target.back();
  target.remove_suffix(1);
  if (!target.ends_with(kVersion) || minor < '0' || minor > '9') return Event::kBad;
  target.remove_suffix(kVersion.size());
  const auto printable = [](char c) { return c > ' ' && c < '\x7f'; };
  if (!target.starts_with('/') || !std::ranges::all_of(target, printable)) return Event::kBad;
  if (!head_.target.assign(target)) return Event::kBad;
  head_.chunks = minor != '0';
  if (method == "GET") head_.method = RequestHead::Method::kGet;
  if (method == "HEAD") head_.method = RequestHead::Method::kHead;
  return Event::kNeedMore;
}

}  // namespace flannelette::http
