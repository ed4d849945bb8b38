// SPDX-License-Identifier: Apache-2.0
// Notifications of the kernel.
#pragma once

#include <linux/netlink.h>

#include <cstddef>

#include "flannelette/base/function_ref.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/kernel/kernel.hpp"
#include "netlink.hpp"

namespace flannelette::kernel {

/// Rings when links or IPv4 addresses have changed, or nf_tables by others; a lost notification (ENOBUFS)
/// rings like any other. One ring a wake-up and cause. Who is rung reads the kernel's state; only that a
/// device was down for a moment cannot be read later, so that is counted here.
class Monitor {
 public:
  /// `own` is the socket that our own changes to nf_tables come from: they do not ring.
  Monitor(io::Loop& loop, const Netlink& own)
      : own_(own),
        links_source_(loop, io::Source::Handler::to<&Monitor::on_links>(this)),
        rules_source_(loop, io::Source::Handler::to<&Monitor::on_rules>(this)) {}

  /// Fails only where links and addresses cannot be heard of.
  Result<void> open();
  void set_doorbell(Delegate<void(const Ring&)> doorbell) { doorbell_ = doorbell; }
  std::uint32_t times_down() const { return times_down_; }  ///< see Kernel

 private:
  void on_links(std::uint32_t events);
  void on_rules(std::uint32_t events);
  void open_rules();

  const Netlink& own_;
  Socket links_;
  Socket rules_;
  io::Source links_source_;  ///< after the sockets: unregistered before they are closed
  io::Source rules_source_;
  Delegate<void(const Ring&)> doorbell_;
  std::uint32_t times_down_ = 0;
};

}  // namespace flannelette::kernel
