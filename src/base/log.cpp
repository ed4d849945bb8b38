// SPDX-License-Identifier: Apache-2.0
// The log: one line an entry, limited per cause.
#include "flannelette/base/log.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace flannelette {
namespace {

bool printable(char c) { return c >= 0x20 && c < 0x7f; }

/// What must be escaped inside quotes, apart from what cannot be printed.
bool special(char c) { return c == '"' || c == '\\'; }

bool needs_quotes(std::string_view value) {
  return std::ranges::any_of(value, [](char c) { return c == ' ' || special(c) || !printable(c); });
}

/// One call a byte, so that a line is cut at its limit and not before the piece that crosses it.
void put_escaped(Writer& out, std::string_view value) {
  for (const char c : value) {
    if (printable(c)) {
      if (special(c)) out.put('\\');
      out.put(c);
    } else {
      const auto escape =
          to_text<4>([&](Writer& w) { w.put("\\x").put_hex(static_cast<unsigned char>(c), 2); });
      out.put(escape.view());
    }
  }
}

void put_cut(Writer& out, std::string_view text) {
  out.put({text.data(), std::min(text.size(), out.room())});
}

/// What follows the context.
void put_reason(Writer& out, const Error& error) {
  if (error.context[0] != '\0') out.put(": ");
  if (error.sys_errno > 0) {
    put_cut(out, std::strerror(error.sys_errno));
  } else {
    out.put(name(error.code));
  }
  // mbedTLS errors are negative and documented in hexadecimal.
  if (error.sys_errno < 0)
    out.put(" -0x").put_hex(0 - static_cast<std::uint64_t>(std::int64_t{error.sys_errno}), 4);
}

}  // namespace

void write(Writer& out, const Error& error) {
  put_cut(out, error.context);
  put_reason(out, error);
}

std::string_view name(Level level) {
  switch (level) {
    case Level::kDebug: return "debug";
    case Level::kInfo: return "info";
    case Level::kWarning: return "warning";
    case Level::kError: return "error";
  }
  return "?";
}

Field::Field(const char* key, std::string_view value) : key_(key), view_(value) {}
Field::Field(const char* key, std::int64_t value)
    : key_(key), text_(to_text<kOwned>([&](Writer& out) { out.put_signed(value); })) {}
Field::Field(const char* key, std::uint64_t value)
    : key_(key), text_(to_text<kOwned>([&](Writer& out) { out.put_unsigned(value); })) {}
Field::Field(const char* key, Ip4 value) : Field(key, Ip(value)) {}
Field::Field(const char* key, Net4 value) : Field(key, Net(value)) {}
Field::Field(const char* key, const Ip& value)
    : key_(key), text_(to_text<kOwned>([&](Writer& out) { flannelette::write(out, value); })) {}
Field::Field(const char* key, const Net& value)
    : key_(key), text_(to_text<kOwned>([&](Writer& out) { flannelette::write(out, value); })) {}
Field::Field(const char* key, const Mac& value)
    : key_(key), text_(to_text<kOwned>([&](Writer& out) { flannelette::write(out, value); })) {}

Field::Field(const Error& error)
    : key_("error"),
      view_(error.context),
      text_(to_text<kOwned>([&](Writer& out) { put_reason(out, error); })) {}

void Field::write(Writer& out) const {
  put_cut(out, key_);
  out.put('=');
  const bool quoted = (view_.empty() && text_.empty()) || needs_quotes(view_) || needs_quotes(text_);
  if (quoted) out.put('"');
  put_escaped(out, view_);
  put_escaped(out, text_);
  if (quoted) out.put('"');
}

Log::Cause& Log::cause_of(const char* text) {
  Cause* oldest = causes_.data();
  for (Cause& cause : causes_) {
    if (cause.text == text) return cause;
    if (cause.text == nullptr || (oldest->text != nullptr && cause.refilled < oldest->refilled))
      oldest = &cause;
  }
  *oldest = {text, clock_.now(), kBurst, 0};
  return *oldest;
}

bool Log::begin(Writer& line, Level level, const char* text) {
  if (!enabled(level)) return false;
  Cause& cause = cause_of(text);
  const Millis now = clock_.now();
  const Millis refills = (now - cause.refilled) / kRefill;
  cause.tokens = static_cast<int>(std::min<Millis>(kBurst, cause.tokens + refills));
  // A full bucket gains nothing by waiting: the next token is due one period after the first is taken.
  cause.refilled = cause.tokens == kBurst ? now : cause.refilled + refills * kRefill;
  if (cause.tokens == 0) {
    ++cause.held_back;
    ++held_back_;
    return false;
  }
  --cause.tokens;
  line.put(name(level)).put(": ");
  put_cut(line, text);
  // First among the fields, where no cut takes it away.
  if (cause.held_back > 0) line.put(" suppressed=").put_unsigned(std::exchange(cause.held_back, 0));
  return true;
}

void Log::write(Level level, const char* text, std::initializer_list<Field> fields) {
  std::array<char, kMaxLine> buffer;
  Writer line(buffer);
  if (!begin(line, level, text)) return;
  for (const Field& field : fields) {
    if (field.absent()) continue;
    line.put(' ');
    field.write(line);
  }
  sink_.line(level, line.view());
}

void Log::transition(const char* machine, const char* from, const char* to) {
  std::array<char, kMaxLine> buffer;
  Writer line(buffer);
  if (!begin(line, Level::kDebug, machine)) return;
  line.put(": ").put(from).put(" -> ").put(to);
  sink_.line(Level::kDebug, line.view());
}

}  // namespace flannelette
