// SPDX-License-Identifier: Apache-2.0
// A JSON text that is there as a whole, read token by token.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "flannelette/json/reader.hpp"

namespace flannelette::json {

/// There is no kNeedMore here: a text that ends too early is kBad.
class Document {
 public:
  /// Keys and values that mean something to us are shorter; longer ones are delivered empty, with overlong().
  static constexpr std::size_t kMaxToken = 128;

  explicit Document(std::string_view text) : reader_({scratch_.data(), kMaxToken}) { reader_.feed(text); }

  Token next() {
    Token token = reader_.next();
    if (token == Token::kNeedMore) {
      reader_.finish();  // a number may stand at the very end
      token = reader_.next();
    }
    return token == Token::kNeedMore ? truncated() : token;
  }
  /// Skips the value whose key or opening token was the last one; false if the text is broken.
  bool skip() {
    const Token token = reader_.skip_value();
    if (token == Token::kNeedMore) truncated();
    return token == Token::kEnd;
  }
  /// Steps over the rest of a value whose first token was `first`; false if the text is broken.
  bool skip_rest(Token first) {
    if (first == Token::kBad) return false;
    return (first != Token::kBeginObject && first != Token::kBeginArray) || skip();
  }
  /// The members of an object that has begun: `bool read(std::string_view key)` reads or skips the value.
  /// False: the text is broken, or `read` said so.
  template <class Read>
  bool members(Read read) {
    for (;;) {
      const Token token = next();
      if (token == Token::kEndObject) return true;
      if (token != Token::kKey || !read(text())) return false;
    }
  }
  /// After the top-level value's last token: nothing but white space follows.
  bool ends() {
    if (next() != Token::kEnd) return false;
    for (const char c : reader_.rest()) {
      if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
        error_ = "something follows the document";
        return false;
      }
    }
    return true;
  }

  std::string_view text() const { return reader_.text(); }
  bool overlong() const { return reader_.overlong(); }
  /// Bytes read: up to the end of the last token.
  std::uint64_t offset() const { return reader_.offset(); }
  const char* error() const { return error_ != nullptr ? error_ : reader_.error(); }

 private:
  Token truncated() {
    error_ = "the document ends too early";
    return Token::kBad;
  }

  std::array<char, kMaxToken> scratch_;
  Reader reader_;
  const char* error_ = nullptr;
};

}  // namespace flannelette::json
