// SPDX-License-Identifier: Apache-2.0
// The verbs `status`, `peers` and `support`, once their settings are known.
#pragma once

#include <cstdint>

#include "flannelette/cli/settings_reader.hpp"

namespace flannelette::cli {

inline constexpr int kExitNotReady = 1;
inline constexpr int kExitNoAgent = 3;

struct Question {
  std::uint64_t json = 0;
  std::uint64_t watch = 0;     ///< again and again
  std::uint64_t wait = 0;      ///< until so many peers are programmed ...
  std::uint64_t timeout = 60;  ///< ... but so many seconds at most
  bool support = false;        ///< also the last warnings, and the kernel's tables
};

/// The agent's own account to standard output. 0: it is ready; else kExitNotReady, or kExitNoAgent, then what
/// the state file and the kernel have.
int show_status(const RunSettings& settings, const Question& question, Reporter& reporter);

/// A line for each peer that is programmed: subnet, address, MAC. kExitNotReady: there were not enough in
/// time.
int show_peers(const RunSettings& settings, const Question& question, Reporter& reporter);

}  // namespace flannelette::cli
