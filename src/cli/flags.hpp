// SPDX-License-Identifier: Apache-2.0
// The command line, one flag after another.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "cli/draft.hpp"

namespace flannelette::cli {

/// Reads flags as Go's flag package does, which flanneld uses: -x or --x, the value behind '=' or in the next
/// argument, of a boolean only behind '='; the first argument that is no flag, or --, ends them. Empty
/// arguments where a flag may stand are passed over.
class FlagWalk {
 public:
  enum class Found : std::uint8_t {
    kEnd,
    kOption,   ///< option, value
    kHelp,     ///< -h, --help
    kUnknown,  ///< text: its name. A value in the next argument was passed over.
    kNoValue,  ///< option: the command line ended before its value
    kMalformed,
    /// text: an argument that is no flag; nothing is read after it. option: the flag before it, if any
    kStray,
  };
  explicit FlagWalk(std::span<const char* const> arguments) : arguments_(arguments) {}
  Found next();

  const Option* option = nullptr;
  std::string_view value;
  std::string_view text;

 private:
  Found stray(std::string_view argument);

  std::span<const char* const> arguments_;
};

}  // namespace flannelette::cli
