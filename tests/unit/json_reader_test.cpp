// SPDX-License-Identifier: Apache-2.0
#include "flannelette/json/reader.hpp"

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <string>
#include <vector>

using namespace flannelette::json;

namespace {

std::string shown(const Reader& reader, Token token) {
  const std::string text = reader.overlong() ? "(overlong)" : std::string(reader.text());
  switch (token) {
    case Token::kNeedMore: return "";
    case Token::kBad: return std::string("bad@") + std::to_string(reader.offset());
    case Token::kBeginObject: return "{";
    case Token::kEndObject: return "}";
    case Token::kBeginArray: return "[";
    case Token::kEndArray: return "]";
    case Token::kKey: return text + ":";
    case Token::kString: return "'" + text + "'";
    case Token::kNumber: return text;
    case Token::kTrue: return "true";
    case Token::kFalse: return "false";
    case Token::kNull: return "null";
    case Token::kEnd: return ".";
  }
  return "?";
}

/// Pulls until the reader wants more, appending each token and a blank.
bool pull(Reader& reader, std::string& out) {
  for (;;) {
    const Token token = reader.next();
    if (token == Token::kNeedMore) {
      CHECK(reader.rest().empty());
      return true;
    }
    out += shown(reader, token) + " ";
    if (token == Token::kBad) return false;
  }
}

/// The tokens of a text that is fed in the given pieces and ends there.
std::string tokens_of(const std::vector<std::string_view>& pieces, std::size_t limit) {
  std::vector<char> scratch(limit);
  Reader reader(scratch);
  std::string out;
  for (const std::string_view piece : pieces) {
    // Fed from memory of its own size, so that the address sanitizer sees a read beyond it.
    const std::vector<char> copy(piece.begin(), piece.end());
    reader.feed({copy.data(), copy.size()});
    if (!pull(reader, out)) return out;
  }
  reader.finish();
  pull(reader, out);
  return out;
}

/// The tokens of `text`, checked to be the same for each place to cut it, for two cuts, and byte by byte.
std::string tokens(std::string_view text, std::size_t limit = 64) {
  const std::string whole = tokens_of({text}, limit);
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const std::string_view head = text.substr(0, i);
    const std::string_view tail = text.substr(i);
    CHECK(tokens_of({head, tail}, limit) == whole);
    CHECK(tokens_of({head, "", tail.substr(0, 1), tail.substr(tail.empty() ? 0 : 1)}, limit) == whole);
    if (i < text.size()) bytes.push_back(text.substr(i, 1));
  }
  CHECK(tokens_of(bytes, limit) == whole);
  return whole;
}

std::string string_value(std::string_view escaped) {
  std::string text = tokens("\"" + std::string(escaped) + "\"");
  if (text.size() < 5 || text.front() != '\'') return text;
  return text.substr(1, text.size() - 5);  // without "'" and "' . "
}

const char* const kFffd = "\xef\xbf\xbd";
std::string fffd(int count) {
  std::string text;
  while (count-- > 0) text += kFffd;
  return text;
}

}  // namespace

TEST_SUITE_BEGIN("json/reader");

TEST_CASE("documents cut at any byte give the same tokens") {
  CHECK(tokens(R"({"PublicIP":"172.30.0.11","PublicIPv6":null,"BackendType":"vxlan",)"
               R"("BackendData":{"VNI":1,"VtepMAC":"f2:09:be:00:30:fd"}})") ==
        "{ PublicIP: '172.30.0.11' PublicIPv6: null BackendType: 'vxlan' BackendData: { VNI: 1 VtepMAC: "
        "'f2:09:be:00:30:fd' } } . ");
  CHECK(tokens(" { \"a\" : [ ] ,\r\n\t\"b\" : [ true , false,null, { } ,[[1]] ] } ") ==
        "{ a: [ ] b: [ true false null { } [ [ 1 ] ] ] } . ");
  CHECK(
      tokens(R"({"result":{"header":{"revision":"5"},"events":[{"type":"DELETE","kv":{"key":"YQ=="}}]}})") ==
      "{ result: { header: { revision: '5' } events: [ { type: 'DELETE' kv: { key: 'YQ==' } } ] } } . ");
}

