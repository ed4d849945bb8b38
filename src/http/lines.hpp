// SPDX-License-Identifier: Apache-2.0
// The lines of a head, which requests and responses have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace flannelette::http {

enum class Taken : std::uint8_t {
  kLine,      ///< the line is whole
  kNeedMore,  ///< all input was taken, and the line has no end yet
  kTooLong,   ///< it has more bytes than there is room for
  kControl,   ///< it has a NUL, or a CR that is not at its end
};
/// Moves input to the `size` bytes of `line` up to a line end, which it drops. A lone LF ends a line too (RFC
/// 9112, 2.2).
Taken take_line(std::string_view& input, std::span<char> line, std::size_t& size);

struct HeaderField {
  std::string_view name;
  std::string_view value;  ///< without blanks at its ends
};
/// nullopt: it is none. A folded line (it begins with a blank) has no token before the colon and is refused
/// with the rest.
std::optional<HeaderField> parse_field(std::string_view line);

/// RFC 9110, 5.6.2.
bool is_token(std::string_view text);
/// Without blanks and tabs at its ends.
std::string_view trim(std::string_view text);

}  // namespace flannelette::http
