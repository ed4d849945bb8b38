// SPDX-License-Identifier: Apache-2.0
// Whether bytes are UTF-8.
#pragma once

#include <cstdint>

namespace flannelette::json {

/// What may follow the first byte of a UTF-8 sequence (Unicode 15, table 3-7): `more` bytes, the first of
/// them in [low, high], the others in [0x80, 0xbf]. `more` is 0 for a byte that starts no sequence of several
/// bytes.
struct Utf8Lead {
  std::uint8_t more = 0;
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xbf;
};

constexpr Utf8Lead utf8_lead(std::uint8_t byte) {
  if (byte < 0xc2 || byte > 0xf4) return {};
  if (byte < 0xe0) return {1};
  if (byte < 0xf0) {
    // No overlong forms, no surrogates.
    return {2, std::uint8_t(byte == 0xe0 ? 0xa0 : 0x80), std::uint8_t(byte == 0xed ? 0x9f : 0xbf)};
  }
  return {3, std::uint8_t(byte == 0xf0 ? 0x90 : 0x80), std::uint8_t(byte == 0xf4 ? 0x8f : 0xbf)};
}

}  // namespace flannelette::json
