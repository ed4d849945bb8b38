// SPDX-License-Identifier: Apache-2.0
// The kernel's tables against the leases: each entry of a dump is audited once, what was not seen is missing.
#include "entry_plan_impl.hpp"

namespace flannelette::overlay {

void EntryPlan::begin_audit() {
  Impl& p = *impl_;
  p.enter_stale();
  p.table.resolve_conflicts();
  for (PeerRecord& record : p.table.records) record.clear_seen();
  p.covered = p.table.changes;
  p.incomplete = false;
  p.phase = Impl::Phase::kAuditing;
}

void EntryPlan::audit_entry(const Neighbour& have) {
  Impl& p = *impl_;
  if (p.phase != Impl::Phase::kAuditing) return;
  p.table.resolve_conflicts();
  if (PeerRecord* winner = p.table.winner_at(have.ip)) {
    if (have.permanent && have.mac == winner->mac) winner->seen_neighbour = 1;
  } else if (have.permanent) {
    p.audit_unwanted({.ip = have.ip.value, .kind = Unwanted::kNeighbour, .from_audit = 1});
  }
}

void EntryPlan::audit_entry(const Fdb& have) {
  Impl& p = *impl_;
  if (p.phase != Impl::Phase::kAuditing) return;
  p.table.resolve_conflicts();
  PeerRecord* winner = p.winner_with(have.mac);
  if (winner != nullptr && have.remote.value == winner->public_ip) {
    winner->fdb_present = 1;
    if (have.permanent) winner->seen_fdb = 1;
  } else if (winner != nullptr || have.permanent) {
    p.audit_unwanted({.ip = have.remote.value, .mac = have.mac, .kind = Unwanted::kFdb, .from_audit = 1});
  }
}

void EntryPlan::audit_entry(const Route& have) {
  Impl& p = *impl_;
  if (p.phase != Impl::Phase::kAuditing) return;
  p.table.resolve_conflicts();
  PeerRecord* winner = have.metric == 0 ? p.winner_of(have.destination) : nullptr;
  if (winner != nullptr) {
    if (have.gateway.value == winner->base && have.onlink) winner->seen_route = 1;
    return;
  }
  p.audit_unwanted({.ip = have.destination.base.value,
                    .metric = have.metric,
                    .length = have.destination.length,
                    .kind = Unwanted::kRoute,
                    .from_audit = 1});
}

void EntryPlan::audit_entry(const NextHop& have) {
  Impl& p = *impl_;
  if (p.phase != Impl::Phase::kAuditing) return;
  p.table.resolve_conflicts();
  if (PeerRecord* winner = p.table.winner_at(have.base)) {
    if (!have.right) winner->seen_route = 0;  // whatever the route says, it leads elsewhere
  } else {
    p.audit_unwanted({.ip = have.base.value, .kind = Unwanted::kNeighbour, .from_audit = 1});
  }
}

void EntryPlan::finish_audit(ChangeSink& sink) {
  Impl& p = *impl_;
  LeaseTable::Impl& t = p.table;
  if (p.phase != Impl::Phase::kAuditing) return;
  if (!t.local.subnet) return abort_audit();
  t.resolve_conflicts();
  for (PeerRecord& record : t.records) {
    if (record.winner()) continue;
    if (record.seen_any()) p.retire(record, false);  // it stopped being a winner during the audit
    record.programmed = record.planned = 0;
  }
  for (PeerRecord& record : t.records) {
    if (!record.winner()) continue;
    record.programmed = record.seen_all();
    record.planned = !record.programmed;
    if (!record.seen_neighbour) sink.change(record.neighbour());
    if (!record.seen_fdb) sink.change(record.fdb());
  }
  for (const PeerRecord& record : t.records) {
    if (record.winner() && !record.seen_route) sink.change(record.route());
  }
  p.emit_deletions(sink);
  for (PeerRecord& record : t.records) record.clear_seen();
  // After a change under way the deletions emitted are right, but what was audited before it may hide one
  // more.
  p.incomplete |= p.covered != t.changes;
  p.covered = t.changes;
  p.phase = Impl::Phase::kAudited;
}

void EntryPlan::abort_audit() {
  if (impl_->phase == Impl::Phase::kAuditing) impl_->enter_stale();
}

// -- inside --

void EntryPlan::Impl::audit_unwanted(const Unwanted& entry) { incomplete |= !push_unwanted(entry); }

void EntryPlan::Impl::order_by_mac() {
  PlainArray<std::uint32_t> order;
  for (std::size_t i = 0; i < table.records.size(); ++i) {
    if (table.records[i].winner()) order.append(static_cast<std::uint32_t>(i));
  }
  sort(order, [this](auto i, auto j) { return table.before_by_mac(i, j); });
  mac_order_size = order.size();
  for (std::size_t i = 0; i < order.size(); ++i) table.records[i].scratch = order[i];
  mac_order_for = table.changes;
}

PeerRecord* EntryPlan::Impl::winner_with(const Mac& mac) {
  if (mac_order_for != table.changes) order_by_mac();
  std::size_t first = 0;
  for (std::size_t last = mac_order_size; first < last;) {
    const std::size_t middle = (first + last) / 2;
    PeerRecord& record = table.records[table.records[middle].scratch];
    if (record.mac == mac) return &record;
    if (record.mac < mac) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  return nullptr;
}

}  // namespace flannelette::overlay
