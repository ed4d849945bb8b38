// SPDX-License-Identifier: Apache-2.0
// The log: one line an entry, limited per cause.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "flannelette/base/clock.hpp"
#include "flannelette/base/ip.hpp"
#include "flannelette/base/result.hpp"

/// One line an entry: `warning: peer ignored subnet=10.42.3.0/24 reason="its subnet overlaps ours"`. Only
/// agent, cli and main log; the rooms below return errors. No secret is ever passed in.
namespace flannelette {

enum class Level : std::uint8_t { kDebug, kInfo, kWarning, kError };
std::string_view name(Level level);

/// What an error is, in words: "connect: Connection refused".
void write(Writer& out, const Error& error);

/// One key=value of a log line. Holds views: use it only as a temporary in the call.
class Field {
 public:
  [[gnu::noinline]] Field(const char* key, std::string_view value);
  Field(const char* key, const char* value) : Field(key, std::string_view(value)) {}
  Field(const char* key, std::int64_t value);
  Field(const char* key, std::uint64_t value);
  Field(const char* key, int value) : Field(key, std::int64_t{value}) {}
  Field(const char* key, unsigned value) : Field(key, std::uint64_t{value}) {}
  Field(const char* key, Ip4 value);
  Field(const char* key, Net4 value);
  Field(const char* key, const Ip& value);
  Field(const char* key, const Net& value);
  Field(const char* key, const Mac& value);
  /// `error="connect: Connection refused"`: context, then strerror or the code's name (and an mbedTLS error
  /// in hexadecimal).
  explicit Field(const Error& error);
  /// Absent, which is not written, where there is no value.
  static Field unless_empty(const char* key, std::string_view value) {
    return {value.empty() ? nullptr : key, value};
  }

  std::string_view key() const { return key_; }
  bool absent() const { return key_ == nullptr; }
  /// Appends `key=value`. The value is quoted if it is empty or holds a blank, a quote, a backslash or a byte
  /// that is not printable ASCII; those bytes are written `\xNN`, so that no peer can send a line end or a
  /// terminal escape into the log.
  void write(Writer& out) const;

 private:
  static constexpr std::size_t kOwned = 64;
  const char* key_;        // a literal; nullptr: absent
  std::string_view view_;  // the value is view_, then text_
  Text<kOwned> text_;
};

/// Where finished lines go (without line end). Tests record them, main writes them to stderr.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void line(Level level, std::string_view text) = 0;
};

/// The log. Lines are limited per cause, a cause being the address of `text` (a literal): a burst of kBurst,
/// then one a kRefill, and the next line let through says how many were held back (`suppressed=12`, the first
/// field). So no input can fill a disk. Debug lines are limited too.
class Log {
 public:
  static constexpr int kBurst = 10;
  static constexpr Millis kRefill = 60'000;
  static constexpr std::size_t kMaxLine = 512;  ///< longer lines are cut

  Log(LogSink& sink, const Clock& clock, Level threshold = Level::kInfo)
      : sink_(sink), clock_(clock), threshold_(threshold) {}

  void debug(const char* text, std::initializer_list<Field> fields = {}) {
    write(Level::kDebug, text, fields);
  }
  void info(const char* text, std::initializer_list<Field> fields = {}) { write(Level::kInfo, text, fields); }
  void warning(const char* text, std::initializer_list<Field> fields = {}) {
    write(Level::kWarning, text, fields);
  }
  void error(const char* text, std::initializer_list<Field> fields = {}) {
    write(Level::kError, text, fields);
  }
  void write(Level level, const char* text, std::initializer_list<Field> fields = {});
  /// The debug line "machine: from -> to".
  void transition(const char* machine, const char* from, const char* to);
  bool enabled(Level level) const { return level >= threshold_; }
  /// Lines that were held back since the start.
  std::uint32_t held_back() const { return held_back_; }

 private:
  struct Cause {
    const char* text = nullptr;
    Millis refilled = 0;
    int tokens = 0;
    unsigned held_back = 0;
  };
  /// Begins a line; false if it is not to be written.
  bool begin(Writer& line, Level level, const char* text);
  Cause& cause_of(const char* text);

  LogSink& sink_;
  const Clock& clock_;
  Level threshold_;
  std::uint32_t held_back_ = 0;
  std::array<Cause, 64> causes_{};  ///< least recently refilled one is reused
};

}  // namespace flannelette
