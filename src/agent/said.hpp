// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "flannelette/base/clock.hpp"
#include "flannelette/base/result.hpp"

namespace flannelette::agent {

/// What is said of each sysctl that cannot be written (a read-only /proc/sys, no right to it), with path,
/// value and consequence.
inline constexpr const char* kSysctlRefused = "a sysctl cannot be set; going on without it";

/// A delay that doubles from a second to `max` until reset.
class Backoff {
 public:
  explicit Backoff(Millis max = 60'000) : max_(max) {}
  Millis next() {
    const Millis now = delay_;
    delay_ = delay_ * 2 < max_ ? delay_ * 2 : max_;
    return now;
  }
  void reset() { delay_ = kFirst; }

 private:
  static constexpr Millis kFirst = 1'000;
  const Millis max_;
  Millis delay_ = kFirst;
};

/// A failure that repeats itself is said once.
class Said {
 public:
  /// `what` tells failures of one kind apart.
  bool is_news(const Error& error, std::uint64_t what = 0) {
    const bool news =
        !last_ || last_->code != error.code || last_->sys_errno != error.sys_errno || what_ != what;
    last_ = error;
    what_ = what;
    return news;
  }
  /// It is over; true if there was one.
  bool clear() {
    const bool was = last_.has_value();
    last_.reset();
    return was;
  }

 private:
  std::optional<Error> last_;
  std::uint64_t what_ = 0;
};

}  // namespace flannelette::agent