TEST_CASE("a stream of documents gives an end after each, with or without white space between") {
  CHECK(tokens("{}\n{\"a\":1}\n") == "{ } . { a: 1 } . ");
  CHECK(tokens("{}{}[]") == "{ } . { } . [ ] . ");
  CHECK(tokens("\"a\"true\"b\" 1 2 null") == "'a' . true . 'b' . 1 . 2 . null . ");
}

TEST_CASE("a document is complete with its last byte, without waiting for the next") {
  std::array<char, 16> scratch;
  Reader reader(scratch);
  reader.feed("{}");
  CHECK(reader.next() == Token::kBeginObject);
  CHECK(reader.depth() == 1);
  CHECK(reader.next() == Token::kEndObject);
  CHECK(reader.depth() == 0);
  CHECK(reader.next() == Token::kEnd);
  CHECK(reader.next() == Token::kNeedMore);
}

TEST_CASE("nothing and white space are no document") {
  CHECK(tokens("") == "");
  CHECK(tokens(" \n\t\r ") == "");
}

TEST_CASE("a top-level number ends with its input only when that is finished") {
  std::array<char, 16> scratch;
  Reader reader(scratch);
  reader.feed("12");
  CHECK(reader.next() == Token::kNeedMore);
  reader.feed("3");
  CHECK(reader.next() == Token::kNeedMore);
  reader.finish();
  CHECK(reader.next() == Token::kNumber);
  CHECK(reader.text() == "123");
  CHECK(reader.next() == Token::kEnd);
  CHECK(reader.next() == Token::kNeedMore);
}

TEST_CASE("a document that ends too early is bad when its input is finished") {
  const std::string document = R"({"a":["x\u0041",-1.5e+3,true]})";
  CHECK(tokens(document) == "{ a: [ 'xA' -1.5e+3 true ] } . ");
  for (std::size_t size = 1; size < document.size(); ++size) {
    CAPTURE(size);
    CHECK(tokens(std::string_view(document).substr(0, size)).ends_with("bad@" + std::to_string(size) + " "));
  }
}

TEST_CASE("numbers are those of RFC 8259") {
  for (const char* number : {"0", "-0", "1", "-1", "10", "1.0", "0.5", "-0.0", "1e5", "1E+5", "1e-05", "0e0",
                             "12.34e56", "123456789012345678901234567890"}) {
    CAPTURE(number);
    CHECK(tokens(number) == number + std::string(" . "));
    CHECK(tokens("[" + std::string(number) + "]") == "[ " + std::string(number) + " ] . ");
    CHECK(tokens("[" + std::string(number) + " ,1]") == "[ " + std::string(number) + " 1 ] . ");
  }
  for (const char* number : {"-", "01", "-01", "00", "1.", ".5", "+1", "1e", "1e+", "1.e5", "--1", "-a",
                             "0x10", "1.2.3", "1e5.5", "Infinity", "NaN", "1_000"}) {
    CAPTURE(number);
    CHECK(tokens("[" + std::string(number) + "]").find("bad@") != std::string::npos);
  }
}

