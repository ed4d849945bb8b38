// SPDX-License-Identifier: Apache-2.0
// A request's JSON as a tree, for the scripted servers of the tests.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "flannelette/json/base64.hpp"
#include "flannelette/json/reader.hpp"

namespace flannelette::tests {

struct JsonValue {
  std::map<std::string, JsonValue> members;
  std::vector<JsonValue> items;
  std::string text;  ///< of a string or number; "true" of true
  bool null = false;
  bool valid = true;

  const JsonValue& operator[](const std::string& name) const {
    static const JsonValue none;
    const auto found = members.find(name);
    return found == members.end() ? none : found->second;
  }
  std::int64_t integer() const { return json::to_int64(text).value_or(0); }
  std::string bytes() const {
    std::string out(text.size(), '\0');
    const auto decoded = json::decode_base64(text, out);
    return decoded ? std::string(*decoded) : std::string();
  }
};

namespace detail {

inline bool read_json(json::Reader& reader, json::Token token, JsonValue& value) {
  using json::Token;
  if (token == Token::kBeginObject) {
    for (token = reader.next(); token == Token::kKey; token = reader.next()) {
      const std::string name(reader.text());
      if (!read_json(reader, reader.next(), value.members[name])) return false;
    }
    return token == Token::kEndObject;
  }
  if (token == Token::kBeginArray) {
    for (token = reader.next(); token != Token::kEndArray; token = reader.next()) {
      if (!read_json(reader, token, value.items.emplace_back())) return false;
    }
    return true;
  }
  if (token == Token::kString || token == Token::kNumber) value.text = reader.text();
  if (token == Token::kTrue) value.text = "true";
  value.null = token == Token::kNull;
  return token != Token::kBad && token != Token::kNeedMore;
}

}  // namespace detail

inline JsonValue parse_json(std::string_view text) {
  std::vector<char> scratch(64 * 1024);
  json::Reader reader(scratch);
  reader.feed(text);
  JsonValue value;
  value.valid = detail::read_json(reader, reader.next(), value);
  return value;
}

}  // namespace flannelette::tests
