// SPDX-License-Identifier: Apache-2.0
// The event loop: descriptors, timers, signals.
#pragma once

#include <csignal>
#include <cstdint>

#include "flannelette/base/clock.hpp"
#include "flannelette/base/delegate.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/base/unique_fd.hpp"

struct epoll_event;

/// One epoll loop on one thread. Sources and Timers are members of whoever uses them; their destructors
/// unregister, which also drops an event that is pending. After a callback the object that was called may be
/// gone. `now` is sampled once a wake-up.
namespace flannelette::io {

class Source;
class Timer;

class Loop {
 public:
  explicit Loop(const Clock& clock);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Runs until stop(). Fails only if epoll itself does.
  Result<void> run();
  void stop() { stopping_ = true; }
  /// One turn: waits at most max_wait (0: not at all, negative: without limit) for an event or a timer,
  /// dispatches what is due, events before timers, each timer at most once. Tests drive a fake clock with it:
  /// advance the clock, then step(0).
  Result<void> step(Millis max_wait);

  const Clock& clock() const { return clock_; }
  Millis now() const { return now_; }  ///< sampled at the last wake-up
  /// When the next timer is due; -1 if none is armed.
  Millis next_deadline() const;
  std::uint64_t wakeups() const { return wakeups_; }

 private:
  friend class Source;
  friend class Timer;
  static constexpr int kBatch = 16;  ///< events taken in one turn
  int timeout(Millis max_wait) const;
  void dispatch_events(const epoll_event* events, int count);
  void dispatch_timers();
  void strike_out(const Source* source);
  void insert(Timer* timer);
  void remove(Timer* timer);

  const Clock& clock_;
  UniqueFd epoll_;
  Timer* timers_ = nullptr;  ///< armed timers, earliest first, same deadline in order of arming
  Timer* due_ = nullptr;     ///< those of the current turn that were not called yet
  Source** dispatching_ =
      nullptr;  ///< events of the current turn, so that a removed Source can be struck out
  int dispatching_count_ = 0;
  Millis now_ = 0;
  std::uint64_t wakeups_ = 0;
  bool stopping_ = false;
};

/// Readiness of one descriptor, level triggered. Does not own the descriptor: unwatch() before closing it.
class Source {
 public:
  using Handler = Delegate<void(std::uint32_t events)>;  ///< EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP

  Source(Loop& loop, Handler handler);
  ~Source() { unwatch(); }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  Result<void> watch(int fd, std::uint32_t events);  ///< first time, or a change of events for the same fd
  void unwatch();
  bool watching() const { return fd_ >= 0; }

 private:
  friend class Loop;
  Loop& loop_;
  Handler handler_;
  int fd_ = -1;
  std::uint32_t events_ = 0;
};

/// One-shot timer. Arm again from its own handler to repeat.
class Timer {
 public:
  Timer(Loop& loop, Delegate<void()> handler);
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// from the current time of the clock, not the sampled one; replaces an earlier deadline
  void arm_in(Millis delay);
  /// Arms only if not armed, or armed for later.
  void arm_at_latest_in(Millis delay);
  void cancel();
  bool armed() const { return armed_; }
  Millis deadline() const { return deadline_; }

 private:
  friend class Loop;
  Loop& loop_;
  Delegate<void()> handler_;
  Timer* next_ = nullptr;
  Millis deadline_ = 0;
  bool armed_ = false;
};

/// Signals as events of the loop (signalfd). They are blocked from construction on and stay blocked: a
/// program has one.
class Signals {
 public:
  using Handler = Delegate<void(int signal)>;
  Signals(Loop& loop, Handler handler)
      : source_(loop, Source::Handler::to<&Signals::on_ready>(this)), handler_(handler) {}
  Result<void> watch(const sigset_t& set);

 private:
  void on_ready(std::uint32_t events);
  UniqueFd fd_;
  Source source_;
  Handler handler_;
};

}  // namespace flannelette::io
