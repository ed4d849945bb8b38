// SPDX-License-Identifier: Apache-2.0
// The verbs `leave` and `cleanup`.
#pragma once

#include "flannelette/agent/cleanup.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/cli/settings_reader.hpp"

namespace flannelette::cli {

/// False: this build has neither verb, and both may not be called.
bool can_leave();

/// Removes from this machine what the agent left: agent/cleanup.hpp. The commands that remove a flanneld's
/// iptables chains are printed to standard output. The result is the exit code.
int cleanup(const RunSettings& settings, LogSink& sink, agent::Cleaning cleaning);

/// Gives the lease back, or takes the annotations off the Node, then cleans up. A registry that does not
/// answer within kLeaveLimit: exit code 1, and nothing was removed.
inline constexpr Millis kLeaveLimit = 20'000;
int leave(const RunSettings& settings, LogSink& sink);

}  // namespace flannelette::cli
