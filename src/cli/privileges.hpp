// SPDX-License-Identifier: Apache-2.0
// The capabilities that the process gives up.
#pragma once

#include "flannelette/base/log.hpp"
#include "flannelette/cli/settings_reader.hpp"

namespace flannelette::cli {

/// Gives up what the agent does not need, before it reads its first file or byte from outside: no core and no
/// debugger of the same user, no program that gains anything, and of the capabilities only CAP_NET_ADMIN.
/// Those that overrule the permissions of files stay where a configured file or folder needs them, which the
/// log says. For good, and for children. Best effort: what this system refuses (an emulator, a filter) is a
/// debug line.
void give_up_privileges(const RunSettings& settings, Log& log);

}  // namespace flannelette::cli
