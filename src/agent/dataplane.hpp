// SPDX-License-Identifier: Apache-2.0
// The data plane of this node.
#pragma once

#include <optional>

#include "agent/traffic_rules.hpp"
#include "agent/underlay.hpp"
#include "flannelette/agent/settings.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/kernel/kernel.hpp"
#include "flannelette/overlay/entry_plan.hpp"
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
    overlay::ProtectedAddresses protected_addresses;
  };

  Dataplane(kernel::Kernel& kernel, Files& files, Log& log, const Settings& settings,
            overlay::LeaseTable& peers)
      : kernel_(kernel),
        files_(files),
        log_(log),
        settings_(settings),
        peers_(peers),
        plan_(peers),
        traffic_rules_(kernel, log, settings) {}

  void set_target(const Target& target);
  const std::optional<Target>& target() const { return target_; }
  /// As long as there is no target: takes out those routes of an earlier run that lead a protected address
  /// into the overlay, since behind it the registry is out of reach.
  void free_the_way(const overlay::ProtectedAddresses& addresses, const overlay::NetworkConfig& config);
  /// Everything but the peers' entries is to be looked at again.
  void doubt() { doubted_ = true; }
  /// The traffic rules, ours and those of others, are to be looked at again; with who changed nf_tables.
  void look_at_rules();
  void rules_changed_by(const kernel::Ring& ring) { traffic_rules_.changed_by(ring); }
  /// The peers' entries are to be audited.
  void audit_entries() { plan_.invalidate(); }
  /// Like doubt(), and what the kernel refused is to be tried again.
  void retry();
  /// The one step: looks, compares, writes what differs. On failure (logged) what was not done stays to be
  /// done: try again later.
  Result<void> converge(Millis now);
  /// The device, the rules and subnet.env are there, and the peers were handed to the kernel once.
  bool complete() const { return complete_; }

 private:
  Result<void> converge_device();
  Result<void> converge_subnet_env();
  Result<void> converge_entries();
  Result<void> audit();
  Result<void> apply_queued();
  void disable_accept_ra(const kernel::InterfaceName& name);

  kernel::Kernel& kernel_;
  Files& files_;
  Log& log_;
  const Settings& settings_;
  overlay::LeaseTable& peers_;
  overlay::EntryPlan plan_;
  std::optional<Target> target_;
  int device_index_ = 0;
  std::uint32_t times_down_ = 0;  ///< of the kernel, when the entries were last known to be there
  bool doubted_ = true;
  bool complete_ = false;
  bool rules_dirty_ = true;
  std::uint32_t mtu_ = 0;         ///< of the device
  Result<void> file_;             ///< of subnet.env; a failure is tried again
  Result<void> rules_;            ///< likewise
  std::optional<Error> refused_;  ///< entries that the kernel did not take: to be tried again
  TrafficRules traffic_rules_;
  SayOnce<> device_said_;
  SayOnce<> sysctl_said_;
  SayOnce<> file_said_;
  SayOnce<> refused_said_;
};

}  // namespace flannelette::agent
