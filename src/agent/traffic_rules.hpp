// SPDX-License-Identifier: Apache-2.0
// The traffic rules of this node.
#pragma once

#include <array>
#include <optional>

#include "flannelette/agent/settings.hpp"
#include "flannelette/base/clock.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/base/say_once.hpp"
#include "flannelette/kernel/kernel.hpp"
#include "flannelette/overlay/config.hpp"

namespace flannelette::agent {

/// Logged of each sysctl that cannot be written (a read-only /proc/sys, no right to it), with path, value and
/// consequence.
inline constexpr const char* kSysctlRefused = "a sysctl cannot be set; going on without it";

/// Findings that were reported: each once, and again when it was gone and has come back, but not before
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
  /// What was not added since begin() is gone, if the look was `complete`.
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

/// This node's traffic rules and ip_forward, kept as they should be, and what of other programs stands in the
/// way of the overlay's packets: reported, never touched.
class TrafficRules {
 public:
  TrafficRules(kernel::Kernel& kernel, Log& log, const Settings& settings)
      : kernel_(kernel), log_(log), settings_(settings) {}

  /// Who changed nf_tables before the next look.
  void changed_by(const kernel::Ring& ring) { last_change_ = ring; }
  /// The next convergence looks at other programs' rules and at ip_forward, too.
  void inspect_next() { inspect_ = true; }
  Result<void> converge(const overlay::NetworkConfig& config, Net4 subnet, Millis now);

 private:
  void check_forwarding();
  void inspect_firewall(const overlay::RuleSpec& spec, Millis now);

  kernel::Kernel& kernel_;
  Log& log_;
  const Settings& settings_;
  bool inspect_ = true;
  kernel::Ring last_change_;
  std::optional<overlay::RuleSpec> installed_;
  std::optional<Millis> restored_;  ///< when it was last reported that they had been taken away
  bool forwarding_reported_ = false;
  SayOnce<> rules_said_;
  SayOnce<> forward_said_;
  ReportedFindings findings_;
};

}  // namespace flannelette::agent
