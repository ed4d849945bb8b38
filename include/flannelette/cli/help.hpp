// SPDX-License-Identifier: Apache-2.0
// The text of `flannelette help`.
#pragma once

#include <span>
#include <string_view>

#include "flannelette/base/text.hpp"

namespace flannelette::cli {

/// Room that write_help() needs at most.
inline constexpr std::size_t kMaxHelp = 8 * 1024;

/// The verbs, then every flag with its default and the INI key of the same meaning.
void write_help(Writer& out);

/// The one of `names` with the smallest edit distance to `word`, the first of several; empty if there are no
/// names.
std::string_view nearest(std::string_view word, std::span<const std::string_view> names);

}  // namespace flannelette::cli
