// SPDX-License-Identifier: Apache-2.0
#include "flannelette/json/writer.hpp"

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <string>

#include "flannelette/json/reader.hpp"

using namespace flannelette;

namespace {

std::string quoted(std::string_view text) {
  std::array<char, 256> memory;
  json::Writer out(memory);
  out.string(text);
  REQUIRE_FALSE(out.overflowed());
  return std::string(out.view());
}

/// Writes a document that uses everything.
void write_all(json::Writer& out) {
  out.begin_object()
      .key("a")
      .begin_array()
      .number(1)
      .number(-2)
      .string("x")
      .boolean(true)
      .boolean(false)
      .null();
  out.begin_object().end_object().begin_array().end_array().end_array();
  out.key("TTL").string_int(86400).key("k<").base64("flannelette!").key("o").begin_object().key("n").null();
  out.end_object().end_object();
}

const std::string_view kAll =
    R"({"a":[1,-2,"x",true,false,null,{},[]],"TTL":"86400","k\u003c":"Zmxhbm5lbGV0dGUh","o":{"n":null}})";

}  // namespace

TEST_SUITE_BEGIN("json/writer");

TEST_CASE("a document is written without white space, and the commas are where they belong") {
  std::array<char, 256> memory;
  json::Writer out(memory);
  write_all(out);
  CHECK(out.view() == kAll);
  CHECK_FALSE(out.overflowed());
}

TEST_CASE("a record equals that of flanneld byte for byte") {
  std::array<char, 256> memory;
  json::Writer out(memory);
  out.begin_object()
      .key("PublicIP")
      .string("172.30.0.11")
      .key("PublicIPv6")
      .null()
      .key("BackendType")
      .string("vxlan");
  out.key("BackendData")
      .begin_object()
      .key("VNI")
      .number(1)
      .key("VtepMAC")
      .string("f2:09:be:00:30:fd")
      .end_object();
  out.end_object();
  CHECK(out.view() == R"({"PublicIP":"172.30.0.11","PublicIPv6":null,"BackendType":"vxlan",)"
                      R"("BackendData":{"VNI":1,"VtepMAC":"f2:09:be:00:30:fd"}})");
}

TEST_CASE("whatever the room, nothing is written past it and the overflow is seen") {
  for (std::size_t room = 0; room <= kAll.size(); ++room) {
    std::array<char, 256> memory;
    memory.fill('#');
    json::Writer out(std::span(memory.data(), room));
    write_all(out);
    CHECK(out.overflowed() == (room < kAll.size()));
    CHECK(kAll.starts_with(out.view()));
    for (std::size_t i = room; i < memory.size(); ++i) REQUIRE(memory[i] == '#');
  }
}

// Checked against Go's encoding/json.
TEST_CASE("strings are escaped as Go does by default") {
  CHECK(quoted("") == R"("")");
  CHECK(quoted(R"(a"b\c/d)") == R"("a\"b\\c/d")");
  CHECK(quoted("<a & b>") == R"("\u003ca \u0026 b\u003e")");
  CHECK(quoted("\n\r\t") == R"("\n\r\t")");
  CHECK(quoted(std::string_view("\0\x01\x1f\x7f", 4)) == "\"\\u0000\\u0001\\u001f\x7f\"");
  CHECK(quoted("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80") == "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
  CHECK(quoted("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa") ==
        "\"\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa\"");
}

TEST_CASE("bytes that are no UTF-8 are written as Go does, one by one") {
  CHECK(quoted("\xff") == R"("\ufffd")");
  CHECK(quoted("a\xc3") == R"("a\ufffd")");
  CHECK(quoted("\xc3x") == R"("\ufffdx")");
  CHECK(quoted("\xe2\x82") == R"("\ufffd\ufffd")");
  CHECK(quoted("\xed\xa0\x80") == R"("\ufffd\ufffd\ufffd")");
  CHECK(quoted("\xf4\x90\x80\x80") == R"("\ufffd\ufffd\ufffd\ufffd")");
}

TEST_CASE("every string of one or two bytes comes back from the reader, U+FFFD for what is no UTF-8") {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; second += first < 0x80 || first > 0xdf ? 17 : 1) {
      const std::array<char, 2> text{static_cast<char>(first), static_cast<char>(second)};
      const std::string written = quoted({text.data(), 2});
      std::array<char, 16> scratch;
      json::Reader reader(scratch);
      reader.feed(written);
      REQUIRE(reader.next() == json::Token::kString);
      // Reading the raw bytes replaces what is broken, writing them does: both must come to the same.
      if (first >= 0x20 && second >= 0x20 && first != '"' && first != '\\' && second != '"' &&
          second != '\\') {
        std::array<char, 16> raw_scratch;
        json::Reader raw(raw_scratch);
        const std::string raw_text = "\"" + std::string(text.data(), 2) + "\"";
        raw.feed(raw_text);
        REQUIRE(raw.next() == json::Token::kString);
        CHECK(raw.text() == reader.text());
      } else if (first < 0x80 && second < 0x80) {
        CHECK(reader.text() == std::string_view(text.data(), 2));
      }
    }
  }
}

TEST_CASE("integers are written over their whole range") {
  std::array<char, 128> memory;
  json::Writer out(memory);
  out.begin_array().number(std::numeric_limits<std::int64_t>::min()).number(0);
  out.string_int(std::numeric_limits<std::int64_t>::max()).end_array();
  CHECK(out.view() == R"([-9223372036854775808,0,"9223372036854775807"])");
}

TEST_SUITE_END();
