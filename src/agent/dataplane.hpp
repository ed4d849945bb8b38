// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "agent/underlay.hpp"
#include "flannelette/agent/settings.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/kernel/kernel.hpp"
#include "flannelette/overlay/peer_table.hpp"
#include "flannelette/overlay/subnet_env.hpp"

namespace flannelette::agent {

/// A failure that repeats itself is said once.
class Said {
 public:
  bool is_news(const Error& error) {
    const bool news = !last_ || last_->code != error.code || last_->sys_errno != error.sys_errno;
    last_ = error;
    return news;
  }
  /// It is over; true if there was one.
  bool clear() {
    const bool was = last_.has_value();
    last_.reset();
    return was;
  }

 private:
  std::optional<Error> last_;
};

/// Makes this machine what it should be, and keeps it so: the device, its address, the traffic rules,
/// subnet.env, and the entries of every peer. Knows the kernel, not the registry. Every step compares first:
/// converging twice in a row writes once.
class Dataplane {
 public:
  /// What it should be.
  struct Target {
    overlay::NetworkConfig config;
    Underlay underlay;
    Net4 subnet;  ///< ours, host bits cleared
    Mac mac;
  };

  Dataplane(kernel::Kernel& kernel, Files& files, Log& log, const Settings& settings,
            overlay::PeerTable& peers)
      : kernel_(kernel), files_(files), log_(log), settings_(settings), peers_(peers) {}

  void set_target(const Target& target);
  const std::optional<Target>& target() const { return target_; }
  /// Everything but the peers' entries is to be looked at again.
  void doubt() { doubted_ = true; }
  /// Like doubt(), and what the kernel refused is to be tried again.
  void retry();
  /// The one step: looks, compares, writes what differs. On failure (logged) what was not done stays to be
  /// done: try again later.
  Result<void> converge();
  /// The device, the rules and subnet.env are there, and the peers were handed to the kernel once.
  bool complete() const { return complete_; }

 private:
  Result<void> converge_device();
  Result<void> converge_rules();
  Result<void> converge_subnet_env();
  Result<void> converge_entries();
  Result<void> audit();
  Result<void> apply_queued();
  void check_forwarding();
  void inspect_firewall(const overlay::RuleSpec& spec);

  kernel::Kernel& kernel_;
  Files& files_;
  Log& log_;
  const Settings& settings_;
  overlay::PeerTable& peers_;
  std::optional<Target> target_;
  int device_index_ = 0;
  bool doubted_ = true;
  bool complete_ = false;
  bool inspected_ = false;
  std::uint32_t mtu_ = 0;         ///< of the device
  std::optional<Error> undone_;   ///< rules or subnet.env: to be tried again
  std::optional<Error> refused_;  ///< entries that the kernel did not take: to be tried again
  Said rules_said_;
  Said file_said_;
};

}  // namespace flannelette::agent
