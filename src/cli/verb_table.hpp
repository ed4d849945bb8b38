// SPDX-License-Identifier: Apache-2.0
// The verbs: how they are called and what help says of each.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "cli/options.hpp"

namespace flannelette::cli {

enum class Verb : std::uint8_t {
  kRun,
  kStatus,
  kPeers,
  kSupport,
  kCheck,
  kLeave,
  kCleanup,
  kInstallCni,
  kVersion,
  kHelp,
};
inline constexpr std::size_t kVerbCount = 10;

struct VerbEntry {
  Literal name;
  Literal arguments;  ///< empty: none
  Literal summary;    ///< follows the name in the list of all
  Literal details;    ///< lines of at most 80 bytes, the rest of the verb's own screen
  bool (*built)();    ///< whether this build has it; nullptr: every one
};

inline bool is_built(const VerbEntry& verb) { return verb.built == nullptr || verb.built(); }

/// In the order of the enum.
std::span<const VerbEntry, kVerbCount> verbs();
/// nullptr if there is none.
const VerbEntry* find_verb(std::string_view name);

}  // namespace flannelette::cli
