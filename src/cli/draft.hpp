// SPDX-License-Identifier: Apache-2.0
// Settings in the making: who gave a value, and whether the whole fits together.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "cli/options.hpp"

namespace flannelette::cli {

/// Why a file cannot be read: the system's words, else the error's own.
std::string_view reason(const Error& error);

/// Where a value comes from, lowest first.
enum class Source : std::uint8_t { kNone, kFile, kEnvironment, kFlag };

struct Origin {
  Source source = Source::kNone;
  std::string_view name;  ///< INI key, variable or flag; may be empty for a line as a whole
  std::string_view file;  ///< kFile
  int line = 0;           ///< kFile
};

/// Settings in the making: sources are applied from the lowest to the highest, then finish() checks the
/// whole.
class Draft {
 public:
  static constexpr std::size_t kMaxMessage = 1024;
  static constexpr std::size_t kMaxOptions = 64;
  static constexpr std::size_t kMaxDetail = 128;

  Draft(RunSettings& target, Reporter& reporter, Files& files)
      : settings(target), reporter_(reporter), files_(files) {}

  void apply(const Option& option, const Origin& origin, std::string_view value);
  /// Checks what no single value shows, reads the password file if that is for the registry, fills in
  /// defaults that depend on others.
  void finish(Purpose purpose);
  /// The last origin of an option's value; Source::kNone: nobody gave one.
  const Origin& origin_of(const Option& option) const { return given_[index(option)].origin; }
  bool wrong() const { return wrong_; }

  /// `<origin>: <parts>`; a line of at most kMaxMessage bytes.
  void problem(const Origin& origin, std::initializer_list<std::string_view> parts);
  /// The problem that a file cannot be read; `file`: empty if it is the origin.
  void unreadable(const Origin& origin, std::string_view file, const Error& error);
  void notice(const Origin& origin, std::initializer_list<std::string_view> parts);

  // For the setters.
  RunSettings& settings;
  bool wants_kube = false;
  Source source = Source::kNone;  ///< of the value that is being set
  std::string_view blamed;        ///< the part of the value that is wrong; empty: do not show it
  Text<kMaxDetail> detail;        ///< memory for a setter's answer
  /// Of the Pod that we are in, as its environment has it. Checked where it counts.
  enum Pod : std::size_t { kNode, kName, kNamespace, kServiceHost, kServicePort };
  std::array<std::string_view, 5> pod;
  Source endpoints_from = Source::kNone;  ///< of the elements that a list has now
  Source names_from = Source::kNone;
  Source regexes_from = Source::kNone;
  Text<Files::kMaxPath> password_file;

 private:
  struct Given {
    Origin origin;
    std::string_view value;
  };
  static std::size_t index(const Option& option) {
    return static_cast<std::size_t>(&option - options().data());
  }
  const Origin& origin_of_key(std::string_view section, std::string_view key) const {
    return origin_of(*find_key(section, key));
  }
  void set(const Option& option, Given& given);
  void check_fates();
  void check_etcd(Purpose purpose);
  void check_kube();
  void name_node();
  void check_name(const Origin& origin, std::string_view name);
  void check_tls();
  void refuse_tls();
  void check_renew_margin();
  void check_credentials();
  void place_state();
  void place_socket();
  void read_password_file();
  void warn_if_overheard(const Origin& origin);
  void warn_if_readable_by_all(const Origin& origin, std::string_view what, std::string_view path);

  Reporter& reporter_;
  Files& files_;
  std::array<Given, kMaxOptions> given_{};
  bool wrong_ = false;
};

}  // namespace flannelette::cli
