// SPDX-License-Identifier: Apache-2.0
// JSON, written into a bounded buffer.
#include "flannelette/json/writer.hpp"

#include "flannelette/json/base64.hpp"
#include "json/utf8.hpp"

namespace flannelette::json {
namespace {

/// The length of the well-formed UTF-8 sequence of several bytes at the start of `text`; 0 if there is none.
std::size_t sequence_length(std::string_view text) {
  Utf8Lead lead = utf8_lead(static_cast<std::uint8_t>(text[0]));
  if (lead.more == 0 || text.size() <= lead.more) return 0;
  for (std::size_t i = 1; i <= lead.more; ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    if (byte < lead.low || byte > lead.high) return 0;
    lead.low = 0x80;
    lead.high = 0xbf;
  }
  return std::size_t{lead.more} + 1;
}

/// Go's encoding/json, encode.go: appendString with escapeHTML.
void put_string(flannelette::Writer& out, std::string_view text) {
  out.put('"');
  while (!text.empty()) {
    std::size_t length = 1;
    const char c = text[0];
    const std::string_view one(text.data(), 1);
    if (c == '"' || c == '\\') {
      out.put('\\').put(c);
    } else if (c == '\n') {
      out.put("\\n");
    } else if (c == '\r') {
      out.put("\\r");
    } else if (c == '\t') {
      out.put("\\t");
    } else if (static_cast<std::uint8_t>(c) < 0x20 || c == '<' || c == '>' || c == '&') {
      out.put("\\u").put_hex(static_cast<std::uint8_t>(c), 4);
    } else if (static_cast<std::uint8_t>(c) < 0x80) {
      out.put(one);
    } else if (length = sequence_length(text); length == 0) {
      out.put("\\ufffd");
      length = 1;
    } else if (text.starts_with("\xe2\x80\xa8")) {  // line separator
      out.put("\\u2028");
    } else if (text.starts_with("\xe2\x80\xa9")) {  // paragraph separator
      out.put("\\u2029");
    } else {
      out.put({text.data(), length});
    }
    text.remove_prefix(length);
  }
  out.put('"');
}

}  // namespace

/// Called before a key and before a value; a value after its key has no comma.
void Writer::separate() {
  if (need_comma_) out_.put(',');
  need_comma_ = true;
}

Writer& Writer::begin(char bracket) {
  separate();
  out_.put(bracket);
  need_comma_ = false;
  return *this;
}

Writer& Writer::end(char bracket) {
  out_.put(bracket);
  need_comma_ = true;
  return *this;
}

Writer& Writer::key(std::string_view name) {
  string(name);
  out_.put(':');
  need_comma_ = false;
  return *this;
}

Writer& Writer::key(const char* name) { return key(std::string_view(name)); }

Writer& Writer::string(std::string_view text) {
  separate();
  put_string(out_, text);
  return *this;
}

Writer& Writer::string(const char* text) { return string(std::string_view(text)); }

Writer& Writer::base64(std::string_view bytes) {
  separate();
  out_.put('"');
  encode_base64(bytes, out_);
  out_.put('"');
  return *this;
}

Writer& Writer::number(std::int64_t value) {
  separate();
  out_.put_signed(value);
  return *this;
}

Writer& Writer::string_int(std::int64_t value) {
  separate();
  out_.put('"').put_signed(value).put('"');
  return *this;
}

Writer& Writer::word(const char* literal) {
  separate();
  out_.put(literal);
  return *this;
}

}  // namespace flannelette::json