TEST_CASE("what is not JSON is bad, and stays bad until the reset") {
  struct Row {
    const char* text;
    const char* tokens;
  };
  for (const Row& row : {
           Row{"[1,]", "[ 1 bad@3 "},
           {"[,1]", "[ bad@1 "},
           {"[1 2]", "[ 1 bad@3 "},
           {"{\"a\":1,}", "{ a: 1 bad@7 "},
           {"{,}", "{ bad@1 "},
           {"{\"a\"}", "{ a: bad@4 "},
           {"{\"a\":}", "{ a: bad@5 "},
           {"{\"a\" 1}", "{ a: bad@5 "},
           {"{\"a\"::1}", "{ a: bad@5 "},
           {"{a:1}", "{ bad@1 "},
           {"{1:1}", "{ bad@1 "},
           {"{\"a\":1 \"b\":2}", "{ a: 1 bad@7 "},
           {"[}", "[ bad@1 "},
           {"{]", "{ bad@1 "},
           {"[1}", "[ 1 bad@2 "},
           {"{\"a\":1]", "{ a: 1 bad@6 "},
           {"]", "bad@0 "},
           {"}", "bad@0 "},
           {",", "bad@0 "},
           {":", "bad@0 "},
           {"'a'", "bad@0 "},
           {"{}x", "{ } . bad@2 "},
           {"tru", "bad@3 "},
           {"trux", "bad@3 "},
           {"True", "bad@0 "},
           {"nul ", "bad@3 "},
           {"truee", "true . bad@4 "},
           {"// c\n1", "bad@0 "},
           {"\xef\xbb\xbf{}", "bad@0 "},
           {"\"a\nb\"", "bad@2 "},
           {"\"a\tb\"", "bad@2 "},
           {"\"\\x\"", "bad@2 "},
           {"\"\\'\"", "bad@2 "},
           {"\"\\u12g4\"", "bad@5 "},
           {"\"\\u\"", "bad@3 "},
           {"\v1", "bad@0 "},
       }) {
    CAPTURE(row.text);
    CHECK(tokens(row.text) == row.tokens);
  }
  CHECK(tokens(std::string_view("\"a\0\"", 4)) == "bad@2 ");
  CHECK(tokens(std::string_view("1\0", 2)) == "1 . bad@1 ");

  std::array<char, 8> scratch;
  Reader reader(scratch);
  reader.feed("]{}");
  CHECK(reader.next() == Token::kBad);
  CHECK(reader.error() == std::string_view("unexpected character"));
  CHECK(reader.next() == Token::kBad);
  CHECK(reader.skip_value() == Token::kBad);
  reader.reset();
  CHECK(reader.offset() == 0);
  reader.feed("{}");
  CHECK(reader.next() == Token::kBeginObject);
}

TEST_CASE("nesting has a limit") {
  const std::string open(Reader::kMaxDepth, '[');
  const std::string close(Reader::kMaxDepth, ']');
  CHECK(tokens(open + close).ends_with("] . "));
  CHECK(tokens(open + "[").ends_with("bad@" + std::to_string(Reader::kMaxDepth) + " "));
  std::string mixed;
  for (int i = 0; i < Reader::kMaxDepth / 2; ++i) mixed += "[{\"k\":";
  mixed += "1";
  for (int i = 0; i < Reader::kMaxDepth / 2; ++i) mixed += "}]";
  CHECK(tokens(mixed).ends_with("} ] . "));
}

TEST_CASE("keys are delivered as they come, also twice") {
  CHECK(tokens(R"({"a":1,"a":2,"A":3,"":4})") == "{ a: 1 a: 2 A: 3 : 4 } . ");
}

