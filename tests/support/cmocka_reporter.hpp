// SPDX-License-Identifier: Apache-2.0
// The doctest reporter behind CmockaPrinter: a TEST_SUITE is a group ("tests" where there is none).
#pragma once

#include <functional>
#include <string>

namespace flannelette::tests {

/// Runs doctest with this reporter; its command-line filters (-tc=, -ts=, ...) and queries (-ltc, -h, ...)
/// work as always, and -r= chooses another reporter. Returns the exit status: 0 or 1.
int run_all(int argc, char** argv);

/// Adds a line to every failing test's output, such as the seed of its random numbers. Asked when a test
/// fails; an empty string adds nothing. Forgotten at the end of the test.
void on_failure_print(std::function<std::string()> line);

}  // namespace flannelette::tests
