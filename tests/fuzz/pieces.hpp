// SPDX-License-Identifier: Apache-2.0
// A text in pieces, for what must give the same however its input is split.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

/// The next piece of `text`, which loses it: up to 6 bytes, by `cuts`, which changes; all of it if `cuts` is
/// 0. In memory of its own size, so that a read beyond it is seen.
inline std::vector<char> take_piece(std::string_view& text, std::uint32_t& cuts) {
  std::size_t size = text.size();
  if (cuts != 0) {
    cuts = cuts * 1664525 + 1013904223;
    size = std::min<std::size_t>(size, (cuts >> 24) % 7);
  }
  const std::vector<char> piece(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size));
  text.remove_prefix(size);
  return piece;
}
