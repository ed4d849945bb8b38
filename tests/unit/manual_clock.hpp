// SPDX-License-Identifier: Apache-2.0
// Time and chance in the hand of the test.
#pragma once

#include <algorithm>

#include "flannelette/base/clock.hpp"
#include "flannelette/base/random.hpp"

namespace flannelette {

class ManualClock final : public Clock {
 public:
  Millis now() const override { return time; }
  std::int64_t wall_seconds() const override { return time / 1000; }
  Millis time = 1'000;
};

/// Chance as a constant: every delay is the shortest.
class NoRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> bytes) override { std::ranges::fill(bytes, std::uint8_t{0}); }
};

}  // namespace flannelette
