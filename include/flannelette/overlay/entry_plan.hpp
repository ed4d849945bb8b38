// SPDX-License-Identifier: Apache-2.0
// What each peer of a lease table is in the kernel, and what must change there.
#pragma once

#include <cstddef>

#include "flannelette/base/function_ref.hpp"
#include "flannelette/overlay/entry.hpp"
#include "flannelette/overlay/lease_table.hpp"
#include "flannelette/overlay/peer_status.hpp"

namespace flannelette::overlay {

/// Pure. plan() gives the changes since the last commit(); an audit compares a dump of the kernel's tables
/// entry by entry and then gives what is missing. There is no second copy of the desired or the actual state:
/// a few bits of each record of the table say what is there.
///
///   stale --begin_audit--> auditing --finish_audit--> audited --commit--> in sync --plan--> planned
///   --commit--+
///     ^                      | abort_audit               | commit of an incomplete one         ^ |
///     +----------------------+---------------------------+ +--------------+
///   From anywhere invalidate() leads back to stale.
class EntryPlan {
 public:
  /// So many entries that are wanted no more are remembered (20 bytes each). An audit that finds more is
  /// incomplete: another one must follow.
  static constexpr std::size_t kMaxStale = 4'000;

  /// One plan a table, which outlives it.
  explicit EntryPlan(LeaseTable& table);
  ~EntryPlan();
  EntryPlan(const EntryPlan&) = delete;
  EntryPlan& operator=(const EntryPlan&) = delete;

  /// Whether peers have entries of the kind kSender; it is so until another call says otherwise, at first
  /// not.
  void filter_senders(bool filter);
  /// Asks `direct` of each peer that it was not asked of whether its PublicIP is reached without a gateway;
  /// `was` is the answer before. All are asked again after invalidate(). Not during an audit.
  void ask_direct(FunctionRef<bool(Ip4 public_ip, bool was)> direct);
  /// The kernel refused this entry of a peer. True where that is news: it took it the time before, or it was
  /// not asked yet.
  bool refused(const Entry& entry);

  /// Hands every change since the last commit to `sink` in an order that never cuts a live peer: senders,
  /// neighbours and FDB, then routes, then deletions of routes, then of the others. A key that a peer still
  /// needs is never deleted. Emits nothing where an audit is needed or under way, and while our subnet is
  /// unknown. A call without need emits nothing and is cheap.
  void plan(ChangeSink& sink);
  /// All changes of the last plan() or finish_audit() are in the kernel.
  void commit();
  /// They are not, or not all: an audit is needed. plan() emits nothing until one was finished and committed.
  void invalidate();
  bool needs_audit() const;

  /// The record of this index, from 0, in subnet order; false: there are not so many.
  bool peer(std::size_t index, PeerStatus& peer) const;
  PeerTotals totals() const;
  /// So many records peer() compared so far with one that lost a conflict: what showing them costs.
  std::uint64_t compared() const;

  /// The kernel tells of one entry that somebody else changed, so that it is there now (`present`) or gone.
  /// True if that is as wanted, or if it cannot be told, since an audit is due.
  bool notice(const Entry& entry, bool present);
  /// It is not as wanted: plan() will put or remove this entry alone.
  void repair(const Entry& entry, bool present);

  /// An audit: begin_audit(), every entry of complete dumps through audit_entry(), then finish_audit().
  /// Entries that are, or may be, ours only. A dump that was interrupted: abort_audit(), nothing follows from
  /// it. finish_audit emits what is missing or different, then the deletions, in plan()'s order. Left alone:
  /// neighbours and FDB entries that are not permanent and in nobody's place (the kernel's own). Where it
  /// found more than kMaxStale, or the table changed meanwhile, another audit is needed after commit().
  /// Without our subnet it emits nothing, and the audit does not count.
  void begin_audit();
  void audit_entry(const Entry& have);  ///< nexthop objects after all routes
  void finish_audit(ChangeSink& sink);
  void abort_audit();

 private:
  struct Impl;  // src/overlay/entry_plan_impl.hpp
  Impl* impl_;
};

}  // namespace flannelette::overlay
