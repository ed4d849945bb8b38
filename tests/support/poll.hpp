// SPDX-License-Identifier: Apache-2.0
// Waiting for something that another process or the kernel does: ask again until a deadline, never sleep
// blindly.
#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace flannelette::tests {

/// True as soon as `happened()` is; false when `limit` has passed and it still is not. `happened` is asked at
/// least once and once more at the deadline; the pauses between grow from 1 to 50 ms.
template <typename Predicate>
[[nodiscard]] bool wait_until(std::chrono::milliseconds limit, Predicate&& happened) {
  using std::chrono::steady_clock;
  const auto deadline = steady_clock::now() + limit;
  std::chrono::milliseconds pause{1};
  while (!happened()) {
    if (steady_clock::now() >= deadline) return happened();
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds{50});
  }
  return true;
}

}  // namespace flannelette::tests
