// SPDX-License-Identifier: Apache-2.0
// The program's verbs.
#pragma once

#include <span>

namespace flannelette::cli {

/// Does what the command line asks for; the exit code. `words`: those after the program's name.
int execute(std::span<const char* const> words, std::span<const char* const> environment);

}  // namespace flannelette::cli
