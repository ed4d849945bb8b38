// SPDX-License-Identifier: Apache-2.0
// JSON, written into a bounded buffer.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "flannelette/base/text.hpp"

namespace flannelette::json {

/// Writes one JSON document into a caller's buffer, without white space, commas by itself. Overflow is sticky
/// (Writer's).
///     Writer w(buffer); w.begin_object().key("TTL").string_int(86400).end_object();
/// Strings are escaped as Go's encoding/json does by default ("&", "<", ">" as \u0026 ...; U+2028/2029 too; a
/// byte that is not UTF-8 is written as \ufffd), so that values equal flanneld's byte for byte.
class Writer {
 public:
  explicit Writer(std::span<char> out) : out_(out) {}

  Writer& begin_object() { return begin('{'); }
  Writer& end_object() { return end('}'); }
  Writer& begin_array() { return begin('['); }
  Writer& end_array() { return end(']'); }
  Writer& key(std::string_view name);
  Writer& key(const char* name);
  Writer& string(std::string_view text);
  Writer& string(const char* text);
  /// The bytes as standard base64 with padding, in quotes.
  Writer& base64(std::string_view bytes);
  Writer& number(std::int64_t value);
  /// A 64-bit integer as a JSON string, as etcd's gateway writes it.
  Writer& string_int(std::int64_t value);
  Writer& boolean(bool value) { return word(value ? "true" : "false"); }
  Writer& null() { return word("null"); }

  std::string_view view() const { return out_.view(); }
  bool overflowed() const { return out_.overflowed(); }

 private:
  void separate();
  Writer& begin(char bracket);
  Writer& end(char bracket);
  Writer& word(const char* literal);

  flannelette::Writer out_;
  bool need_comma_ = false;
};

}  // namespace flannelette::json
