// SPDX-License-Identifier: Apache-2.0
// Heads of HTTP/1 requests, parsed piece by piece.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "flannelette/base/text.hpp"

namespace flannelette::http {

struct RequestHead {
  enum class Method : std::uint8_t { kGet, kHead, kOther };
  static constexpr std::size_t kMaxTarget = 255;

  Method method = Method::kOther;
  bool chunks = false;  ///< HTTP/1.1: whoever asks can read a chunked body
  Text<kMaxTarget> target;

  /// Before a '?'. Nothing is decoded: our paths need no escapes.
  std::string_view path() const { return target.view().substr(0, target.view().find('?')); }
  /// Behind it.
  std::string_view query() const {
    const std::string_view rest = target.view().substr(path().size());
    return rest.substr(rest.empty() ? 0 : 1);
  }
};

/// Incremental, byte-split proof, RFC 9112; pure. Header lines are checked and dropped: what is served
/// depends on none of them, and a connection carries one request, so that its body needs no framing.
class RequestParser {
 public:
  static constexpr std::size_t kMaxLine = 1024;  ///< a longer line is kBad
  static constexpr int kMaxLines = 64;           ///< with empty ones before the request

  enum class Event : std::uint8_t {
    kNeedMore,  ///< all bytes consumed
    kDone,      ///< head() is complete; bytes behind it are ignored. Final.
    kBad,       ///< malformed. Final.
  };
  Event feed(std::string_view bytes);
  const RequestHead& head() const { return head_; }

 private:
  Event take(std::string_view line);
  Event request_line(std::string_view line);

  Event event_ = Event::kNeedMore;
  RequestHead head_;
  int line_count_ = 0;
  std::size_t line_size_ = 0;
  std::array<char, kMaxLine> line_;
};

}  // namespace flannelette::http
