// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <chrono>

#include "flannelette/io/loop.hpp"

namespace flannelette::tests {

/// Runs the loop until `happened()` is true; false when it is not within ten seconds, whatever the loop's
/// clock says.
template <typename Predicate>
[[nodiscard]] bool run_until(io::Loop& loop, Predicate&& happened) {
  using std::chrono::steady_clock;
  const auto deadline = steady_clock::now() + std::chrono::seconds(10);
  while (!happened()) {
    if (steady_clock::now() > deadline) return false;
    REQUIRE(loop.step(20));
  }
  return true;
}

}  // namespace flannelette::tests
