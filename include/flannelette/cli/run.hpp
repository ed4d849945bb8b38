// SPDX-License-Identifier: Apache-2.0
// The verb `run`.
#pragma once

#include "flannelette/base/log.hpp"
#include "flannelette/cli/settings_reader.hpp"

namespace flannelette::cli {

/// The agent in the foreground, its log into `sink`, until SIGTERM or SIGINT. The result is the exit code: 0
/// after a signal, 1 if it could not start.
int run(const RunSettings& settings, LogSink& sink);

}  // namespace flannelette::cli
