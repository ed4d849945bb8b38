// SPDX-License-Identifier: Apache-2.0
// The event loop: descriptors, timers, signals.
#include "flannelette/io/loop.hpp"

#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

namespace flannelette::io {

Loop::Loop(const Clock& clock) : clock_(clock), epoll_(::epoll_create1(EPOLL_CLOEXEC)), now_(clock.now()) {}

Loop::~Loop() = default;

Result<void> Loop::run() {
  while (!stopping_) FLT_TRY(step(-1));
  stopping_ = false;
  return {};
}

Result<void> Loop::step(Millis max_wait) {
  std::array<epoll_event, kBatch> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), kBatch, timeout(max_wait));
  if (count < 0 && errno != EINTR) return last_error("epoll_wait");
  ++wakeups_;
  now_ = clock_.now();
  dispatch_events(events.data(), std::max(count, 0));
  dispatch_timers();
  return {};
}

/// What epoll_wait shall wait. It rounds up to its own ticks, and both it and the clock count whole
/// milliseconds down, so that no wake-up comes before the deadline only to wait again.
int Loop::timeout(Millis max_wait) const {
  Millis wait = max_wait;
  if (timers_ != nullptr) {
    const Millis due = std::max<Millis>(timers_->deadline_ - clock_.now(), 0);
    wait = wait < 0 ? due : std::min(wait, due);
  }
  return wait < 0 ? -1 : static_cast<int>(std::min<Millis>(wait, INT_MAX));
}

void Loop::dispatch_events(const epoll_event* events, int count) {
  std::array<Source*, kBatch> sources;
  for (int i = 0; i < count; ++i)
    sources[static_cast<std::size_t>(i)] = static_cast<Source*>(events[i].data.ptr);
  dispatching_ = sources.data();
  dispatching_count_ = count;
  for (int i = 0; i < count; ++i) {
    Source* source = dispatching_[i];
    if (source == nullptr) continue;
    // An earlier handler of this turn may have changed what is waited for.
    const std::uint32_t ready = events[i].events & (source->events_ | EPOLLERR | EPOLLHUP);
    const Source::Handler handler =
        source->handler_;  // a copy: the source may be gone before the call returns
    if (ready != 0) handler(ready);
  }
  dispatching_ = nullptr;
  dispatching_count_ = 0;
}

void Loop::dispatch_timers() {
  // The due ones move to a list of their own, so that one that is armed again for "now" waits for the next
  // turn.
  Timer** end = &timers_;
  while (*end != nullptr && (*end)->deadline_ <= now_) end = &(*end)->next_;
  if (end == &timers_) return;
  due_ = timers_;
  timers_ = *end;
  *end = nullptr;
  while (due_ != nullptr) {
    Timer* timer = due_;
    due_ = timer->next_;
    timer->next_ = nullptr;
    timer->armed_ = false;
    const Delegate<void()> handler = timer->handler_;
    handler();
  }
}

Millis Loop::next_deadline() const {
  if (due_ != nullptr) return due_->deadline_;
  return timers_ != nullptr ? timers_->deadline_ : -1;
}

void Loop::strike_out(const Source* source) {
  for (int i = 0; i < dispatching_count_; ++i) {
    if (dispatching_[i] == source) dispatching_[i] = nullptr;
  }
}

void Loop::insert(Timer* timer) {
  Timer** link = &timers_;
  while (*link != nullptr && (*link)->deadline_ <= timer->deadline_) link = &(*link)->next_;
  timer->next_ = *link;
  *link = timer;
}

void Loop::remove(Timer* timer) {
  for (Timer** list : {&timers_, &due_}) {
    for (Timer** link = list; *link != nullptr; link = &(*link)->next_) {
      if (*link != timer) continue;
      *link = timer->next_;
      timer->next_ = nullptr;
      return;
    }
  }
}

Source::Source(Loop& loop, Handler handler) : loop_(loop), handler_(handler) {}

Result<void> Source::watch(int fd, std::uint32_t events) {
  if (fd_ == fd && events_ == events) return {};
  if (fd_ >= 0 && fd_ != fd) unwatch();
  epoll_event event{};
  event.events = events;
  event.data.ptr = this;
  const int operation = fd_ == fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (::epoll_ctl(loop_.epoll_.get(), operation, fd, &event) != 0) return last_error("epoll_ctl");
  fd_ = fd;
  events_ = events;
  return {};
}

void Source::unwatch() {
  if (fd_ < 0) return;
  ::epoll_ctl(loop_.epoll_.get(), EPOLL_CTL_DEL, fd_, nullptr);
  fd_ = -1;
  events_ = 0;
  loop_.strike_out(this);
}

Timer::Timer(Loop& loop, Delegate<void()> handler) : loop_(loop), handler_(handler) {}

void Timer::arm_in(Millis delay) {
  cancel();
  deadline_ = loop_.clock_.now() + std::max<Millis>(delay, 0);
  armed_ = true;
  loop_.insert(this);
}

void Timer::arm_at_latest_in(Millis delay) {
  if (armed_ && deadline_ <= loop_.clock_.now() + delay) return;
  arm_in(delay);
}

void Timer::cancel() {
  if (!armed_) return;
  armed_ = false;
  loop_.remove(this);
}

Result<void> Signals::watch(const sigset_t& set) {
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return last_error("sigprocmask");
  source_.unwatch();
  fd_ = UniqueFd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd_) return last_error("signalfd");
  return source_.watch(fd_.get(), EPOLLIN);
}

void Signals::on_ready(std::uint32_t) {
  // One a call, since the handler may destroy us; what is left keeps the descriptor readable.
  signalfd_siginfo info;
  if (::read(fd_.get(), &info, sizeof info) != sizeof info) return;
  const Handler handler = handler_;
  handler(static_cast<int>(info.ssi_signo));
}

}  // namespace flannelette::io
