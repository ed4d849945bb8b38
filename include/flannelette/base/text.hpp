// SPDX-License-Identifier: Apache-2.0
// Text without a heap, and the numbers in it.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// Text without a heap: a Writer appends to memory it does not own, a Text<N> owns N bytes.
namespace flannelette {

/// Appends to a caller's buffer. Overflow is sticky: a piece that does not fit is not written, not even in
/// part, and neither is anything after it; `overflowed()` stays true until clear().
class Writer {
 public:
  explicit Writer(std::span<char> out)  ///< of less than 2 GiB
      : out_(out.data()), capacity_(static_cast<std::uint32_t>(out.size())), overflowed_(false) {}

  Writer& put(char c);
  Writer& put(std::string_view text);
  Writer& put(const char* text);
  Writer& put_unsigned(std::uint64_t value);
  Writer& put_signed(std::int64_t value);
  /// Lower-case hexadecimal, at least `width` digits.
  Writer& put_hex(std::uint64_t value, int width = 1);

  std::string_view view() const { return {out_, size_}; }
  std::size_t size() const { return size_; }
  std::size_t room() const { return capacity_ - size_; }
  bool overflowed() const { return overflowed_; }
  /// For those who know beforehand that what they would write does not fit.
  void overflow() { overflowed_ = true; }
  void clear() {
    size_ = 0;
    overflowed_ = false;
  }

 private:
  // Two words on a 64-bit machine: more than a hundred are made.
  char* out_;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ : 31;
  std::uint32_t overflowed_ : 1;
};

/// A comparison with a literal is one call, and passes no length.
bool operator==(std::string_view a, const char* b);

/// Appends a peer's text as far as it can be printed and has room: control bytes are dropped.
Writer& append_printable(Writer& out, std::string_view text);

/// Copies as much of the text as leaves room for the NUL that it adds; returns how much that is.
std::size_t copy_cut(std::string_view text, std::span<char> out);

/// A value type holding up to N bytes of text. Assigning more than N bytes fails and leaves the old text.
template <std::size_t N>
class Text {
 public:
  static constexpr std::size_t kCapacity = N;

  Text() { clear(); }
  /// For literals and values known to fit; what does not fit is cut (see assign for the checked form).
  Text(std::string_view text) : size_(cut(text)) {}         // NOLINT: implicit on purpose
  Text(const char* text) : Text(std::string_view(text)) {}  // NOLINT

  /// As by the constructor; the text may be a part of this one. A template, so that `{}` is no view.
  template <std::same_as<std::string_view> View>
  Text& operator=(View text) {
    size_ = cut(text);
    return *this;
  }
  [[nodiscard]] bool assign(std::string_view text) {
    if (text.size() > N) return false;
    *this = text;
    return true;
  }
  std::string_view view() const { return {bytes_.data(), size_}; }
  operator std::string_view() const { return view(); }  // NOLINT
  const char* c_str() const { return bytes_.data(); }
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  void clear() {
    size_ = 0;
    bytes_[0] = '\0';
  }
  friend bool operator==(const Text& a, const Text& b) { return a.view() == b.view(); }
  friend bool operator==(const Text& a, const char* b) { return a.view() == b; }

 private:
  template <std::size_t M, class Fill>
  friend Text<M> to_text(Fill fill);

  struct Unset {};
  explicit Text(Unset) {}
  std::uint32_t cut(std::string_view text) { return static_cast<std::uint32_t>(copy_cut(text, bytes_)); }

  std::array<char, N + 1> bytes_;  // beyond the NUL they are not initialised
  std::uint32_t size_;
};

/// `put_*` any writable thing into a fresh Text: `to_text<16>([&](Writer& w) { write(w, ip); })`.
template <std::size_t N, class Fill>
Text<N> to_text(Fill fill) {
  Text<N> text{typename Text<N>::Unset()};
  Writer writer(std::span(text.bytes_).first(N));
  fill(writer);
  text.size_ = static_cast<std::uint32_t>(writer.size());
  text.bytes_[text.size_] = '\0';
  return text;
}

/// Without blanks at either end; a line end is none.
std::string_view trimmed(std::string_view text);
inline constexpr std::string_view kBlanks = " \t\r\v\f";

/// Decimal only, no sign, no blank, no overflow; the whole text must be the number.
[[nodiscard]] bool parse_unsigned(std::string_view text, std::uint64_t& value);

/// Consumes 1 to `max_digits` decimal digits (at most 9) without a leading zero; -1 if there are none, or the
/// number is longer or begins with a zero that is not all of it.
int take_decimal(std::string_view& in, std::size_t max_digits);

/// The value of a hexadecimal digit of either case, or -1.
int hex_value(char c);

/// ASCII case-insensitive equality.
bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace flannelette
