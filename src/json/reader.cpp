// SPDX-License-Identifier: Apache-2.0
// JSON, parsed piece by piece.
#include "flannelette/json/reader.hpp"

#include <array>
#include <cstring>

#include "flannelette/base/text.hpp"
#include "json/utf8.hpp"

namespace flannelette::json {

/// The reader is one machine over bytes. A private function that returns kNeedMore has made progress without
/// completing a token; next() goes on while there is input.
enum class Reader::State : std::uint8_t {
  // Between tokens:
  kValue,         // a value must follow
  kFirstElement,  // a value or ]
  kFirstKey,      // a key or }
  kNextKey,
  kColon,
  kAfterValue,  // a comma or the end of the container
  kDone,        // a top-level value is complete
  kBad,
  // Within a token:
  kLiteral,
  kString,
  kEscape,  // after a backslash
  kHex,     // in the four digits of \u
  // Within a number, named after what has been read last:
  kMinus,  // or nothing yet
  kZero,
  kInteger,
  kPoint,
  kFraction,
  kExponentMark,
  kExponentSign,
  kExponent,
};

namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Bytes of a string that stand for themselves. Bytes from 0x80 on are looked at one by one.
constexpr bool is_plain(char c) { return static_cast<signed char>(c) >= 0x20 && c != '"' && c != '\\'; }

/// The same of eight bytes at once. A byte that is not plain gets its top bit set; what it borrows spoils
/// only bytes above it.
bool all_plain(const char* bytes) {
  constexpr std::uint64_t kEach = 0x0101010101010101;
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  const std::uint64_t quote = word ^ kEach * '"';
  const std::uint64_t backslash = word ^ kEach * '\\';
  return (((word - kEach * 0x20) | (quote - kEach) | (backslash - kEach) | word) & kEach * 0x80) == 0;
}

std::size_t plain_run(std::string_view text) {
  std::size_t run = 0;
  while (text.size() - run >= sizeof(std::uint64_t) && all_plain(text.data() + run))
    run += sizeof(std::uint64_t);
  while (run < text.size() && is_plain(text[run])) ++run;
  return run;
}

}  // namespace

Token Reader::next() {
  if (state_ <= State::kBad) {
    size_ = 0;
    overlong_ = skip_until_ >= 0;  // so that what is skipped is not copied
  }
  for (;;) {
    if (state_ == State::kBad) return Token::kBad;
    if (state_ == State::kDone) {
      state_ = State::kValue;
      return Token::kEnd;
    }
    if (input_.empty()) return at_end_of_input();

    const char c = input_[0];
    Token token = Token::kNeedMore;
    switch (state_) {
      case State::kValue:
      case State::kFirstElement:
      case State::kFirstKey:
      case State::kNextKey:
      case State::kColon:
      case State::kAfterValue: token = structure(c); break;
      case State::kLiteral: token = literal(c); break;
      case State::kString: token = string(c); break;
      case State::kEscape: token = escape(c); break;
      case State::kHex: token = hex(c); break;
      case State::kMinus:
      case State::kZero:
      case State::kInteger:
      case State::kPoint:
      case State::kFraction:
      case State::kExponentMark:
      case State::kExponentSign:
      case State::kExponent: token = number(c); break;
      case State::kDone:
      case State::kBad: break;
    }
    if (token != Token::kNeedMore) return token;
  }
}

Token Reader::skip_value() {
  if (skip_until_ < 0) {
    if (state_ == State::kBad) return Token::kBad;
    if (state_ == State::kColon) {
      skip_until_ = depth_;
    } else if (state_ == State::kFirstKey || state_ == State::kFirstElement) {
      skip_until_ = depth_ - 1;
    } else {
      return Token::kEnd;
    }
  }
  do {
    const Token token = next();
    if (token == Token::kNeedMore || token == Token::kBad) return token;
  } while (depth_ > skip_until_);
  skip_until_ = -1;
  overlong_ = false;
  return Token::kEnd;
}

void Reader::reset() { *this = Reader(scratch_); }

Token Reader::at_end_of_input() {
  if (!finished_) return Token::kNeedMore;
  if (depth_ == 0 && number_complete()) return number_done();
  return depth_ == 0 && state_ == State::kValue ? Token::kNeedMore : bad("the text is cut short");
}

Token Reader::bad(const char* why) {
  state_ = State::kBad;
  error_ = why;
  return Token::kBad;
}