TEST_CASE("escapes are decoded") {
  CHECK(string_value(R"(\"\\\/\b\f\n\r\t)") == "\"\\/\b\f\n\r\t");
  CHECK(string_value(R"(\u0041\u00e9\u20ac\uFFFF\u007f\u0080\u07ff\u0800)") ==
        "A\xc3\xa9\xe2\x82\xac\xef\xbf\xbf\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80");
  CHECK(string_value(R"(a\u0000b)") == std::string("a\0b", 3));
  CHECK(string_value(R"(\ud83d\ude00)") == "\xf0\x9f\x98\x80");
  CHECK(string_value(R"(\ud800\udc00\uDBFF\uDFFF)") == "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
  CHECK(string_value("\x7f") == "\x7f");
  CHECK(tokens(R"({"\u006bey":1})") == "{ key: 1 } . ");
}

// The tables of this and the next test were checked against Go's encoding/json.
TEST_CASE("lone surrogates become U+FFFD, as in Go") {
  CHECK(string_value(R"(\ud800)") == fffd(1));
  CHECK(string_value(R"(\udc00)") == fffd(1));
  CHECK(string_value(R"(\ud800x)") == fffd(1) + "x");
  CHECK(string_value(R"(\ud800\n)") == fffd(1) + "\n");
  CHECK(string_value(R"(\ud800\u0041)") == fffd(1) + "A");
  CHECK(string_value(R"(\ud800\ud800\udc00)") == fffd(1) + "\xf0\x90\x80\x80");
  CHECK(string_value(R"(\udc00\ud800)") == fffd(2));
  CHECK(string_value(R"(\ud800x\udc00)") == fffd(1) + "x" + fffd(1));
  CHECK(string_value(R"(\ud800\n\udc00)") == fffd(1) + "\n" + fffd(1));
  CHECK(string_value("\\ud800\xc3\xa9\\udc00") == fffd(1) + "\xc3\xa9" + fffd(1));
  CHECK(string_value("\\ud800\xff\\udc00") == fffd(3));
  CHECK(string_value(R"(\ud800\udc00\udc00)") == "\xf0\x90\x80\x80" + fffd(1));
  CHECK(tokens(R"(["\ud800","\udc00"])") == "[ '" + fffd(1) + "' '" + fffd(1) + "' ] . ");
}

TEST_CASE("bytes that are no UTF-8 become U+FFFD one by one, as in Go") {
  CHECK(string_value("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80") == "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  CHECK(string_value("\xf4\x8f\xbf\xbf") == "\xf4\x8f\xbf\xbf");
  CHECK(string_value("\xff") == fffd(1));
  CHECK(string_value("\x80") == fffd(1));
  CHECK(string_value("\xc3") == fffd(1));
  CHECK(string_value("\xc3x") == fffd(1) + "x");
  CHECK(string_value("\xc0\x80") == fffd(2));          // overlong
  CHECK(string_value("\xe0\x80\x80") == fffd(3));      // overlong
  CHECK(string_value("\xed\xa0\x80") == fffd(3));      // a surrogate
  CHECK(string_value("\xf4\x90\x80\x80") == fffd(4));  // beyond U+10FFFF
  CHECK(string_value("\xe2\x82") == fffd(2));
  CHECK(string_value("\xf0\x9f\x98") == fffd(3));
  CHECK(string_value("\xf0\x9f\x98x") == fffd(3) + "x");
  CHECK(string_value("\xe2\x82\xc3\xa9") == fffd(2) + "\xc3\xa9");
  CHECK(string_value("\xe2\x82\\n") == fffd(2) + "\n");
  CHECK(string_value("\xe2\xe2\x82\xac") == fffd(1) + "\xe2\x82\xac");
}

TEST_CASE("an overlong string is consumed, delivered empty, and the stream goes on") {
  CHECK(tokens(R"(["12345678","123456789","x"])", 8) == "[ '12345678' '(overlong)' 'x' ] . ");
  CHECK(tokens(R"({"123456789":"v","k":true})", 8) == "{ (overlong): 'v' k: true } . ");
  CHECK(tokens(R"(["1234567é","123456é","\ud83d\ude00abcd","\ud83d\ude00abcde"])", 8) ==
        "[ '(overlong)' '123456\xc3\xa9' '\xf0\x9f\x98\x80"
        "abcd' '(overlong)' ] . ");
  CHECK(tokens("[\"123456\xc3\",\"12345\xc3\",\"x\"]", 8) == "[ '(overlong)' '12345\xef\xbf\xbd' 'x' ] . ");
  CHECK(tokens("\"\\ud83d\\ude00\"", 4) == "'\xf0\x9f\x98\x80' . ");
  CHECK(tokens("[\"\\ud83d\\ude00\",\"\\ud83d\\ude00\xe2\x82x\",true]", 3) ==
        "[ '(overlong)' '(overlong)' true ] . ");
  CHECK(tokens(R"(["",1])", 0) == "[ '' bad@5 ");

  std::array<char, 2> scratch;
  Reader reader(scratch);
  reader.feed(R"(["long",true])");
  CHECK(reader.next() == Token::kBeginArray);
  CHECK(reader.next() == Token::kString);
  CHECK(reader.overlong());
  CHECK(reader.text().empty());
  CHECK(reader.next() == Token::kTrue);
  CHECK_FALSE(reader.overlong());
}

TEST_CASE("an overlong number is bad") {
  CHECK(tokens("[12345678]", 8) == "[ 12345678 ] . ");
  CHECK(tokens("[123456789]", 8) == "[ bad@10 ");
}

TEST_CASE("a value is skipped, whatever it holds and wherever its text is cut") {
  for (const std::string value :
       {"1", "-1.5e3", "\"s\"", "null", "true", "{}", "[]",
        "{\"a\":[{\"b\":[1,\"\\ud83d\\ude00\"]}],\"c\":{}}", "[[[]],[],1]",
        "\"a string that is longer than the scratch\"", "[1234567890123456789012345]", "{\"skip\":1}"}) {
    const std::string document = "{\"skip\":" + value + ",\"keep\":\"x\"} 7 ";
    CAPTURE(document);
    for (std::size_t cut = 0; cut <= document.size(); ++cut) {
      std::array<char, 8> scratch;
      Reader reader(scratch);
      std::string out;
      bool skipping = false;
      for (const std::string_view piece :
           {std::string_view(document).substr(0, cut), std::string_view(document).substr(cut)}) {
        reader.feed(piece);
        for (;;) {
          const Token token = skipping ? reader.skip_value() : reader.next();
          if (token == Token::kNeedMore) break;
          if (skipping) {
            CHECK(token == Token::kEnd);
            CHECK(reader.depth() == 1);
            CHECK_FALSE(reader.overlong());
            skipping = false;
            continue;
          }
          out += shown(reader, token) + " ";
          REQUIRE(token != Token::kBad);
          skipping = token == Token::kKey && reader.text() == "skip";
        }
      }
      CHECK(out == "{ skip: keep: 'x' } . 7 . ");
    }
  }
}

TEST_CASE("an opened container is skipped to its end") {
  std::array<char, 8> scratch;
  Reader reader(scratch);
  reader.feed(R"([{"a":[1,{}]},[],"x"]{)");
  CHECK(reader.next() == Token::kBeginArray);
  CHECK(reader.next() == Token::kBeginObject);
  CHECK(reader.skip_value() == Token::kEnd);
  CHECK(reader.depth() == 1);
  CHECK(reader.next() == Token::kBeginArray);
  CHECK(reader.skip_value() == Token::kEnd);
  CHECK(reader.next() == Token::kString);
  CHECK(reader.text() == "x");
  CHECK(reader.skip_value() == Token::kEnd);  // nothing to skip after a scalar
  CHECK(reader.next() == Token::kEndArray);
  CHECK(reader.next() == Token::kEnd);
  CHECK(reader.next() == Token::kBeginObject);
  CHECK(reader.skip_value() == Token::kNeedMore);
  reader.feed("}[");
  CHECK(reader.skip_value() == Token::kEnd);
  CHECK(reader.next() == Token::kEnd);  // of the document
  CHECK(reader.next() == Token::kBeginArray);
}

TEST_CASE("what is skipped is still checked") {
  std::array<char, 8> scratch;
  Reader reader(scratch);
  reader.feed(R"({"a":[1,]})");
  CHECK(reader.next() == Token::kBeginObject);
  CHECK(reader.next() == Token::kKey);
  CHECK(reader.skip_value() == Token::kBad);
  CHECK(reader.skip_value() == Token::kBad);
  reader.reset();
  reader.feed("[5]");
  CHECK(reader.next() == Token::kBeginArray);
  CHECK(reader.next() == Token::kNumber);
}

TEST_CASE("the offset and the rest tell where the reader is") {
  std::array<char, 8> scratch;
  Reader reader(scratch);
  reader.feed("[1, ");
  CHECK(reader.next() == Token::kBeginArray);
  CHECK(reader.offset() == 1);
  CHECK(reader.rest() == "1, ");
  CHECK(reader.next() == Token::kNumber);
  CHECK(reader.next() == Token::kNeedMore);
  CHECK(reader.offset() == 4);
  reader.feed("2]");
  CHECK(reader.next() == Token::kNumber);
  CHECK(reader.offset() == 5);
}

TEST_CASE("integers are extracted if the text is one that fits") {
  CHECK(to_int64("0") == 0);
  CHECK(to_int64("-0") == 0);
  CHECK(to_int64("7587899091547236870") == 7587899091547236870);
  CHECK(to_int64("9223372036854775807") == std::numeric_limits<std::int64_t>::max());
  CHECK(to_int64("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
  for (const char* bad : {"", "-", "--1", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "9223372036854775808",
                          "-9223372036854775809", "18446744073709551616", "-18446744073709551615", "a"}) {
    CAPTURE(bad);
    CHECK_FALSE(to_int64(bad));
  }
  CHECK(to_uint64("18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
  CHECK_FALSE(to_uint64("18446744073709551616"));
  CHECK_FALSE(to_uint64("-0"));
  CHECK_FALSE(to_uint64(""));
}

TEST_SUITE_END();
