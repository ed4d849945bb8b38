// SPDX-License-Identifier: Apache-2.0
// The entries of peers in the kernel.
#pragma once

#include <optional>

#include "agent/repairs.hpp"
#include "flannelette/base/clock.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/base/say_once.hpp"
#include "flannelette/kernel/ports.hpp"
#include "flannelette/overlay/entry_plan.hpp"

namespace flannelette::agent {

/// Keeps the entries of every peer equal to the entry plan: an audit where the kernel's state is not known,
/// else the changes alone, and what other programs did to an entry is repaired alone. Converging twice in a
/// row writes once.
class EntrySync final : kernel::RefusalListener {
 public:
  /// From audit to audit, while other programs go on changing entries or routes.
  static constexpr Millis kAuditsEvery = 1'000;

  EntrySync(const kernel::Ports& kernel, Files& files, Log& log, Repairs& repairs, overlay::LeaseTable& peers)
      : links_(kernel.links),
        port_(kernel.entries),
        notifications_(kernel.notifications),
        files_(files),
        log_(log),
        repairs_(repairs),
        plan_(peers) {}

  /// The next convergence audits, and asks again who is on link.
  void invalidate() { plan_.invalidate(); }
  overlay::EntryPlan& plan() { return plan_; }
  const overlay::EntryPlan& plan() const { return plan_; }
  /// Other programs changed entries. True if the next convergence has something to repair.
  bool on_changed(const kernel::Ring& ring, Millis now);
  /// The next convergence in `delay` or later audits, but not too soon after the last audit.
  /// `damages`: what it repairs is another program's doing; else routes have changed, and peers with them.
  void schedule_audit(Millis now, Millis delay, bool damages = true);
  /// When that convergence is due.
  std::optional<Millis> audit_due() const { return due_; }
  /// `direct`: peers may be routed directly. What is not done on failure stays to be done; what the kernel
  /// refused is no failure.
  Result<void> converge(const kernel::Site& site, bool direct, Millis now);
  /// The error of what the kernel refused, which counts as done until retry_refused().
  Result<void> refused();
  void retry_refused();
  bool has_refused() const { return refused_.has_value(); }
  /// Other programs changed entries, and they are not repaired yet.
  bool damaged() const { return due_ && damages_; }
  /// Since the start.
  struct Counts {
    std::uint32_t batches = 0;
    std::uint32_t changes = 0;
    std::uint32_t refusals = 0;
    std::uint32_t audits = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  bool on_refused(const overlay::Change& change, const Error& error) override;
  bool is_direct(Ip4 public_ip, bool was) const;
  /// Its changes are repairs if other programs made it necessary.
  Result<void> audit(bool repairs);
  Result<void> finish(kernel::EntryBatch& batch);
  bool repair(const kernel::Touched& touched, Millis now);
  void report(const char* text, const kernel::Touched& touched);

  kernel::Links& links_;
  kernel::EntryPort& port_;
  kernel::Notifications& notifications_;
  Files& files_;
  Log& log_;
  Repairs& repairs_;
  overlay::EntryPlan plan_;
  kernel::Site site_;
  kernel::Site followed_;
  Millis audited_ = -kAuditsEvery;
  std::optional<Millis> due_;    ///< the next audit that other programs made necessary
  bool damages_ = false;         ///< that one counts repairs
  Millis lost_ = -kAuditsEvery;  ///< when entries were last lost with the device
  Counts counts_;
  std::optional<Error> refused_;
  SayOnce<> refused_reported_;
};

}  // namespace flannelette::agent
