// SPDX-License-Identifier: Apache-2.0
#include "flannelette/base/text.hpp"

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <utility>

#include "flannelette/base/delegate.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/base/unique_fd.hpp"

using namespace flannelette;

TEST_SUITE_BEGIN("base/text");

TEST_CASE("a writer appends pieces and numbers") {
  std::array<char, 128> memory;
  Writer out(memory);
  out.put("a")
      .put('b')
      .put_unsigned(0)
      .put(' ')
      .put_unsigned(std::numeric_limits<std::uint64_t>::max())
      .put(' ');
  out.put_signed(-1).put(' ').put_signed(std::numeric_limits<std::int64_t>::min()).put(' ');
  out.put_hex(0).put(' ').put_hex(0xab, 4).put(' ').put_hex(~std::uint64_t{0}, 99);
  CHECK(out.view() == "ab0 18446744073709551615 -1 -9223372036854775808 0 00ab ffffffffffffffff");
  CHECK_FALSE(out.overflowed());
  CHECK(out.room() == memory.size() - out.size());
}

TEST_CASE("a piece that does not fit is left out whole, and so is all that follows") {
  std::array<char, 4> memory{'.', '.', '.', '.'};
  Writer out(memory);
  out.put("abc").put_signed(-1).put('d');
  CHECK(out.view() == "abc");
  CHECK(memory[3] == '.');
  CHECK(out.overflowed());
  out.clear();
  CHECK_FALSE(out.overflowed());
  CHECK(out.put("abcd").view() == "abcd");
  CHECK_FALSE(out.overflowed());
  CHECK(out.put("").view() == "abcd");
  CHECK_FALSE(out.overflowed());
  CHECK(out.put('e').overflowed());
}

TEST_CASE("a writer over no memory overflows at the first byte") {
  Writer out({});
  CHECK_FALSE(out.put("").overflowed());
  CHECK(out.put('a').overflowed());
}

TEST_CASE("a text keeps its old value when the new one does not fit") {
  Text<4> text("ab");
  CHECK_FALSE(text.assign("12345"));
  CHECK(text.view() == "ab");
  CHECK(text.assign("1234"));
  CHECK(std::string_view(text.c_str()) == "1234");
  CHECK(Text<4>("123456").view() == "1234");
  CHECK(text == Text<4>("1234"));
  text.clear();
  CHECK(text.empty());
}

TEST_CASE("unsigned numbers are parsed strictly") {
  std::uint64_t value = 7;
  for (const char* bad :
       {"", " 1", "1 ", "+1", "-1", "0x1", "1a", "18446744073709551616", "99999999999999999999"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_unsigned(bad, value));
    CHECK(value == 7);
  }
  CHECK(parse_unsigned("18446744073709551615", value));
  CHECK(value == std::numeric_limits<std::uint64_t>::max());
  CHECK(parse_unsigned("007", value));
  CHECK(value == 7);
}

TEST_CASE("a decimal number is taken from the front") {
  const auto taken = [](std::string_view text, std::size_t max_digits) {
    const int value = take_decimal(text, max_digits);
    return std::pair(value, text);
  };
  CHECK(taken("12,3", 3) == std::pair(12, std::string_view(",3")));
  CHECK(taken("0", 3) == std::pair(0, std::string_view()));
  CHECK(taken("999", 3).first == 999);
  for (const char* bad : {"", "a1", "-1", " 1", "1000", "00", "01"}) CHECK(taken(bad, 3).first == -1);
}

TEST_CASE("hexadecimal digits of either case have a value, nothing else does") {
  int found = 0;
  for (int c = 0; c < 256; ++c) {
    if (hex_value(static_cast<char>(c)) >= 0) ++found;
  }
  CHECK(found == 22);
  CHECK(hex_value('9') == 9);
  CHECK(hex_value('a') == 10);
  CHECK(hex_value('F') == 15);
}

TEST_CASE("equality without case is for ASCII letters only") {
  CHECK(equal_ignoring_case("Content-LENGTH", "content-length"));
  CHECK_FALSE(equal_ignoring_case("a", "ab"));
  CHECK_FALSE(equal_ignoring_case("@", "`"));
  CHECK_FALSE(equal_ignoring_case("[", "{"));
  CHECK(equal_ignoring_case("", ""));
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("base/result");

namespace {

struct Counted {
  explicit Counted(int& alive) : alive_(&alive) { ++alive; }
  Counted(Counted&& other) noexcept : alive_(other.alive_) { ++*alive_; }
  ~Counted() { --*alive_; }
  int* alive_;
};

Result<void> fails_if(bool fail) {
  if (fail) return Error{Code::kTimeout, 0, "inner"};
  return {};
}

Result<int> tries(bool fail) {
  FLT_TRY(fails_if(fail));
  return 42;
}

}  // namespace

TEST_CASE("a peer's text is appended as far as there is room, without its control bytes") {
  std::array<char, 6> memory;
  Writer out(memory);
  CHECK(append_printable(out, "a\x1b[\n\x7f\xc3").view() == "a[\xc3");
  std::array<char, 16> more;
  Writer controls(more);
  CHECK(append_printable(append_printable(controls, "\xc2"),
                         "\x9b"
                         "2J\xc3\xa9")
            .view() ==
        "\xc2"
        "2J\xc3\xa9");
  CHECK(append_printable(out, "bcdef").view() ==
        "a[\xc3"
        "bcd");
  CHECK_FALSE(out.overflowed());
}

TEST_CASE("a result holds a value or an error, and destroys what it holds") {
  int alive = 0;
  {
    Result<Counted> value{Counted(alive)};
    CHECK(alive == 1);
    Result<Counted> moved{std::move(value)};
    CHECK(alive == 2);
    CHECK(moved);
    const Result<Counted> error{Error{Code::kClosed, 0, "x"}};
    CHECK_FALSE(error);
    CHECK(error.error().code == Code::kClosed);
  }
  CHECK(alive == 0);
}

TEST_CASE("FLT_TRY returns the first error") {
  CHECK(*tries(false) == 42);
  const auto failed = tries(true);
  CHECK_FALSE(failed);
  CHECK(failed.error().context == std::string_view("inner"));
}

TEST_CASE("every code has a name of its own") {
  for (int i = 0; i <= static_cast<int>(Code::kSystem); ++i) {
    CHECK(name(Code(i)) != "?");
    for (int j = 0; j < i; ++j) CHECK(name(Code(i)) != name(Code(j)));
  }
}

TEST_CASE("a delegate calls the method of its object") {
  struct Adder {
    int add(int n) { return sum += n; }
    int sum = 0;
  } adder;
  Delegate<int(int)> none;
  CHECK_FALSE(none);
  const auto add = Delegate<int(int)>::to<&Adder::add>(&adder);
  CHECK(add);
  add(2);
  CHECK(add(3) == 5);
}

TEST_CASE("a unique descriptor closes once") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  UniqueFd writer(ends[1]);
  const UniqueFd reader(ends[0]);
  {
    UniqueFd moved(std::move(writer));
    CHECK_FALSE(writer);  // NOLINT: a moved-from UniqueFd owns nothing
    CHECK(moved.get() == ends[1]);
  }
  char byte;
  CHECK(::read(reader.get(), &byte, 1) == 0);  // the other end is closed
}

TEST_SUITE_END();
