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
  /// The one step: looks, compares, writes what differs. On failure (logged) what was not done stays to be
  /// done: try again later.
  Result<void> converge();
  /// The device, the rules and subnet.env are there, and the peers were handed to the kernel once.
  bool complete() const { return complete_; }

 private:
  Result<void> converge_device();
  Result<void> converge_rules();
  Result<void> converge_subnet_env(std::uint32_t mtu);
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
  std::optional<Error> rules_error_;  ///< the last one, logged
};

}  // namespace flannelette::agent
