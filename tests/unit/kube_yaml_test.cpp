// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "registry/kube/yaml.hpp"

using namespace flannelette::registry::kube;

namespace {

/// Events as one text: {a:(1)b:[(2)~].} is a mapping of a text and a sequence; + is a further line.
class Record final : public YamlEvents {
 public:
  const char* on(const YamlEvent& event) override {
    switch (event.kind) {
      case YamlEvent::Kind::kBeginMapping: text += "{", ends += '}'; break;
      case YamlEvent::Kind::kBeginSequence: text += "[", ends += ']'; break;
      case YamlEvent::Kind::kEnd: text += ends.back(), ends.pop_back(); break;
      case YamlEvent::Kind::kKey: text.append(event.text).append(":"); break;
      case YamlEvent::Kind::kScalar: text.append("(").append(event.text).append(")"); break;
      case YamlEvent::Kind::kNull: text += "~"; break;
      case YamlEvent::Kind::kContinued: text += "+"; break;
    }
    last_line = event.line;
    return event.text == "refused" ? "refused by who reads" : nullptr;
  }
  std::string text, ends;
  std::uint32_t last_line = 0;
};

std::string events(std::string_view text) {
  std::vector<char> memory(text.begin(), text.end());  // of its own size
  Record record;
  const YamlFault fault = read_yaml(memory, record);
  if (fault.why != nullptr) return std::to_string(fault.line) + ": " + fault.why;
  CHECK(record.ends.empty());
  return record.text;
}

std::string deep(int levels) {
  std::string text;
  for (int i = 0; i < levels; ++i) text += "- ";
  return text + "x";
}

}  // namespace

