// SPDX-License-Identifier: Apache-2.0
// Notices that the machine was suspended.
#pragma once

#include "flannelette/io/loop.hpp"

namespace flannelette::io {

/// Rings after a suspend, without polling. Deadlines count the time of a suspend (Clock::now()), but epoll
/// does not wait by it: without this, what became due meanwhile would be late by as long as it lasted.
class SuspendWatch {
 public:
  using Handler = Delegate<void(Millis suspended)>;  ///< for how long
  SuspendWatch(Loop& loop, Handler handler)
      : source_(loop, Source::Handler::to<&SuspendWatch::on_ready>(this)), handler_(handler) {}
  /// Best effort: a kernel may have no timerfd.
  void watch();

 private:
  /// A second and more counts; less is the time between two readings of clocks.
  static constexpr Millis kLeast = 1'000;
  void on_ready(std::uint32_t events);

  UniqueFd fd_;
  Source source_;
  Handler handler_;
  Millis suspended_ = 0;  ///< since the boot
};

}  // namespace flannelette::io
