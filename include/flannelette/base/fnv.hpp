// SPDX-License-Identifier: Apache-2.0
// A digest that tells contents apart.
#pragma once

#include <cstdint>
#include <string_view>

namespace flannelette {

/// FNV-1a of 64 bits (draft-eastlake-fnv): tells contents apart where nobody gains by making two alike.
class Fnv1a {
 public:
  /// One step: a byte, or a whole word where the result is compared with nobody else's.
  void mix(std::uint64_t word) { value_ = (value_ ^ word) * 0x100000001b3; }
  void mix(std::string_view bytes) {
    for (const char c : bytes) mix(static_cast<unsigned char>(c));
  }
  /// The lowest bytes of a number, the last first.
  void mix_bytes(std::uint64_t number, int count) {
    for (; count > 0; --count, number >>= 8) mix(number & 0xff);
  }
  std::uint64_t value() const { return value_; }
  /// Of one text.
  static std::uint64_t of(std::string_view text) {
    Fnv1a digest;
    digest.mix(text);
    return digest.value();
  }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325;
};

}  // namespace flannelette