TEST_SUITE("kube/yaml") {
  TEST_CASE("mappings and sequences by indentation") {
    const char* const rows[][2] = {
        {"a: 1\nb: 2", "{a:(1)b:(2)}"},
        {"a:\n  b: 1\n  c:\n    d: 2\ne: 3\n", "{a:{b:(1)c:{d:(2)}}e:(3)}"},
        {"a:\n- 1\n- 2\nb: 3\n", "{a:[(1)(2)]b:(3)}"},
        {"a:\n  - 1\n  - 2\nb: 3\n", "{a:[(1)(2)]b:(3)}"},
        {"a:\n- b: 1\n  c: 2\n- d: 3\n", "{a:[{b:(1)c:(2)}{d:(3)}]}"},
        {"a:\n- b:\n    c: 1\n  d: 2\n", "{a:[{b:{c:(1)}d:(2)}]}"},
        {"a:\n- b:\n  - c\n  - d\n  e: f\n- g: h\ni: j\n", "{a:[{b:[(c)(d)]e:(f)}{g:(h)}]i:(j)}"},
        {"a:\n-   b: 1\n    c: 2\n", "{a:[{b:(1)c:(2)}]}"},
        {"- - 1\n  - 2\n- - 3\n", "[[(1)(2)][(3)]]"},
        {"- - a: 1\n    b: 2\n", "[[{a:(1)b:(2)}]]"},
        {"-\n  a: 1\n-\n  - 2\n", "[{a:(1)}[(2)]]"},
        {"  a: 1\n  b: 2\n", "{a:(1)b:(2)}"},
        {"a:\n      b: 1\n  # c\n      d: 2\n", "{a:{b:(1)d:(2)}}"},
    };
    for (const auto& row : rows) {
      CAPTURE(row[0]);
      CHECK(events(row[0]) == row[1]);
    }
  }

  TEST_CASE("no value, null and what only looks like it") {
    const char* const rows[][2] = {
        {"a:\nb:\n", "{a:~b:~}"},
        {"a:\n  b:\nc:", "{a:{b:~}c:~}"},
        {"a:\n-\n- \nb:\n- x", "{a:[~~]b:[(x)]}"},
        {"a:\n-\nb: 1", "{a:[~]b:(1)}"},
        {"a: ~\nb: null\nc: NULL\nd: Null # x\ne: nil\nf: 'null'\ng: \"~\"",
         "{a:~b:~c:~d:~e:(nil)f:(null)g:(~)}"},
        {"- null\n- ~\n", "[~~]"},
        {"a: {}\nb: []\nc: { } # x\nd: [ \t]\n- x", "5: an item stands where a key is expected"},
        {"a: {}\nb: []\nc: { } # x\nd: [ \t]\n", "{a:{}b:[]c:{}d:[]}"},
        {"a:\n- {}\n- []\n", "{a:[{}[]]}"},
        {"a: ''\nb: \"\"", "{a:()b:()}"},
    };
    for (const auto& row : rows) {
      CAPTURE(row[0]);
      CHECK(events(row[0]) == row[1]);
    }
  }

  TEST_CASE("scalars without quotes end with their comment, and keep all else") {
    const char* const rows[][2] = {
        {"a: b c \t # d", "{a:(b c)}"},
        {"a: b#c", "{a:(b#c)}"},
        {"a: b:c", "{a:(b:c)}"},
        {"a: https://x:6443/?q=1&r=#f", "{a:(https://x:6443/?q=1&r=#f)}"},
        {"a: -1\nb: --x\nc: :x\nd: ?x", "{a:(-1)b:(--x)c:(:x)d:(?x)}"},
        {"a: it's \"so\"", "{a:(it's \"so\")}"},
        {"a: x{}[],&*!|>%@`", "{a:(x{}[],&*!|>%@`)}"},
        {"a b: c", "{a b:(c)}"},
        {"a:b: c", "{a:b:(c)}"},
        {"a#b : c", "{a#b:(c)}"},
        {"-a: b", "{-a:(b)}"},
        {"---a: b", "{---a:(b)}"},
        {"a: true\nb: 0x1f\nc: 010\nd: 1.50", "{a:(true)b:(0x1f)c:(010)d:(1.50)}"},
        {"a: \xc3\xa9", "{a:(\xc3\xa9)}"},
    };
    for (const auto& row : rows) {
      CAPTURE(row[0]);
      CHECK(events(row[0]) == row[1]);
    }
  }

  TEST_CASE("quotes and their escapes, of keys too") {
    const char* const rows[][2] = {
        {"a: 'b'", "{a:(b)}"},
        {"a: 'it''s # : \\n' # c", "{a:(it's # : \\n)}"},
        {"a: ''''", "{a:(')}"},
        {"a: \"b\\\"c\\\\d\\/e\"", "{a:(b\"c\\d/e)}"},
        {"a: \"\\t\\n\\r\\b\\f\\x41\\u0042\"", "{a:(\t\n\r\b\fAB)}"},
        {"a: \"b: #c\"\t# d", "{a:(b: #c)}"},
        {"'a: b': c\n\"d\\\"\" : e\n'f''g':\n", "{a: b:(c)d\":(e)f'g:~}"},
        {"- 'a: b'\n- \"c\": d\n", "[(a: b){c:(d)}]"},
    };
    for (const auto& row : rows) {
      CAPTURE(row[0]);
      CHECK(events(row[0]) == row[1]);
    }
  }

  TEST_CASE("a scalar without quotes may go on on further lines, which is reported") {
    const char* const rows[][2] = {
        {"a: b\n  c\n  d\ne: f", "{a:(b)++e:(f)}"},
        {"a:\n- b\n  c\n- d", "{a:[(b)+(d)]}"},
        {"a:\n- b: c\n\n    d\n  e: f", "{a:[{b:(c)+e:(f)}]}"},
        {"a: b\n  - c\n", "{a:(b)+}"},
        {"a: b\n  c: d", "2: indented more than the key before, which has a value"},
        {"a: b # x\n  c", "2: neither 'key: value' nor '- item'"},
        {"a: b\n  c # x\n  d", "3: neither 'key: value' nor '- item'"},
        {"a: b\n# x\n  c", "3: neither 'key: value' nor '- item'"},
        {"a: b\nc", "2: neither 'key: value' nor '- item'"},
        {"a: 'b'\n  c", "2: neither 'key: value' nor '- item'"},
        {"a: {}\n  c: d", "2: the indentation is that of no line above"},
    };
    for (const auto& row : rows) {
      CAPTURE(row[0]);
      CHECK(events(row[0]) == row[1]);
    }
  }

  TEST_CASE("line ends, a BOM, comments and the start of the document") {
    const char* const rows[][2] = {
        {"a: 1\r\nb:\r\n- 2\r\n\r\n", "{a:(1)b:[(2)]}"},
        {"\xef\xbb\xbf"
         "a: 1",
         "{a:(1)}"},
        {"# x\n\n---\na: 1\n", "{a:(1)}"},
        {"--- # x\na: 1\n", "{a:(1)}"},
        {"---\t\na: 1\n", "{a:(1)}"},
        {"a: 1\n \t# x\n\t\n", "{a:(1)}"},
        {"", "0: nothing is in it"},
        {"\n#\n---\n", "0: nothing is in it"},
    };
    for (const auto& row : rows) {
      CAPTURE(row[0]);
      CHECK(events(row[0]) == row[1]);
    }
  }

  TEST_CASE("what is not read is named, with its line") {
    const char* const rows[][2] = {
        {"a: |\n  b", "1: a block scalar ('|', '>') is not read: write the value behind its key"},
        {"x: 1\na: >-\n  b", "2: a block scalar ('|', '>') is not read: write the value behind its key"},
        {"- |", "1: a block scalar ('|', '>') is not read: write the value behind its key"},
        {"a: &x b", "1: an anchor ('&') is not read: write the value out"},
        {"&x a: b", "1: an anchor ('&') is not read: write the value out"},
        {"a: &x\n  b: c", "1: an anchor ('&') is not read: write the value out"},
        {"a: *x", "1: an alias ('*') is not read: write the value out"},
        {"<<: *x", "1: an alias ('*') is not read: write the value out"},
        {"a: !!str b", "1: a tag ('!') is not read: leave it out"},
        {"!t\na: b", "1: a tag ('!') is not read: leave it out"},
        {"a: {b: c}", "1: of flow style only {} and [] are read: write one key or item a line"},
        {"a: {b}", "1: of flow style only {} and [] are read: write one key or item a line"},
        {"a: [1, 2]", "1: of flow style only {} and [] are read: write one key or item a line"},
        {"a: {\n}", "1: of flow style only {} and [] are read: write one key or item a line"},
        {"a: {} b", "1: of flow style only {} and [] are read: write one key or item a line"},
        {"[a, b]", "1: of flow style only {} and [] are read: write one key or item a line"},
        {"? a\n: b", "1: a complex key ('?') is not read"},
        {"? a: b", "1: a complex key ('?') is not read"},
        {": b", "1: a key is missing before ':'"},
        {"%YAML 1.2\n---\na: b", "1: a directive ('%') is not read: leave it out"},
        {"a: %b", "1: a directive ('%') is not read: leave it out"},
        {"a: @b", "1: a text that begins so needs quotes"},
        {"a: `b`", "1: a text that begins so needs quotes"},
        {"a: ,", "1: a text that begins so needs quotes"},
        {"a: b: c", "1: a text with ': ' in it needs quotes"},
        {"a: b:", "1: a text with ': ' in it needs quotes"},
        {"a: - b", "1: an item needs a line of its own"},
        {"a: 'b", "1: the quote is not closed on its line"},
        {"a: \"b\n  c\"", "1: the quote is not closed on its line"},
        {"a: \"b\\\"", "1: the quote is not closed on its line"},
        {"a: \"b\\", "1: the quote is not closed on its line"},
        {"a: 'b''", "1: the quote is not closed on its line"},
        {"a: 'b' c", "1: something stands behind the closing quote"},
        {"a: 'b'#c", "1: something stands behind the closing quote"},
        {"'a' b: c", "1: neither 'key: value' nor '- item'"},
        {"a: \"\\N\"", "1: an escape that is not read here: write the character itself"},
        {"a: \"\\0\"", "1: an escape that is not read here: write the character itself"},
        {"a: \"\\x0\"", "1: an escape that is not read here: write the character itself"},
        {"a: \"\\u0000\"", "1: an escape that is not read here: write the character itself"},
        {"a: \"\\u00e9\"", "1: an escape that is not read here: write the character itself"},
        {"a: \"\\u00g9\"", "1: an escape that is not read here: write the character itself"},
        {"a:\n\tb: c", "2: a tab is in the indentation: YAML wants blanks"},
        {"a:\n  \tb: c", "2: a tab is in the indentation: YAML wants blanks"},
        {"-\ta: b", "1: a tab is in the indentation: YAML wants blanks"},
        {"- \ta: b", "1: a tab is in the indentation: YAML wants blanks"},
        {"a: b\n---\nc: d", "2: several documents are not read: leave one"},
        {"---\n---\n", "2: several documents are not read: leave one"},
        {"a: b\n...\n", "2: several documents are not read: leave one"},
        {"--- a: b", "1: something stands behind '---'"},
        {"a: b\rc: d", "1: a control character"},
        {"a: \x01", "1: a control character"},
        {"a", "1: neither 'key: value' nor '- item'"},
        {"'a'", "1: neither 'key: value' nor '- item'"},
        {"a:\n  b", "2: neither 'key: value' nor '- item'"},
        {"a:\n    b: c\n  d: e", "3: the indentation is that of no line above"},
        {"a:\n  - b\n c: d", "3: the indentation is that of no line above"},
        {"  a: b\nc: d", "2: the indentation is that of no line above"},
        {"- a\nb: c", "2: the indentation is that of no line above"},
        {"a: b\n- c", "2: an item stands where a key is expected"},
        {"a:\n  b: c\n  - d", "3: an item stands where a key is expected"},
        {"a: 1\nb: refused\nc: 2", "2: refused by who reads"},
    };
    for (const auto& row : rows) {
      CAPTURE(row[0]);
      CHECK(events(row[0]) == row[1]);
    }
  }

  TEST_CASE("nesting has a limit") {
    CHECK(events(deep(32)).starts_with("[[["));
    CHECK(events(deep(33)) == "1: nested too deeply");
  }

  TEST_CASE("JSON gives the same events") {
    const char* const rows[][2] = {
        {R"({"a":1,"b":[true,false,null,"x\"\/\\y"],"c":{"d":{}},"e":-1.5e3})",
         R"({a:(1)b:[(true)(false)~(x"/\y)]c:{d:{}}e:(-1.5e3)})"},
        {"\n { \"a\" : \"b\" } \n", "{a:(b)}"},
        {R"({"a":"\u0041\n"})", "{a:(A\n)}"},
        {R"({"a":"\u00e9"})", "1: an escape that is not read here: write the character itself"},
        {"{\"a\":\n\"b\",\n}", "3: unexpected character"},
        {"{\"a\":\n\n", "3: the text is cut short"},
        {"{\"a\":1}\n{", "1: something follows the document"},
        {"{\"a\":1,\n\"b\":\n\"refused\"}", "3: refused by who reads"},
        {"{a: b}", "1: unexpected character"},
    };
    for (const auto& row : rows) {
      CAPTURE(row[0]);
      CHECK(events(row[0]) == row[1]);
    }
    const std::string long_text(5000, 'x');
    CHECK(events("{\"a\":\"" + long_text + "\"}") == "{a:(" + long_text + ")}");
  }
}
