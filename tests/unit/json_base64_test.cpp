// SPDX-License-Identifier: Apache-2.0
#include "flannelette/json/base64.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

using namespace flannelette;

namespace {

std::string encoded(std::string_view bytes) {
  std::vector<char> memory(json::base64_size(bytes.size()));
  Writer out(memory);
  json::encode_base64(bytes, out);
  CHECK_FALSE(out.overflowed());
  CHECK(out.size() == memory.size());
  return std::string(out.view());
}

std::string decoded(std::string_view text) {
  std::vector<char> memory(text.size());
  const auto bytes = json::decode_base64(text, memory);
  return bytes ? std::string(*bytes) : "refused";
}

}  // namespace

TEST_SUITE_BEGIN("json/base64");

TEST_CASE("the vectors of RFC 4648 section 10") {
  const char* const rows[][2] = {{"", ""},
                                 {"f", "Zg=="},
                                 {"fo", "Zm8="},
                                 {"foo", "Zm9v"},
                                 {"foob", "Zm9vYg=="},
                                 {"fooba", "Zm9vYmE="},
                                 {"foobar", "Zm9vYmFy"}};
  for (const auto& row : rows) {
    CHECK(encoded(row[0]) == row[1]);
    CHECK(decoded(row[1]) == row[0]);
  }
  CHECK(encoded("\xfb\xff\xfe") == "+//+");
  CHECK(decoded("+//+") == "\xfb\xff\xfe");
  CHECK(encoded(std::string_view("\0", 1)) == "AA==");
}

TEST_CASE("texts of any length and any bytes survive there and back, also decoded in place") {
  std::string bytes;
  for (int size = 0; size < 300; ++size) {
    std::string text = encoded(bytes);
    CHECK(decoded(text) == bytes);
    const auto in_place = json::decode_base64(text, text);
    REQUIRE(in_place);
    CHECK(*in_place == bytes);
    CHECK(in_place->data() == text.data());
    bytes.push_back(static_cast<char>(size * 7 + 3));
  }
}

TEST_CASE("what is malformed is refused") {
  for (const char* bad :
       {"Z",    "Zg",       "Zg=",      "Zg===",   "=",       "==",       "===",    "====",
        "Z===", "Zg==Zg==", "Zm8=Zm8=", "Zm9v=",   "Z=g=",    "=Zg=",     "Zm9v\n", "Zm9vYg==\n",
        " Zm9", "Zm 9",     "Zm-_",     "Zm9\x80", "\xdam9v", "Zm9v!AAA", "Zh==",   "Zm9="}) {
    CAPTURE(bad);
    CHECK(decoded(bad) == "refused");
  }
  CHECK(decoded(std::string_view("Zm\0v", 4)) == "refused");
}

TEST_CASE("every byte outside of the alphabet is refused at every place") {
  int accepted = 0;
  for (int c = 0; c < 256; ++c) {
    for (std::size_t place = 0; place < 4; ++place) {
      std::string text = "AAAAAAAA";
      text[place] = static_cast<char>(c);
      if (decoded(text) != "refused") ++accepted;
    }
  }
  CHECK(accepted == 4 * 64);
}

TEST_CASE("a memory that is too small is refused, one that just fits is enough") {
  std::array<char, 5> memory;
  CHECK(json::decode_base64("Zm9vYmE=", memory));
  CHECK_FALSE(json::decode_base64("Zm9vYmFy", memory));
  CHECK_FALSE(json::decode_base64("Zg==", {}));
  CHECK(json::decode_base64("", {}));
}

TEST_CASE("an encoding that does not fit is not written at all, and the overflow is seen") {
  std::array<char, 7> memory;
  Writer out(memory);
  json::encode_base64("foob", out);
  CHECK(out.view().empty());
  CHECK(out.overflowed());
}

TEST_SUITE_END();
