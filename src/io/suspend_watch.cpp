// SPDX-License-Identifier: Apache-2.0
// Notices that the machine was suspended.
#include "flannelette/io/suspend_watch.hpp"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace flannelette::io {

void SuspendWatch::watch() {
  suspended_ = SystemClock::suspended();
  fd_ = UniqueFd(::timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC));
  // It never expires, but the kernel cancels it whenever the wall clock is set, which a resume does.
  itimerspec never{};
  never.it_value.tv_sec = INT32_MAX;
  if (!fd_ || ::timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, nullptr) != 0)
    return;
  (void)source_.watch(fd_.get(), EPOLLIN);
}

void SuspendWatch::on_ready(std::uint32_t) {
  std::uint64_t expired = 0;
  (void)!::read(fd_.get(), &expired, sizeof expired);  // ECANCELED
  const Millis before = suspended_;
  suspended_ = SystemClock::suspended();
  if (suspended_ - before >= kLeast) handler_(suspended_ - before);
}

}  // namespace flannelette::io
