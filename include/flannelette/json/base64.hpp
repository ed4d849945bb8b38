// SPDX-License-Identifier: Apache-2.0
// Base64, as etcd's gateway uses it for bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "flannelette/base/text.hpp"

/// RFC 4648 section 4: standard alphabet, padding required.
namespace flannelette::json {

constexpr std::size_t base64_size(std::size_t bytes) { return (bytes + 2) / 3 * 4; }
/// Appends the encoding; nothing is written if it does not fit (sticky overflow).
void encode_base64(std::string_view bytes, flannelette::Writer& out);
/// Decodes into `out`; `out` may be the memory of `text` itself (decoding in place). nullopt: malformed, or
/// `out` is too small.
std::optional<std::string_view> decode_base64(std::string_view text, std::span<char> out);

}  // namespace flannelette::json
