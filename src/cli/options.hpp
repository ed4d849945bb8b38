// SPDX-License-Identifier: Apache-2.0
// The table behind flags, environment, INI keys and the help text.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "flannelette/cli/settings_reader.hpp"

namespace flannelette::cli {

inline constexpr const char* kDefaultConfig = FLANNELETTE_CONFIG;

class Draft;

/// Takes a value over into the draft. Empty: done; else what is expected, for a sentence that begins with the
/// value. Static, or in `draft.detail`.
using Setter = std::string_view (*)(Draft& draft, std::string_view value);

/// What becomes of a value that is not the default.
enum class Fate : std::uint8_t {
  kUsed,
  kEtcd,     ///< used if the registry is etcd; else one notice
  kKube,     ///< used, and looked at, if the registry is Kubernetes; else one notice
  kIgnored,  ///< accepted with one notice: it makes no difference here
  kUnbuilt,  ///< refused by name
  kControl,  ///< acts before any setting is read: help, version, config; a flag only
};

/// A text of the table of options, by where it is in the pool of their texts.
class Pooled {
 public:
  constexpr Pooled() = default;
  explicit constexpr Pooled(std::uint16_t at) : at_(at) {}
  operator std::string_view() const;  // NOLINT: implicit on purpose
  bool empty() const { return at_ == 0; }
  bool operator==(std::string_view other) const { return other == std::string_view(*this); }
  bool operator==(const char* other) const { return std::string_view(*this) == other; }

 private:
  friend class Literal;
  std::uint16_t at_ = 0;
};

/// A string literal in half the room of a string_view: the table has hundreds.
class Literal {
 public:
  constexpr Literal(const char* text) : text_(text) {}  // NOLINT: implicit on purpose
  Literal(Pooled text);                                 // NOLINT
  operator std::string_view() const { return text_; }   // NOLINT
  bool empty() const { return *text_ == '\0'; }
  bool operator==(std::string_view other) const { return other == text_; }
  bool operator==(const char* other) const { return std::string_view(text_) == other; }

 private:
  const char* text_;
};

struct Option {
  Setter set;
  Pooled flag;      ///< without dashes; empty: INI only
  Pooled section;   ///< of the INI key, and the group in the help text
  Pooled key;       ///< empty: no INI key
  Pooled argument;  ///< how help calls the value; empty: a boolean
  Pooled fallback;  ///< the default as text
  Pooled help;      ///< a sentence without its full stop; for kIgnored and kUnbuilt the end of one: why
  Fate fate : 6;
  bool secret : 1;      ///< the value is never shown
  bool repeatable : 1;  ///< more than one line of the INI file may give it

  bool boolean() const { return argument.empty(); }
};

std::span<const Option> options();
/// nullptr if there is none.
const Option* find_flag(std::string_view name);
const Option* find_key(std::string_view section, std::string_view key);

/// As Go's strconv.ParseBool, which flanneld's flags use: 1 t T TRUE true True, 0 f F FALSE false False.
std::optional<bool> parse_bool(std::string_view text);

}  // namespace flannelette::cli
