// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/netlink.h>

#include <cstddef>

#include "flannelette/base/function_ref.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/kernel/kernel.hpp"
#include "netlink.hpp"

namespace flannelette::kernel {

/// Rings when links or IPv4 addresses have changed, or nf_tables by others; a lost notification (ENOBUFS)
/// rings like any other. One ring a wake-up and cause. Who is rung looks for himself; only that a link was
/// down for a moment cannot be seen later.
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
  /// Whether this link, `up` now, went down since this was last asked of it, as far as notifications were
  /// read; true as well if some were lost. One link at a time: of another than before nothing is known yet.
  bool went_down(int index, bool up);

 private:
  void on_links(std::uint32_t events);
  void on_rules(std::uint32_t events);
  void open_rules();
  void note(const nlmsghdr& message);

  const Netlink& own_;
  Socket links_;
  Socket rules_;
  io::Source links_source_;  ///< after the sockets: unregistered before they are closed
  io::Source rules_source_;
  Delegate<void(const Ring&)> doorbell_;
  int index_ = 0;  ///< of the link that went_down() is asked about
  bool up_ = false;
  bool went_down_ = false;
};

}  // namespace flannelette::kernel
