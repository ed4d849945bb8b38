// SPDX-License-Identifier: Apache-2.0
// The data plane of this node.
#pragma once

#include <optional>

#include "agent/device_sync.hpp"
#include "agent/entry_sync.hpp"
#include "agent/retry.hpp"
#include "agent/target.hpp"
#include "agent/traffic_rules.hpp"
#include "flannelette/agent/settings.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/base/say_once.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/kernel/ports.hpp"
#include "flannelette/overlay/backend.hpp"
#include "flannelette/overlay/state.hpp"
#include "flannelette/overlay/subnet_env.hpp"
#include "flannelette/status/status.hpp"

namespace flannelette::agent {

/// Keeps this machine equal to a target: the device, its address, the traffic rules, subnet.env, and the
/// entries of every peer. Knows the kernel, not the registry. Every step compares first: converging twice in
/// a row writes once. What fails is reported once and retried with back-off.
class Dataplane final {
 public:
  class Listener {
   public:
    /// After each convergence, done or failed.
    virtual void on_converged() = 0;
    /// The periodic audit begins: the underlay is to be checked, too.
    virtual void on_audit() = 0;

   protected:
    ~Listener() = default;
  };

  /// The kernel's entries are compared with the entry plan at least this often.
  static constexpr Millis kAuditEvery = 5 * 60'000;
  /// From a change of links or addresses to the comparison of our device; and from one to the next, while
  /// they go on changing.
  static constexpr Millis kLinksDelay = 20;
  static constexpr Millis kLinksEvery = 40;
  /// The longest pause between two attempts while another device or socket has what ours needs: nothing rings
  /// when it goes.
  static constexpr Millis kTakenEvery = 5'000;
  /// From a change of routes to the next audit; and from audit to audit, while they go on changing.
  static constexpr Millis kRoutesDelay = 100;
  /// From what another program does to an entry, to our rules or to a sysctl to the comparison.
  static constexpr Millis kRepairDelay = 20;
  /// From one comparison of our rules to the next, while nf_tables go on changing.
  static constexpr Millis kOwnRulesEvery = 100;
  /// From a change of nf_tables to the inspection of other programs' rules.
  static constexpr Millis kRulesDelay = 100;
  /// Rules that other programs keep rewriting are inspected ever more rarely, until this often.
  static constexpr Millis kRulesEvery = 10'000;

  /// `before`: what this node was before the restart, as far as it is known when there is a target.
  Dataplane(io::Loop& loop, const kernel::Ports& kernel, Files& files, Log& log, const Settings& settings,
            overlay::LeaseTable& peers, const std::optional<overlay::NodeState>& before, Listener& listener);

  /// Something may be there of what this node was before the restart; it goes once the target is reached.
  bool has_former() const { return former_ != nullptr; }
  /// Without a target nothing is done.
  void set_target(const Target& target);
  const std::optional<Target>& target() const { return target_; }
  /// Everything but the peers' entries is to be compared again.
  void mark_dirty();
  /// Everything is compared now, and the listener hears of it.
  void audit_now() { on_audit(); }
  /// Converges after the current events: peers have changed.
  void schedule_converge() { converge_.arm_at_latest_in(0); }
  /// Links or addresses may have changed, those of our device too.
  void on_links_changed();
  /// Routes may have changed: who is on link is asked again where routes lead through the underlay.
  void on_routes_changed();
  /// Other programs changed entries of peers.
  void on_entries_changed(const kernel::Ring& ring);
  /// IPv4 settings of the machine may have changed.
  void on_sysctls_changed();
  /// Another program changed nf_tables.
  void on_rules_changed(const kernel::Ring& ring);
  /// As long as there is no target: removes those routes from before the restart that lead a protected
  /// address into the overlay, since they make the registry unreachable.
  void remove_shadowing_routes(const overlay::ProtectedAddresses& addresses,
                               const overlay::NetworkConfig& config);
  void stop();
  /// The device, the rules and subnet.env are there, and the peers were handed to the kernel once.
  bool complete() const { return complete_; }
  void report(status::Status& to) const;
  const overlay::EntryPlan& plan() const { return entries_.plan(); }

 private:
  void on_converge();
  void on_retry();
  void on_audit();
  void on_own_rules_timer();
  void on_rules_timer();
  void inspect_rules();
  void arm_audit();
  /// What is not done on failure stays to be done.
  Result<void> converge();
  const overlay::Backend& backend() const { return backend_of(target_->config); }
  Result<void> converge_subnet_env();
  Result<void> converge_entries();

  io::Loop& loop_;
  const kernel::Ports kernel_;
  Files& files_;
  Log& log_;
  const Settings& settings_;
  overlay::LeaseTable& peers_;
  Repairs repairs_;
  EntrySync entries_;
  Listener& listener_;
  DeviceSync device_;
  TrafficRules traffic_rules_;
  io::Timer converge_;
  io::Timer retry_;
  io::Timer audit_;
  io::Timer own_rules_timer_;
  io::Timer rules_timer_;
  Backoff backoff_{kRetryFirst, kRetryMax};
  Backoff rules_backoff_{kRetryFirst, kRulesEvery};
  Millis links_read_ = -kLinksEvery;  ///< when our device was last compared
  Millis rules_compared_ = 0;         ///< ours
  Millis rules_inspected_ = 0;
  Millis rules_pause_ = 0;  ///< from that inspection to the next, at least

  std::optional<Target> target_;
  const std::optional<overlay::NodeState>& before_;
  const overlay::NodeState* former_ = nullptr;
  bool dirty_ = true;
  bool rules_dirty_ = true;
  bool complete_ = false;
  Result<void> done_;   ///< of the last convergence
  Result<void> file_;   ///< of subnet.env
  Result<void> rules_;  ///< of the traffic rules
  SayOnce<> failure_reported_;
  SayOnce<> file_reported_;
};

}  // namespace flannelette::agent
