// SPDX-License-Identifier: Apache-2.0
// Text without a heap, and the numbers in it.
#include "flannelette/base/text.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace flannelette {

Writer& Writer::put(char c) { return put(std::string_view(&c, 1)); }

Writer& Writer::put(std::string_view text) {
  if (text.size() > room()) overflowed_ = true;
  if (overflowed_) return *this;
  if (!text.empty()) std::memcpy(out_ + size_, text.data(), text.size());
  size_ += static_cast<std::uint32_t>(text.size());
  return *this;
}

Writer& Writer::put(const char* text) { return put(std::string_view(text)); }

Writer& Writer::put_unsigned(std::uint64_t value) {
  std::array<char, std::numeric_limits<std::uint64_t>::digits10 + 1> digits;
  std::size_t at = digits.size();
  do {
    digits[--at] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  return put({digits.data() + at, digits.size() - at});
}

Writer& Writer::put_signed(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  if (value >= 0) return put_unsigned(bits);
  // One piece, so that a number which does not fit leaves no lone sign behind.
  const auto digits = to_text<20>([&](Writer& out) { out.put('-').put_unsigned(0 - bits); });
  return put(digits.view());
}

Writer& Writer::put_hex(std::uint64_t value, int width) {
  std::array<char, 16> digits;
  std::size_t at = digits.size();
  do {
    digits[--at] = "0123456789abcdef"[value & 15];
    value >>= 4;
    --width;
  } while (at != 0 && (value != 0 || width > 0));
  return put({digits.data() + at, digits.size() - at});
}

bool operator==(std::string_view a, const char* b) { return a == std::string_view(b); }

Writer& append_printable(Writer& out, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    // Some terminals obey U+0080 to U+009F, too.
    const bool c1 = byte >= 0x80 && byte < 0xa0 && out.view().ends_with('\xc2');
    if (out.room() > 0 && byte >= ' ' && byte != 0x7f && !c1) out.put(c);
  }
  return out;
}

std::size_t copy_cut(std::string_view text, std::span<char> out) {
  const std::size_t size = std::min(text.size(), out.size() - 1);
  for (std::size_t i = 0; i < size; ++i) out[i] = text[i];
  out[size] = '\0';
  return size;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool parse_unsigned(std::string_view text, std::uint64_t& value) {
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  if (text.empty()) return false;
  std::uint64_t sum = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (sum > kMax / 10 || sum * 10 > kMax - digit) return false;
    sum = sum * 10 + digit;
  }
  value = sum;
  return true;
}

int take_decimal(std::string_view& in, std::size_t max_digits) {
  int value = 0;
  std::size_t digits = 0;
  for (; !in.empty() && in[0] >= '0' && in[0] <= '9'; in.remove_prefix(1)) {
    if (digits == max_digits || (digits > 0 && value == 0)) return -1;
    value = value * 10 + (in[0] - '0');
    ++digits;
  }
  return digits == 0 ? -1 : value;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

}  // namespace flannelette
