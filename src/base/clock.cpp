// SPDX-License-Identifier: Apache-2.0
// The seam for time.
#include "flannelette/base/clock.hpp"

#include <ctime>

namespace flannelette {
namespace {

Millis read_clock(clockid_t clock) {
  timespec t{};
  ::clock_gettime(clock, &t);
  return Millis{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}

}  // namespace

Millis SystemClock::now() const { return read_clock(CLOCK_BOOTTIME); }
Millis SystemClock::suspended() { return read_clock(CLOCK_BOOTTIME) - read_clock(CLOCK_MONOTONIC); }

std::int64_t SystemClock::wall_seconds() const { return std::time(nullptr); }

}  // namespace flannelette
