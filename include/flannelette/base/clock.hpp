// SPDX-License-Identifier: Apache-2.0
// The seam for time.
#pragma once

#include <cstdint>

namespace flannelette {

using Millis = std::int64_t;  ///< a duration or a monotonic time, in milliseconds

/// The seam for time. All timers run on now(); the wall clock is only for certificates and for people.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Millis now()
      const = 0;  ///< monotonic, never goes back; counts the time that the machine is suspended
  virtual std::int64_t wall_seconds() const = 0;  ///< Unix time; may jump either way
};

class SystemClock final : public Clock {
 public:
  Millis now() const override;  ///< CLOCK_BOOTTIME
  std::int64_t wall_seconds() const override;
  /// How long the machine has been suspended since it booted.
  static Millis suspended();
};

}  // namespace flannelette
