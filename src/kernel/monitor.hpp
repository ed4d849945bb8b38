// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/netlink.h>

#include <cstddef>

#include "flannelette/io/loop.hpp"
#include "socket.hpp"

namespace flannelette::kernel {

/// Rings when links or IPv4 addresses have changed; a lost notification (ENOBUFS) rings like any other. One
/// ring a wake-up. Who is rung looks for himself; only that a link was down for a moment cannot be seen
/// later.
class Monitor {
 public:
  explicit Monitor(io::Loop& loop) : source_(loop, io::Source::Handler::to<&Monitor::on_ready>(this)) {}

  Result<void> open();
  void set_doorbell(Delegate<void()> doorbell) { doorbell_ = doorbell; }
  /// Whether this link, `up` now, went down since this was last asked of it, as far as notifications were
  /// read; true as well if some were lost. One link at a time: of another than before nothing is known yet.
  bool went_down(int index, bool up);

 private:
  void on_ready(std::uint32_t events);
  bool drain();
  void note(const nlmsghdr& message);

  Socket socket_;
  io::Source source_;  ///< after socket_: unregistered before it is closed
  Delegate<void()> doorbell_;
  int index_ = 0;  ///< of the link that went_down() is asked about
  bool up_ = false;
  bool went_down_ = false;
};

}  // namespace flannelette::kernel
