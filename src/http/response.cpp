// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 responses, parsed piece by piece.
#include "flannelette/http/response.hpp"

#include <algorithm>

#include "http/lines.hpp"

namespace flannelette::http {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool list_has(std::string_view list, std::string_view word) {
  while (true) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (equal_ignoring_case(trim(list.substr(0, comma)), word)) return true;
    if (comma == list.size()) return false;
    list.remove_prefix(comma + 1);
  }
}

std::optional<unsigned> hex_digit(char c) {
  if (is_digit(c)) return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

}  // namespace

ResponseParser::Event ResponseParser::next() {
  while (true) {
    if (state_ == State::kDone) return Event::kDone;
    if (state_ == State::kBad) return Event::kBad;
    if (input_.empty()) return Event::kNeedMore;

    std::optional<Event> event;
    if (state_ == State::kSizedBody) {
      event = counted_body(State::kDone);
    } else if (state_ == State::kChunkData) {
      event = counted_body(State::kChunkDataEnd);
    } else if (state_ == State::kUnsizedBody) {
      body_ = input_;
      input_ = {};
      event = Event::kBody;
    } else {
      if (!take_line()) return state_ == State::kBad ? Event::kBad : Event::kNeedMore;
      const std::string_view line(line_.data(), line_size_);
      line_size_ = 0;
      switch (state_) {
        case State::kStatusLine: event = status_line(line); break;
        case State::kHeaderLine: event = header_line(line); break;
        case State::kChunkSize: event = chunk_size(line); break;
        case State::kTrailerLine: event = trailer_line(line); break;
        case State::kChunkDataEnd:
          if (!line.empty()) return fail("http: a chunk is longer than its size");
          state_ = State::kChunkSize;
          break;
        case State::kSizedBody:
        case State::kUnsizedBody:
        case State::kChunkData:
        case State::kDone:
        case State::kBad: break;
      }
    }
    if (event) return *event;
  }
}

ResponseParser::Event ResponseParser::finish() {
  if (state_ == State::kUnsizedBody) state_ = State::kDone;
  if (state_ == State::kDone) return Event::kDone;
  return fail(state_ == State::kBad ? error_ : "http: the response was cut off");
}

void ResponseParser::reset() {
  state_ = State::kStatusLine;
  head_ = {};
  body_ = {};
  error_ = "";
  left_ = 0;
  line_count_ = 0;
  line_size_ = 0;
}

ResponseParser::Event ResponseParser::fail(const char* why) {
  state_ = State::kBad;
  error_ = why;
  return Event::kBad;
}

/// False: no line end yet, or bad.
bool ResponseParser::take_line() {
  switch (http::take_line(input_, line_, line_size_)) {
    case Taken::kLine: return true;
    case Taken::kNeedMore: break;
    case Taken::kTooLong: fail("http: a line is longer than 4096 bytes"); break;
    case Taken::kControl: fail("http: a control byte in a line"); break;
  }
  return false;
}

std::optional<ResponseParser::Event> ResponseParser::status_line(std::string_view line) {
  constexpr std::string_view kVersion = "HTTP/1.";  // then "1 200 OK"
  const auto bad = [&] { return fail("http: this is no HTTP/1 response"); };
  if (!line.starts_with(kVersion) || line.size() < kVersion.size() + 5) return bad();
  line.remove_prefix(kVersion.size());
  if (!is_digit(line[0]) || line[1] != ' ') return bad();
  head_.keep_alive = line[0] != '0';
  std::uint64_t status = 0;
  if (!parse_unsigned(line.substr(2, 3), status) || status < 100) return bad();
  if (line.size() > 5 && line[5] != ' ') return bad();
  head_.status = static_cast<int>(status);
  state_ = State::kHeaderLine;
  return std::nullopt;
}

std::optional<ResponseParser::Event> ResponseParser::header_line(std::string_view line) {
  if (line.empty()) return end_of_head();
  if (++line_count_ > kMaxHeaders) return fail("http: more than 64 header lines");
  const std::optional<HeaderField> field = parse_field(line);
  if (!field) return fail("http: malformed header line");
  if (equal_ignoring_case(field->name, "content-length")) {
    std::uint64_t length = 0;
    if (!parse_unsigned(field->value, length)) return fail("http: malformed content-length");
    if (head_.content_length && *head_.content_length != length)
      return fail("http: two different content-lengths");
    head_.content_length = length;
  } else if (equal_ignoring_case(field->name, "transfer-encoding")) {
    if (head_.chunked || !equal_ignoring_case(field->value, "chunked"))
      return fail("http: unknown transfer-encoding");
    head_.chunked = true;
  } else if (equal_ignoring_case(field->name, "location")) {
    head_.location = field->value;
  } else if (equal_ignoring_case(field->name, "retry-after")) {
    std::uint64_t seconds = 0;
    (void)parse_unsigned(field->value, seconds);
    head_.retry_after = std::min(seconds, ResponseHead::kMaxRetryAfter);
  } else if (equal_ignoring_case(field->name, "connection")) {
    if (list_has(field->value, "close")) {
      head_.keep_alive = false;
    } else if (list_has(field->value, "keep-alive")) {
      head_.keep_alive = true;
    }
  }
  return std::nullopt;
}

std::optional<ResponseParser::Event> ResponseParser::end_of_head() {
  if (head_.status == 101) return fail("http: the server changed the protocol unasked");
  if (head_.status < 200) {
    if (++line_count_ > kMaxHeaders) return fail("http: too many interim responses");
    head_ = {};
    state_ = State::kStatusLine;
    return std::nullopt;
  }
  // Both at once is how responses are smuggled; RFC 9112, 6.3 wants it treated as an error.
  if (head_.chunked && head_.content_length) return fail("http: content-length in a chunked response");
  line_count_ = 0;
  if (head_.status == 204 || head_.status == 304) {
    state_ = State::kDone;
  } else if (head_.chunked) {
    state_ = State::kChunkSize;
  } else if (head_.content_length) {
    left_ = *head_.content_length;
    state_ = left_ > 0 ? State::kSizedBody : State::kDone;
  } else {
    head_.keep_alive = false;
    state_ = State::kUnsizedBody;
  }
  return Event::kHead;
}

std::optional<ResponseParser::Event> ResponseParser::chunk_size(std::string_view line) {
  const std::string_view digits = trim(line.substr(0, line.find(';')));
  if (digits.empty() || digits.size() > 16) return fail("http: malformed chunk size");
  std::uint64_t size = 0;
  for (char c : digits) {
    const std::optional<unsigned> digit = hex_digit(c);
    if (!digit) return fail("http: malformed chunk size");
    size = size << 4 | *digit;
  }
  left_ = size;
  state_ = size > 0 ? State::kChunkData : State::kTrailerLine;
  return std::nullopt;
}

std::optional<ResponseParser::Event> ResponseParser::trailer_line(std::string_view line) {
  if (line.empty()) {
    state_ = State::kDone;
    return Event::kDone;
  }
  if (++line_count_ > kMaxTrailers) return fail("http: more than 64 trailer lines");
  if (!parse_field(line)) return fail("http: malformed trailer line");
  return std::nullopt;
}

std::optional<ResponseParser::Event> ResponseParser::counted_body(State after) {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input_.size()));
  body_ = input_.substr(0, size);
  input_.remove_prefix(size);
  left_ -= size;
  if (left_ == 0) state_ = after;
  return Event::kBody;
}

}  // namespace flannelette::http