Token Reader::value_done(Token token) {
  state_ = depth_ == 0 ? State::kDone : State::kAfterValue;
  return token;
}

Token Reader::structure(char c) {
  if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
    step();
    return Token::kNeedMore;
  }
  const bool wants_key = state_ == State::kFirstKey || state_ == State::kNextKey;
  const bool wants_value = state_ == State::kFirstElement || state_ == State::kValue;
  const bool may_end =
      state_ == State::kFirstKey || state_ == State::kFirstElement || state_ == State::kAfterValue;
  if (may_end && (c == '}' || c == ']') && in_object() == (c == '}')) {
    step();
    --depth_;
    return value_done(c == '}' ? Token::kEndObject : Token::kEndArray);
  }
  if (c == '"' && (wants_key || wants_value)) {
    step();
    is_key_ = wants_key;
    high_surrogate_ = 0;
    state_ = State::kString;
  } else if (wants_value) {
    return begin_value(c);
  } else if (c == ':' && state_ == State::kColon) {
    step();
    state_ = State::kValue;
  } else if (c == ',' && state_ == State::kAfterValue) {
    step();
    state_ = in_object() ? State::kNextKey : State::kValue;
  } else {
    return bad("unexpected character");
  }
  return Token::kNeedMore;
}

Token Reader::begin_value(char c) {
  if (c == '{' || c == '[') {
    if (depth_ == kMaxDepth) return bad("nested too deeply");
    const bool object = c == '{';
    step();
    const std::uint32_t bit = std::uint32_t{1} << depth_++;
    in_object_ = object ? in_object_ | bit : in_object_ & ~bit;
    state_ = object ? State::kFirstKey : State::kFirstElement;
    return object ? Token::kBeginObject : Token::kBeginArray;
  }
  if (c == '-' || is_digit(c)) {
    if (c == '-') take(c);
    state_ = State::kMinus;
    return Token::kNeedMore;
  }
  switch (c) {
    case 't': literal_ = "true", literal_token_ = Token::kTrue; break;
    case 'f': literal_ = "false", literal_token_ = Token::kFalse; break;
    case 'n': literal_ = "null", literal_token_ = Token::kNull; break;
    default: return bad("unexpected character");
  }
  state_ = State::kLiteral;
  return Token::kNeedMore;
}

Token Reader::literal(char c) {
  if (c != literal_[0]) return bad("unexpected character");
  step();
  literal_.remove_prefix(1);
  return literal_.empty() ? value_done(literal_token_) : Token::kNeedMore;
}

// --- Numbers ---

bool Reader::number_complete() const {
  return state_ == State::kZero || state_ == State::kInteger || state_ == State::kFraction ||
         state_ == State::kExponent;
}

Token Reader::number(char c) {
  const bool before_point = state_ == State::kZero || state_ == State::kInteger;
  if (is_digit(c) && state_ != State::kZero) {
    if (state_ == State::kMinus) {
      state_ = c == '0' ? State::kZero : State::kInteger;
    } else if (state_ == State::kPoint) {
      state_ = State::kFraction;
    } else if (state_ == State::kExponentMark || state_ == State::kExponentSign) {
      state_ = State::kExponent;
    }
  } else if (c == '.' && before_point) {
    state_ = State::kPoint;
  } else if ((c == 'e' || c == 'E') && (before_point || state_ == State::kFraction)) {
    state_ = State::kExponentMark;
  } else if ((c == '+' || c == '-') && state_ == State::kExponentMark) {
    state_ = State::kExponentSign;
  } else {
    return number_complete() && !is_digit(c) ? number_done() : bad("malformed number");
  }
  take(c);
  return Token::kNeedMore;
}

Token Reader::number_done() {
  if (overlong_ && skip_until_ < 0) return bad("a number is too long");
  return value_done(Token::kNumber);
}

// --- Strings ---

Token Reader::string(char c) {
  if (utf8_more_ > 0) {
    continue_utf8(c);
    return Token::kNeedMore;
  }
  if (const std::size_t run = plain_run(input_); run > 0) {
    append({input_.data(), run});
    input_.remove_prefix(run);
    high_surrogate_ = 0;
  } else if (c == '"') {
    step();
    if (!is_key_) return value_done(Token::kString);
    state_ = State::kColon;
    return Token::kKey;
  } else if (c == '\\') {
    step();
    state_ = State::kEscape;
  } else if (static_cast<std::uint8_t>(c) < 0x20) {
    return bad("control character in a string");
  } else {
    high_surrogate_ = 0;
    const Utf8Lead lead = utf8_lead(static_cast<std::uint8_t>(c));
    if (lead.more == 0) {
      step();
      append(kReplacement);
    } else {
      take(c);
      utf8_have_ = 1;
      utf8_more_ = lead.more;
      utf8_low_ = lead.low;
      utf8_high_ = lead.high;
    }
  }
  return Token::kNeedMore;
}

