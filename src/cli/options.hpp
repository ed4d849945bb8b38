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

/// A string literal in half the room of a string_view: the table has hundreds.
class Literal {
 public:
  constexpr Literal(const char* text) : text_(text) {}  // NOLINT: implicit on purpose
  operator std::string_view() const { return text_; }   // NOLINT
  bool empty() const { return *text_ == '\0'; }
  bool operator==(std::string_view other) const { return other == text_; }
  bool operator==(const char* other) const { return std::string_view(text_) == other; }

 private:
  const char* text_;
};

struct Option {
  constexpr Option(Literal any_flag, const char* any_section, Literal any_key, Literal any_argument,
                   Literal any_fallback, Literal any_help, Setter any_set, Fate any_fate = Fate::kUsed,
                   bool any_secret = false, bool any_repeatable = false)
      : flag(any_flag),
        key(any_key),
        argument(any_argument),
        fallback(any_fallback),
        help(any_help),
        set(any_set),
        fate(any_fate),
        secret(any_secret),
        repeatable(any_repeatable) {
    for (std::size_t i = 0; any_section[i] != '\0'; ++i) section[i] = any_section[i];
  }

  Literal flag;      ///< without dashes; empty: INI only
  Literal key;       ///< empty: no INI key
  Literal argument;  ///< how help calls the value; empty: a boolean
  Literal fallback;  ///< the default as text
  Literal help;      ///< a sentence without its full stop; for kIgnored and kUnbuilt the end of one: why
  Setter set;
  char section[7]{};  ///< of the INI key, and the group in the help text; in place, with the three below in
                      ///< the room of a pointer
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
