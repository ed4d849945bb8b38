// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "flannelette/base/unique_fd.hpp"
#include "flannelette/io/loop.hpp"

namespace flannelette::kernel {

/// Rings when links or IPv4 addresses have changed. Notifications are read to empty the socket, not to learn
/// from them: a lost one (ENOBUFS) rings like any other. One ring a wake-up.
class Monitor {
 public:
  explicit Monitor(io::Loop& loop) : source_(loop, io::Source::Handler::to<&Monitor::on_ready>(this)) {}

  Result<void> open();
  void set_doorbell(Delegate<void()> doorbell) { doorbell_ = doorbell; }

 private:
  void on_ready(std::uint32_t events);
  bool drain();

  UniqueFd socket_;
  io::Source source_;  ///< after socket_: unregistered before it is closed
  Delegate<void()> doorbell_;
};

}  // namespace flannelette::kernel
