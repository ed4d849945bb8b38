// SPDX-License-Identifier: Apache-2.0
// The traffic rules of this node.
#pragma once

#include <array>
#include <optional>

#include "agent/repairs.hpp"
#include "flannelette/agent/settings.hpp"
#include "flannelette/base/clock.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/base/say_once.hpp"
#include "flannelette/kernel/ports.hpp"
#include "flannelette/overlay/config.hpp"
#include "flannelette/overlay/entry_plan.hpp"

namespace flannelette::agent {

/// Logged of each sysctl that cannot be written (a read-only /proc/sys, no right to it), with path, value and
/// consequence.
inline constexpr const char* kSysctlRefused = "a sysctl cannot be set; going on without it";

/// The UDP port at which only VXLAN from peers is accepted; 0: there is none.
inline std::uint16_t vxlan_filter(const Settings& settings, const overlay::NetworkConfig& config) {
  return settings.vxlan_peers_only ? config.port : std::uint16_t{0};  // a backend without a device has none
}

/// The rules that these settings ask for; `subnet` is left to be filled in.
inline overlay::RuleSpec rules_of(const Settings& settings, const overlay::NetworkConfig& config) {
  overlay::RuleSpec spec;
  spec.masquerade = settings.ip_masq;
  spec.fully_random = settings.masq_fully_random;
  spec.forward = settings.ip_masq && settings.forward_rules;
  spec.clamp_mss = settings.clamp_mss;
  spec.peers_only = vxlan_filter(settings, config);
  spec.vni = config.vni;
  spec.network = config.network;
  return spec;
}

/// Findings that were reported: each once, and again when it had gone and has come back, but not before
/// kRepeatAfter.
class ReportedFindings {
 public:
  static constexpr std::size_t kMax = 16;  ///< while so many are there, further ones are not reported
  static constexpr Millis kRepeatAfter = 10 * 60'000;

  void begin() {
    for (Entry& entry : entries_) entry.seen = false;
  }
  /// True if it is to be reported.
  bool add(std::uint64_t digest, Millis now);
  /// What was not added since begin() is gone, if the inspection was `complete`.
  void end(bool complete) {
    for (Entry& entry : entries_) entry.present = entry.seen || (entry.present && !complete);
  }

 private:
  struct Entry {
    std::uint64_t digest = 0;  ///< 0: unused
    Millis reported = 0;
    bool present = false;
    bool seen = false;
  };
  std::array<Entry, kMax> entries_{};
};

/// Installs and restores this node's traffic rules and ip_forward; with them goes the set of senders, so that
/// the entry plan is invalidated. Rules of other programs that stop the
/// overlay's packets are reported, never touched.
class TrafficRules {
 public:
  TrafficRules(kernel::RulesPort& rules, kernel::SysctlPort& sysctl, Log& log, const Settings& settings,
               Repairs& repairs, overlay::EntryPlan& plan)
      : port_(rules), sysctl_(sysctl), log_(log), settings_(settings), repairs_(repairs), plan_(plan) {}

  /// Another program changed nf_tables; reported with what the next convergence and inspection find.
  void changed_by(const kernel::Ring& ring);
  /// The next convergence inspects other programs' rules and ip_forward, too.
  void inspect_next() { inspect_ = check_forwarding_ = true; }
  /// It checks ip_forward, too.
  void check_forwarding_next() { check_forwarding_ = true; }
  /// Our rules were restored too often of late.
  bool exhausted(Millis now) const;
  bool any() const { return installed_ && !installed_->empty(); }
  Result<void> converge(const overlay::NetworkConfig& config, Net4 subnet, Millis now);

 private:
  void on_restored(std::string_view table, Millis now);
  void check_forwarding();
  void inspect_firewall(const overlay::RuleSpec& spec, Millis now);

  kernel::RulesPort& port_;
  kernel::SysctlPort& sysctl_;
  Log& log_;
  const Settings& settings_;
  Repairs& repairs_;
  overlay::EntryPlan& plan_;
  bool inspect_ = true;
  bool check_forwarding_ = true;
  std::optional<Millis> restored_;  ///< when it was last reported that they had been taken away
  Text<32> last_change_by_;         ///< "iptables[4711]"; empty: not known
  std::optional<overlay::RuleSpec> installed_;
  bool forwarding_reported_ = false;
  SayOnce<> rules_reported_;
  SayOnce<> forward_reported_;
  ReportedFindings findings_;
};

}  // namespace flannelette::agent
