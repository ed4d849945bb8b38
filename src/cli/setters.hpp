// SPDX-License-Identifier: Apache-2.0
// Values of settings, from text.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "cli/draft.hpp"

/// Each sets a value and returns kOk, or returns what was expected.
namespace flannelette::cli {

inline constexpr std::string_view kOk;
inline constexpr std::string_view kNumber = "a number is expected";
inline constexpr std::string_view kBool = "true or false is expected";
inline constexpr std::string_view kPath = "a path is expected";

/// One of these words, which are those of the enum in its order.
template <class Enum>
std::string_view set_word(Enum& out, std::string_view value, std::initializer_list<const char*> words,
                          const char* expected) {
  const auto* const word = std::ranges::find_if(words, [&](const char* one) { return value == one; });
  if (word == words.end()) return expected;
  out = static_cast<Enum>(word - words.begin());
  return kOk;
}

template <std::size_t N>
std::string_view set_text(Text<N>& out, std::string_view value, const char* complaint) {
  return out.assign(value) ? kOk : std::string_view(complaint);
}

std::string_view set_bool(bool& out, std::string_view value, bool inverted = false);
/// One of two words.
std::string_view set_choice(bool& out, std::string_view value, const char* yes, const char* no,
                            const char* expected);
std::string_view set_path(Text<Files::kMaxPath>& out, std::string_view value);
std::string_view set_credential(Text<registry::EtcdSettings::kMaxCredential>& out, std::string_view value);
/// etcd's, or the API servers: what is set once there are settings of Kubernetes is of those.
std::string_view set_servers(Draft& draft, std::string_view value);
std::string_view set_annotation_prefix(Draft& draft, std::string_view value);
std::string_view set_prefix(Draft& draft, std::string_view value);
std::string_view set_margin_minutes(Draft& draft, std::string_view value);
std::string_view set_margin_duration(Draft& draft, std::string_view value);
std::string_view set_ttl(Draft& draft, std::string_view value);
std::string_view set_wait(std::int64_t& millis, std::string_view value);
std::string_view set_interface(Draft& draft, std::string_view value);
std::string_view set_regex(Draft& draft, std::string_view value);
std::string_view set_address(std::optional<Ip4>& out, std::string_view value);
std::string_view set_level(Draft& draft, std::string_view value);
std::string_view set_verbosity(Draft& draft, std::string_view value);
// What is accepted without effect: a form is checked all the same, free text and paths are not.
std::string_view check_bool(Draft&, std::string_view value);
std::string_view check_number(Draft&, std::string_view value);
std::string_view any(Draft&, std::string_view);

}  // namespace flannelette::cli