void Reader::continue_utf8(char c) {
  const auto byte = static_cast<std::uint8_t>(c);
  if (byte >= utf8_low_ && byte <= utf8_high_) {
    take(c);
    ++utf8_have_;
    --utf8_more_;
    utf8_low_ = 0x80;
    utf8_high_ = 0xbf;
    return;
  }
  // Go replaces a broken sequence byte by byte. The byte that broke it is looked at again.
  take_back(utf8_have_);
  for (; utf8_have_ > 0; --utf8_have_) append(kReplacement);
  utf8_more_ = 0;
}

Token Reader::escape(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/': break;
    case 'b': c = '\b'; break;
    case 'f': c = '\f'; break;
    case 'n': c = '\n'; break;
    case 'r': c = '\r'; break;
    case 't': c = '\t'; break;
    case 'u':
      step();
      codepoint_ = 0;
      hex_digits_ = 0;
      state_ = State::kHex;
      return Token::kNeedMore;
    default: return bad("bad escape");
  }
  take(c);
  high_surrogate_ = 0;
  state_ = State::kString;
  return Token::kNeedMore;
}

Token Reader::hex(char c) {
  const int digit = hex_value(c);
  if (digit < 0) return bad("bad escape");
  step();
  codepoint_ = codepoint_ << 4 | static_cast<std::uint32_t>(digit);
  if (++hex_digits_ < 4) return Token::kNeedMore;

  state_ = State::kString;
  const bool high = codepoint_ >= 0xd800 && codepoint_ < 0xdc00;
  const bool low = codepoint_ >= 0xdc00 && codepoint_ < 0xe000;
  if (low && high_surrogate_ != 0) {
    take_back(kReplacement.size());
    append_codepoint(0x10000 + ((high_surrogate_ - 0xd800) << 10) + (codepoint_ - 0xdc00));
  } else if (high || low) {
    append(kReplacement);  // a low one that follows takes it back
  } else {
    append_codepoint(codepoint_);
  }
  high_surrogate_ = high ? codepoint_ : 0;
  return Token::kNeedMore;
}

// --- The text of a token ---

void Reader::take(char c) {
  step();
  append({&c, 1});
}

void Reader::append(std::string_view bytes) {
  if (bytes.size() > scratch_.size() - size_) overlong_ = true;
  if (overlong_) return;
  std::memcpy(scratch_.data() + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
}

void Reader::take_back(std::size_t bytes) {
  if (!overlong_) size_ -= bytes;
}

void Reader::append_codepoint(std::uint32_t codepoint) {
  if (codepoint < 0x80) {
    const char c = static_cast<char>(codepoint);
    return append({&c, 1});
  }
  // From the last byte to the first: six bits each, and what is left goes into the lead.
  std::array<char, 4> bytes;
  std::size_t at = bytes.size();
  std::uint32_t lead_bits = 0x40;
  std::uint32_t lead = 0x80;
  do {
    bytes[--at] = static_cast<char>(0x80 | (codepoint & 0x3f));
    codepoint >>= 6;
    lead_bits >>= 1;
    lead |= lead_bits << 1;
  } while (codepoint >= lead_bits);
  bytes[--at] = static_cast<char>(lead | codepoint);
  append({bytes.data() + at, bytes.size() - at});
}

// --- Typed extraction ---

std::optional<std::uint64_t> to_uint64(std::string_view text) {
  std::uint64_t value;
  return parse_unsigned(text, value) ? std::optional(value) : std::nullopt;
}

std::optional<std::int64_t> to_int64(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  std::uint64_t value;
  constexpr std::uint64_t kMinimum = std::uint64_t{1} << 63;  // its magnitude
  if (!parse_unsigned(text, value) || value >= kMinimum + (negative ? 1 : 0)) return std::nullopt;
  return static_cast<std::int64_t>(negative ? 0 - value : value);
}

}  // namespace flannelette::json
