// SPDX-License-Identifier: Apache-2.0
// JSON, parsed piece by piece.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

/// An incremental pull reader for RFC 8259 JSON. Bytes are fed as they arrive, tokens are pulled until
/// NeedMore; no document is ever held whole, and a text cut at any byte gives the same tokens.
///
///     reader.feed(bytes);
///     for (;;) switch (reader.next()) { case Token::kNeedMore: return; case Token::kKey: ... }
///
/// Several documents may follow each other, separated by white space or nothing (an etcd watch is such a
/// stream): after the end of a top-level value next() gives kEnd once, then starts over.
namespace flannelette::json {

enum class Token : std::uint8_t {
  kNeedMore,  ///< all fed bytes are consumed
  kBad,       ///< not JSON; sticky until reset(). error() says why
  kBeginObject,
  kEndObject,
  kBeginArray,
  kEndArray,
  kKey,  ///< text() is the member's name
  /// text() is the decoded value: always UTF-8, as Go has it (broken bytes and lone surrogates are U+FFFD)
  kString,
  kNumber,  ///< text() is the number as written
  kTrue,
  kFalse,
  kNull,
  kEnd,  ///< a top-level value is complete
};

class Reader {
 public:
  static constexpr int kMaxDepth = 32;  ///< deeper nesting is kBad

  /// `scratch` holds the text of one key, string or number; its size is the limit of a token. A longer one is
  /// consumed, and delivered with overlong() true and an empty text(), so that one giant value blocks nobody.
  /// (An overlong number is kBad.)
  explicit Reader(std::span<char> scratch) : scratch_(scratch) {}

  /// The bytes must stay valid until next() has returned kNeedMore. Feed again only then.
  void feed(std::string_view bytes) {
    input_ = bytes;
    fed_ += bytes.size();
  }
  Token next();
  /// The bytes fed and not consumed yet.
  std::string_view rest() const { return input_; }
  /// No more bytes will come: a top-level number that ends with its input is complete only then, and a
  /// document that is not complete is kBad. Pull tokens until kNeedMore (all is well) or kBad after it.
  void finish() { finished_ = true; }

  /// The text of the last kKey, kString or kNumber, until the next call of next() or skip_value(). It lies at
  /// the start of `scratch`, where it may be changed (base64 decoded in place).
  std::string_view text() const { return {scratch_.data(), overlong_ ? 0 : size_}; }
  bool overlong() const { return overlong_; }
  int depth() const { return depth_; }  ///< open objects and arrays; a Begin token counts its own
  /// Where the reader is: bytes consumed since construction or reset(), for error messages.
  std::uint64_t offset() const { return fed_ - input_.size(); }
  const char* error() const { return error_; }  ///< static; set after kBad
  void reset();

  /// Consumes the value whose key (or opening token) was just delivered. Incremental: call until it does not
  /// give kNeedMore; gives kEnd when the value is complete (this is not the end of the document), or kBad.
  /// After kKey call it at once; after kBeginObject / kBeginArray it skips to the matching end; after any
  /// other value there is nothing to skip, and it gives kEnd. Nothing in a skipped value is too long.
  Token skip_value();

 private:
  // The state of the machine; the layout is the implementation's business and may change.
  enum class State : std::uint8_t;
  Token at_end_of_input();
  Token bad(const char* why);
  Token value_done(Token token);
  Token structure(char c);
  Token begin_value(char c);
  Token literal(char c);
  bool number_complete() const;
  Token number(char c);
  Token number_done();
  Token string(char c);
  void continue_utf8(char c);
  Token escape(char c);
  Token hex(char c);
  void step() { input_.remove_prefix(1); }
  void take(char c);  // step() and append
  void append(std::string_view bytes);
  void append_codepoint(std::uint32_t codepoint);
  void take_back(std::size_t bytes);
  bool in_object() const { return (in_object_ >> (depth_ - 1) & 1) != 0; }

  std::span<char> scratch_;
  std::string_view input_;
  std::string_view literal_;     // what must still follow of true, false or null
  std::size_t size_ = 0;         // bytes of text in scratch_
  std::uint64_t fed_ = 0;        // all bytes ever fed
  std::uint32_t in_object_ = 0;  // bit n: the container at depth n + 1 is an object
  const char* error_ = "";
  int depth_ = 0;
  int skip_until_ = -1;               // depth at which skip_value() is done; -1: not skipping
  std::uint32_t codepoint_ = 0;       // of the \u escape being read
  std::uint32_t high_surrogate_ = 0;  // the escape just before, if one; U+FFFD stands for it in the text
  std::uint8_t utf8_have_ = 0;        // bytes of an unfinished UTF-8 sequence, already in the text
  std::uint8_t utf8_more_ = 0;        // bytes that it still needs, the next one in [low, high]
  std::uint8_t utf8_low_ = 0;
  std::uint8_t utf8_high_ = 0;
  std::uint8_t hex_digits_ = 0;
  Token literal_token_ = Token::kNull;
  State state_{};
  bool is_key_ = false;
  bool overlong_ = false;
  bool finished_ = false;
};

/// Typed extraction from the text of kString or kNumber; nullopt if it is not one (range included).
/// etcd writes 64-bit integers as strings, proto3 also allows numbers: hand in either text.
std::optional<std::int64_t> to_int64(std::string_view text);
std::optional<std::uint64_t> to_uint64(std::string_view text);

}  // namespace flannelette::json
