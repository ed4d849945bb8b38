// SPDX-License-Identifier: Apache-2.0
// The verb `check`.
#pragma once

#include "flannelette/base/log.hpp"
#include "flannelette/cli/settings_reader.hpp"

namespace flannelette::cli {

/// False: this build does not have the verb, and it may not be called.
bool can_check();

/// Prints to standard output what stops the overlay here (agent/inspection.hpp), a line each, or as JSON. The
/// result is the exit code: 0 nothing, 1 warnings, 2 failures.
/// `settings`: its connections get a shorter time.
int check(RunSettings& settings, bool json);

}  // namespace flannelette::cli
