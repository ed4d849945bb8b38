// SPDX-License-Identifier: Apache-2.0
// The text of `flannelette help`.
#pragma once

#include <span>
#include <string_view>

#include "flannelette/base/text.hpp"

namespace flannelette::cli {

/// Room that write_help() needs at most.
inline constexpr std::size_t kMaxHelp = 16 * 1024;

/// One screen: of a verb, of a flag, or of a group of flags and INI keys, each with its default; empty: the
/// verbs and all flags by name; "all": everything. False: there is no such topic.
bool write_help(Writer& out, std::string_view topic);

/// The one of `names` with the smallest edit distance to `word`, the first of several; empty if there are no
/// names.
std::string_view nearest(std::string_view word, std::span<const std::string_view> names);

}  // namespace flannelette::cli
