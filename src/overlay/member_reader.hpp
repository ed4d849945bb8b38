// SPDX-License-Identifier: Apache-2.0
// Values of a config's members, read one by one.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "flannelette/json/document.hpp"
#include "flannelette/overlay/config.hpp"

namespace flannelette::overlay {

/// A value of the wrong type is noted (the first one) and the walk goes on, so that broken JSON is always
/// named before a wrong value; the functions are false only for broken JSON. `null` leaves a value as it is.
class MemberReader {
 public:
  explicit MemberReader(std::string_view text) : document(text) {}

  bool boolean(const char* key, bool& out);
  bool integer(const char* key, std::uint64_t limit, const char* why, std::uint64_t& out);
  /// Notes a value of the wrong type and steps over it.
  bool wrong(json::Token token, const char* key, const char* why);
  void note(const char* key, const char* why) {
    if (!fault) fault = ConfigProblem{key, why, 0, false};
  }
  static bool is(std::string_view key, const char* name) { return equal_ignoring_case(key, name); }

  json::Document document;
  std::optional<ConfigProblem> fault;
};

}  // namespace flannelette::overlay
