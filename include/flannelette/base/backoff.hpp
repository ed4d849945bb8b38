// SPDX-License-Identifier: Apache-2.0
// The delays between attempts.
#pragma once

#include "flannelette/base/clock.hpp"
#include "flannelette/base/random.hpp"

namespace flannelette {

/// Delays that double from `first` to `max`, until reset.
class Backoff {
 public:
  constexpr Backoff(Millis first, Millis max) : first_(first), max_(max) {}

  Millis next();
  /// The upper half of the delay is left to chance, so that nodes do not move in step.
  Millis next(Random& random);
  void reset() { last_ = 0; }
  bool failing() const { return last_ > 0; }  ///< a delay was given out since the last reset

 private:
  Millis first_;
  Millis max_;
  Millis last_ = 0;
};

}  // namespace flannelette
