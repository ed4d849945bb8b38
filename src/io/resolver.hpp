// SPDX-License-Identifier: Apache-2.0
// Names to addresses, in a child process.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "flannelette/base/delegate.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/base/unique_fd.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/io/stream.hpp"
#include "io/socket_address.hpp"

namespace flannelette::io {

/// libc's getaddrinfo in a short-lived child, so that the loop never waits for a name server. One name at a
/// time.
class Resolver {
 public:
  static constexpr std::size_t kMaxAddresses = 16;  ///< what a name has more is not tried

  /// `done` is called once for each start() that is not cancelled, never from within start().
  Resolver(Loop& loop, Delegate<void()> done);
  ~Resolver();

  void start(const Text<Endpoint::kMaxHost>& name);
  void cancel();  ///< kills the child; it is reaped later

  /// After `done`: kNotFound if the name does not exist, kUnavailable if nobody could say.
  const Result<void>& result() const { return result_; }
  std::span<const HostAddress> addresses() const { return {addresses_.data(), count_}; }

 private:
  void ask(unsigned question);
  void launch();
  Result<void> start_child();
  bool reap();
  void on_timer();
  void on_readable(std::uint32_t events);
  void no_addresses(const Error& why);
  void finish(Result<void> result);

  Delegate<void()> done_;
  UniqueFd pipe_;
  Source source_;
  Timer timer_;  ///< a child that is not dead yet, one that may not take longer, or an error to be reported
  Text<Endpoint::kMaxHost> name_;
  std::array<HostAddress, kMaxAddresses> addresses_;
  std::size_t count_ = 0;
  Result<void> result_;
  pid_t child_ = -1;
  unsigned question_ = 0;  ///< 0: both families together, then each alone
  unsigned first_ = 0;     ///< which question to begin with: the one that had an answer for this name
  bool wanted_ = false;    ///< a name waits for the former child to be reaped
  bool failed_ = false;    ///< `done` has to be called by the timer
};

}  // namespace flannelette::io
