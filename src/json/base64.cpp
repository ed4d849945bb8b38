// SPDX-License-Identifier: Apache-2.0
// Base64, as etcd's gateway uses it for bytes.
#include "flannelette/json/base64.hpp"

#include <array>
#include <cstdint>

namespace flannelette::json {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::uint8_t kBad = 0x80;
constexpr auto kValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kBad);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<std::uint8_t>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}();

constexpr std::uint32_t byte_of(std::string_view text, std::size_t at) {
  return static_cast<std::uint8_t>(text[at]);
}

}  // namespace

void encode_base64(std::string_view bytes, flannelette::Writer& out) {
  if (base64_size(bytes.size()) > out.room()) return out.overflow();
  while (!bytes.empty()) {
    std::uint32_t group = byte_of(bytes, 0) << 16;
    if (bytes.size() > 1) group |= byte_of(bytes, 1) << 8;
    if (bytes.size() > 2) group |= byte_of(bytes, 2);
    std::array<char, 4> digits{'=', '=', '=', '='};
    const std::size_t used = bytes.size() < 3 ? bytes.size() : 3;
    for (std::size_t i = 0; i <= used; ++i) digits[i] = kAlphabet[group >> (18 - 6 * i) & 63];
    out.put({digits.data(), digits.size()});
    bytes.remove_prefix(used);
  }
}

std::optional<std::string_view> decode_base64(std::string_view text, std::span<char> out) {
  if (text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = !text.ends_with('=') ? 0 : text.ends_with("==") ? 2 : 1;
  const std::size_t size = text.size() / 4 * 3 - padding;
  if (size > out.size()) return std::nullopt;

  // In place the reading stays ahead of the writing: four bytes are read before three are written.
  std::uint32_t bad = 0;  // collects the bit that only table entries outside of the alphabet have
  const auto digit = [&](std::size_t at) __attribute__((always_inline)) {
    const std::uint32_t value = kValues[byte_of(text, at)];
    bad |= value;
    return value;
  };
  char* to = out.data();
  const std::size_t whole = text.size() - (padding != 0 ? 4 : 0);
  for (std::size_t at = 0; at < whole; at += 4) {
    const std::uint32_t group = digit(at) << 18 | digit(at + 1) << 12 | digit(at + 2) << 6 | digit(at + 3);
    *to++ = static_cast<char>(group >> 16);
    *to++ = static_cast<char>(group >> 8);
    *to++ = static_cast<char>(group);
  }
  if (padding != 0) {
    std::uint32_t group = digit(whole) << 18 | digit(whole + 1) << 12;
    if (padding == 1) group |= digit(whole + 2) << 6;
    *to++ = static_cast<char>(group >> 16);
    if (padding == 1) *to++ = static_cast<char>(group >> 8);
    // Stray bits: another encoder's bug, or a cut text.
    if ((group & (padding == 1 ? 0xffu : 0xffffu)) != 0) return std::nullopt;
  }
  if ((bad & kBad) != 0) return std::nullopt;
  return std::string_view(out.data(), size);
}

}  // namespace flannelette::json
