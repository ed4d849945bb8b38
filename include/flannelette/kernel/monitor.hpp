// SPDX-License-Identifier: Apache-2.0
// Notifications of the real kernel.
#pragma once

#include <cstdint>
#include <memory>

#include "flannelette/io/loop.hpp"
#include "flannelette/kernel/netlink_kernel.hpp"

namespace flannelette::kernel {

/// Rings when links or IPv4 addresses have changed, or entries, settings or nf_tables by others; a lost
/// notification (ENOBUFS) rings like any other. One ring a wake-up and socket. Who is rung reads the kernel's
/// state; only that a device was down for a moment cannot be read later, so that is counted here.
class Monitor final : public Notifications {
 public:
  /// What `own` changes in nf_tables, or of entries, does not ring. It outlives the monitor.
  Monitor(io::Loop& loop, const NetlinkKernel& own);
  ~Monitor();
  /// Opens the sockets and joins the groups. Fails only where links and addresses cannot be subscribed to.
  Result<void> open();

  void follow(const Site& site) override;
  void set_doorbell(Delegate<void(const Ring&)> doorbell) override;
  std::uint32_t times_down() const override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flannelette::kernel
