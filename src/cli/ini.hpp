// SPDX-License-Identifier: Apache-2.0
// The INI file, one key after another.
#pragma once

#include <string_view>

#include "cli/draft.hpp"

namespace flannelette::cli {

/// Longest line, whatever the INI library was built for: 200 bytes less those for the line end is its
/// smallest usual buffer.
inline constexpr std::size_t kMaxIniLine = 197;

/// Applies every key of an INI file to the draft. What builds of the library read differently (long lines,
/// comments behind a value, continuation lines) is refused with the number of the line.
void read_ini(std::string_view path, std::string_view text, Draft& draft);

}  // namespace flannelette::cli
