// SPDX-License-Identifier: Apache-2.0
// The capabilities that the process gives up.
#pragma once

#include <span>
#include <string_view>

#include "flannelette/agent/settings.hpp"
#include "flannelette/base/log.hpp"

namespace flannelette::cli {

/// Whether there is CAP_NET_ADMIN, or it is not told.
bool may_administer_network();

/// Gives up what the agent does not need, before it reads its first byte from outside: no core and no
/// debugger of the same user, no program that gains anything, and of the capabilities only CAP_NET_ADMIN.
/// Those that overrule the permissions of files stay where one of `read` (paths of files that are read again
/// while it runs; empty ones are passed over) or a folder that the agent writes to needs them, which the log
/// says. For good, and for children. Best effort: what this system refuses (an emulator, a filter) is a debug
/// line.
void give_up_privileges(const agent::Settings& settings, std::span<const std::string_view> read, Log& log);

}  // namespace flannelette::cli
