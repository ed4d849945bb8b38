// SPDX-License-Identifier: Apache-2.0
// The texts of a constant table in one place.
#pragma once

#include <cstddef>
#include <cstdint>

namespace flannelette {

/// The texts of a constant table, each followed by a NUL and named by where it is: two bytes instead of a
/// pointer. 0 is the empty text. Filled at compile time; kSize bytes have to do. Plain arrays, and few calls:
/// clang counts the steps of a constant.
template <std::size_t kSize>
struct TextPool {
  char text[kSize]{};
  std::size_t size = 1;

  /// Where the text is, which is there once.
  constexpr std::uint16_t place(const char* of) {
    std::size_t at = 0;
    while (at < size && (text[at] != *of || !is_at(of, at))) ++at;
    return at == size ? append(of) : static_cast<std::uint16_t>(at);
  }
  /// For a text that no other is equal to: it is not looked for.
  constexpr std::uint16_t append(const char* of) {
    if (*of == '\0') return 0;
    const auto at = static_cast<std::uint16_t>(size);
    for (; *of != '\0'; ++of) text[size++] = *of;
    text[size++] = '\0';
    return at;
  }

 private:
  constexpr bool is_at(const char* of, std::size_t at) const {
    for (; *of != '\0'; ++of, ++at) {
      if (at == size || text[at] != *of) return false;
    }
    return at < size && text[at] == '\0';
  }
};

}  // namespace flannelette
