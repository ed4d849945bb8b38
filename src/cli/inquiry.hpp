// SPDX-License-Identifier: Apache-2.0
// The verbs that ask a running agent: `status`, `peers`, `support`.
#pragma once

#include <cstdint>
#include <span>

#include "flannelette/cli/settings_reader.hpp"

namespace flannelette::cli {

/// False: this build has none of them, and they may not be called.
bool can_inquire();

enum class Inquiry : std::uint8_t { kStatus, kPeers, kSupport };

/// `words`: the verb's flags and those of settings, which say where to ask. kHelp and kVersion are left to
/// who calls; else `code` is the exit code.
Asked inquire(Inquiry inquiry, std::span<const char* const> words, std::span<const char* const> environment,
              Reporter& terminal, int& code);

}  // namespace flannelette::cli
