// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "flannelette/cli/settings_reader.hpp"

/// The one table behind flags, environment, INI keys and the help text.
namespace flannelette::cli {

inline constexpr const char* kDefaultConfig = FLANNELETTE_CONFIG;

class Draft;

/// Takes a value over into the draft. Empty: done; else what is expected, for a sentence that begins with the
/// value. Static, or in `draft.detail`.
using Setter = std::string_view (*)(Draft& draft, std::string_view value);

/// What becomes of a value that is not the default.
enum class Fate : std::uint8_t {
  kUsed,
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
  Literal help;      ///< for kIgnored and kUnbuilt: why
  Setter set;
  char section[5]{};  ///< of the INI key; in place, with the three below in the room of a pointer
  Fate fate;
  bool secret;      ///< the value is never shown
  bool repeatable;  ///< more than one line of the INI file may give it

  bool boolean() const { return argument.empty(); }
};

std::span<const Option> options();
/// nullptr if there is none.
const Option* find_flag(std::string_view name);
const Option* find_key(std::string_view section, std::string_view key);

/// As Go's strconv.ParseBool, which flanneld's flags use: 1 t T TRUE true True, 0 f F FALSE false False.
std::optional<bool> parse_bool(std::string_view text);

/// Why a file cannot be read: the system's words, else the error's own.
std::string_view reason(const Error& error);

/// Where a value comes from, lowest first.
enum class Source : std::uint8_t { kNone, kFile, kEnvironment, kFlag };

struct Origin {
  Source source = Source::kNone;
  std::string_view name;  ///< INI key or flag; may be empty for a line as a whole
  std::string_view file;  ///< kFile
  int line = 0;           ///< kFile
};

/// Settings in the making: sources are applied from the lowest to the highest, then finish() looks at the
/// whole.
class Draft {
 public:
  static constexpr std::size_t kMaxMessage = 1024;
  static constexpr std::size_t kMaxOptions = 64;
  static constexpr std::size_t kMaxDetail = 128;

  Draft(RunSettings& target, Reporter& reporter, Files& files)
      : settings(target), reporter_(reporter), files_(files) {}

  void apply(const Option& option, const Origin& origin, std::string_view value);
  /// Checks what no single value shows, reads the password file, fills in defaults that depend on others.
  void finish();
  /// The last origin of an option's value; Source::kNone: nobody gave one.
  const Origin& origin_of(const Option& option) const { return given_[index(option)].origin; }
  bool wrong() const { return wrong_; }

  /// `<origin>: <parts>`; a line of at most kMaxMessage bytes.
  void problem(const Origin& origin, std::initializer_list<std::string_view> parts);
  void notice(const Origin& origin, std::initializer_list<std::string_view> parts);

  // For the setters.
  RunSettings& settings;
  Source source = Source::kNone;          ///< of the value that is being set
  std::string_view blamed;                ///< the part of the value that is wrong; empty: do not show it
  Text<kMaxDetail> detail;                ///< memory for a setter's answer
  Source endpoints_from = Source::kNone;  ///< of the elements that a list has now
  Source names_from = Source::kNone;
  Source regexes_from = Source::kNone;
  Text<Files::kMaxPath> password_file;

 private:
  struct Given {
    Origin origin;
    std::string_view value;  // only of flags and environment: the text of the INI file goes away
  };
  static std::size_t index(const Option& option) {
    return static_cast<std::size_t>(&option - options().data());
  }
  const Origin& origin_of_key(std::string_view section, std::string_view key) const {
    return origin_of(*find_key(section, key));
  }
  void judge_fates();
  void check_tls();
  void refuse_tls();
  void check_renew_margin();
  void check_credentials();
  void place_state();
  void read_password_file();
  void warn_if_overheard(const Origin& origin);
  void warn_if_readable_by_all(const Origin& origin, std::string_view what, std::string_view path);

  Reporter& reporter_;
  Files& files_;
  std::array<Given, kMaxOptions> given_{};
  bool wrong_ = false;
};

}  // namespace flannelette::cli
