// SPDX-License-Identifier: Apache-2.0
// The entries of peers in the kernel.
#pragma once

#include <optional>

#include "flannelette/base/clock.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/base/say_once.hpp"
#include "flannelette/kernel/ports.hpp"
#include "flannelette/overlay/entry_plan.hpp"

namespace flannelette::agent {

/// Keeps the entries of every peer equal to the entry plan: an audit where the kernel's state is not known,
/// else the changes alone. Converging twice in a row writes once.
class EntrySync final : kernel::RefusalListener {
 public:
  EntrySync(const kernel::Ports& kernel, Log& log, overlay::LeaseTable& peers)
      : links_(kernel.links),
        port_(kernel.entries),
        notifications_(kernel.notifications),
        log_(log),
        plan_(peers) {}

  /// The next convergence audits, and asks again who is on link.
  void invalidate() { plan_.invalidate(); }
  overlay::EntryPlan& plan() { return plan_; }
  /// `ask_routes`: whether a peer is routed directly depends on the routes to it. What is not done on failure
  /// stays to be done; what the kernel refused is no failure.
  Result<void> converge(const kernel::Site& site, bool ask_routes, Millis now);
  /// The error of what the kernel refused, which counts as done until retry_refused().
  Result<void> refused();
  void retry_refused();
  /// When the last audit began.
  Millis audited() const { return audited_; }

 private:
  bool on_refused(const overlay::Change& change, const Error& error) override;
  bool is_direct(Ip4 public_ip, bool was) const;
  Result<void> audit();
  Result<void> finish(kernel::EntryBatch& batch);

  kernel::Links& links_;
  kernel::EntryPort& port_;
  kernel::Notifications& notifications_;
  Log& log_;
  overlay::EntryPlan plan_;
  kernel::Site site_;
  Millis audited_ = -60'000;
  std::optional<Error> refused_;
  SayOnce<> refused_reported_;
};

}  // namespace flannelette::agent
