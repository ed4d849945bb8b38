// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 responses, parsed piece by piece.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "flannelette/base/text.hpp"

/// HTTP/1.1 responses, RFC 9112, pure: bytes in, events out.
namespace flannelette::http {

struct ResponseHead {
  static constexpr std::uint64_t kMaxRetryAfter = 3'600;  ///< what is more counts as that

  int status = 0;  ///< 100..999; 1xx heads are skipped, never delivered
  bool chunked = false;
  bool keep_alive = true;  ///< the connection may carry another request
  std::optional<std::uint64_t> content_length;
  std::uint64_t retry_after = 0;  ///< seconds; 0: none, or not in the form of seconds
  Text<128> location;             ///< where a redirect leads, cut
};

/// Incremental, byte-split proof. A body is framed by chunks (with extensions and trailers, which are
/// consumed and dropped), by content-length, by a status without body (204, 304), or by the end of the
/// connection.
class ResponseParser {
 public:
  static constexpr std::size_t kMaxHeaderLine = 4096;  ///< a longer status or header line is kBad
  static constexpr int kMaxHeaders = 64;               ///< 1xx heads before the response count too
  static constexpr int kMaxTrailers = 64;

  enum class Event : std::uint8_t {
    kNeedMore,  ///< all bytes consumed
    kHead,      ///< head() is complete
    kBody,      ///< body() is a piece of the body: it points into the fed bytes
    kDone,      ///< the response is complete; bytes after it are left in rest()
    kBad,       ///< malformed; sticky until reset(). error() says why
  };

  void feed(std::string_view bytes) { input_ = bytes; }
  Event next();
  /// The peer ended the connection: kDone if that ends the body, else kBad (the response was cut).
  Event finish();

  const ResponseHead& head() const { return head_; }
  std::string_view body() const { return body_; }
  std::string_view rest() const { return input_; }
  const char* error() const { return error_; }  ///< static
  /// Ready for the next response on the connection; what was fed and not consumed is kept.
  void reset();

 private:
  enum class State : std::uint8_t {
    kStatusLine,
    kHeaderLine,
    kSizedBody,    ///< left_ bytes
    kUnsizedBody,  ///< until the end of the connection
    kChunkSize,
    kChunkData,     ///< left_ bytes
    kChunkDataEnd,  ///< the line end after a chunk
    kTrailerLine,
    kDone,
    kBad,
  };
  Event fail(const char* why);
  bool take_line();
  std::optional<Event> status_line(std::string_view line);
  std::optional<Event> header_line(std::string_view line);
  std::optional<Event> end_of_head();
  std::optional<Event> chunk_size(std::string_view line);
  std::optional<Event> trailer_line(std::string_view line);
  std::optional<Event> counted_body(State after);

  State state_ = State::kStatusLine;
  ResponseHead head_;
  std::string_view input_;
  std::string_view body_;
  const char* error_ = "";
  std::uint64_t left_ = 0;
  int line_count_ = 0;  ///< header lines of this response and its 1xx forerunners; then trailer lines
  std::size_t line_size_ = 0;
  std::array<char, kMaxHeaderLine> line_;
};

}  // namespace flannelette::http
