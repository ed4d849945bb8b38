// SPDX-License-Identifier: Apache-2.0
// The seam for time.
#include "flannelette/base/clock.hpp"

#include <ctime>

namespace flannelette {

Millis SystemClock::now() const {
  timespec t{};
  ::clock_gettime(CLOCK_BOOTTIME, &t);
  return Millis{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}

std::int64_t SystemClock::wall_seconds() const { return std::time(nullptr); }

}  // namespace flannelette
