// SPDX-License-Identifier: Apache-2.0
// The kernel's tables against the leases: each entry of a dump is audited once, what was not seen is missing.
#include "entry_plan_impl.hpp"

namespace flannelette::overlay {
namespace {

std::uint64_t key_of(const PeerRecord& record, Entry::Kind kind) {
  return kind == Entry::Kind::kFdb ? number_of(record.mac) : record.public_ip;
}

}  // namespace

void EntryPlan::begin_audit() {
  Impl& p = *impl_;
  p.enter_stale();
  p.table.resolve_conflicts();
  for (PeerRecord& record : p.table.records) record.clear_seen();
  p.covered = p.table.changes;
  p.incomplete = false;
  p.senders_complete = !p.senders;
  p.phase = Impl::Phase::kAuditing;
}

void EntryPlan::audit_entry(const Entry& have) {
  Impl& p = *impl_;
  if (p.phase != Impl::Phase::kAuditing) return;
  if (have.completes_senders()) {
    p.senders_complete = true;
    return;
  }
  p.table.resolve_conflicts();
  const auto [winner, want, alike] = p.compare(have);
  if (!want) {
    // What is not permanent the kernel has learned itself; all else there is ours.
    if (have.permanent) p.incomplete |= !p.push_unwanted(have);
  } else if (have.kind == Entry::Kind::kNexthop) {
    // Whatever the route says, it leads elsewhere.
    if (!alike) winner->set_unseen(Entry::Kind::kRoute);
  } else {
    // What differs is replaced by what is put. Of several routes the first one leads.
    const bool route = have.kind == Entry::Kind::kRoute;
    if (alike && have.permanent && !(route && winner->routed)) winner->set_seen(have.kind);
    if (route) winner->routed = 1;
  }
}

void EntryPlan::finish_audit(ChangeSink& sink) {
  Impl& p = *impl_;
  LeaseTable::Impl& t = p.table;
  if (p.phase != Impl::Phase::kAuditing) return;
  if (!t.local.subnet) return abort_audit();
  t.resolve_conflicts();
  for (PeerRecord& record : t.records) {
    // It stopped being a winner during the audit.
    if (!record.winner() && record.seen != 0) p.retire(record, false);
    record.programmed = record.planned = 0;
  }
  p.emit(sink, 0, t.records.size());
  for (PeerRecord& record : t.records) {
    if (record.programmed) record.refused = 0;
    record.clear_seen();
  }
  // After a change under way the deletions emitted are right, but what was audited before it may hide one
  // more.
  p.incomplete |= p.covered != t.changes;
  p.covered = t.changes;
  p.phase = Impl::Phase::kAudited;
}

void EntryPlan::abort_audit() {
  if (impl_->phase == Impl::Phase::kAuditing) impl_->enter_stale();
}

bool EntryPlan::notice(const Entry& entry, bool present) {
  Impl& p = *impl_;
  if (p.phase != Impl::Phase::kInSync || !p.table.local.subnet) return true;
  if (entry.completes_senders()) return present;
  p.table.resolve_conflicts();
  const auto [winner, want, alike] = p.compare(entry);
  const Entry::Kind made_by = entry.kind == Entry::Kind::kNexthop ? Entry::Kind::kRoute : entry.kind;
  if (want && !winner->programmed && !winner->has_seen(made_by) && !(present && alike))
    return true;  // it is to be put already
  // Of what is gone not all is known.
  if (!present) return !want || !(alike || entry.via == Ip4{});
  const bool right = alike && entry.permanent;
  if (right && !winner->programmed) winner->set_seen(entry.kind);  // whoever repaired it
  return right || (!want && !entry.permanent);
}

void EntryPlan::repair(const Entry& entry, bool present) {
  Impl& p = *impl_;
  const auto [winner, want, alike] = p.compare(entry);
  if (entry.completes_senders()) p.senders_complete = false;
  if (want) {
    if (winner->programmed) winner->seen = kAllKinds;
    winner->programmed = 0;
    // A nexthop object is made with its route.
    winner->set_unseen(entry.kind == Entry::Kind::kNexthop ? Entry::Kind::kRoute : entry.kind);
  }
  if (present && !want && !p.push_unwanted(entry)) p.enter_stale();
  p.covered = p.table.changes - 1;  // there is something to plan
}

// -- inside --

EntryPlan::Impl::Comparison EntryPlan::Impl::compare(const Entry& have) {
  PeerRecord* const winner = winner_in_place_of(have);
  const auto wanted = entry_of(winner, have.kind);
  const bool route = have.kind == Entry::Kind::kRoute;
  const bool want = wanted && (route || have.underlay == wanted->underlay);
  // A route on the underlay without a gateway leads through its object, which is audited after it.
  const bool same_via = want && (have.via == wanted->via || (route && have.underlay && have.via == Ip4{}));
  const bool alike = same_via && have.mac == wanted->mac && have.onlink == wanted->onlink &&
                     have.underlay == wanted->underlay;
  return {winner, want, alike};
}

PeerRecord* EntryPlan::Impl::winner_in_place_of(const Entry& have) {
  switch (have.kind) {
    case Entry::Kind::kRoute: return have.has_our_key() ? winner_of(have.net.v4()) : nullptr;
    case Entry::Kind::kNexthop:
    case Entry::Kind::kNeighbour: return table.winner_at(have.net.base.v4());
    case Entry::Kind::kFdb: return winner_with(number_of(have.mac), have.kind);
    case Entry::Kind::kSender: return winner_with(have.via.v4().value, have.kind);
  }
  return nullptr;
}

void EntryPlan::Impl::order_by_key(Entry::Kind kind) {
  PlainArray<std::uint32_t> order;
  for (std::size_t i = 0; i < table.records.size(); ++i) {
    if (table.records[i].winner()) order.append(static_cast<std::uint32_t>(i));
  }
  sort(order,
       [&](auto i, auto j) { return key_of(table.records[i], kind) < key_of(table.records[j], kind); });
  order_size = order.size();
  for (std::size_t i = 0; i < order.size(); ++i) table.records[i].scratch = order[i];
  order_for = table.changes;
  order_of = kind;
}

PeerRecord* EntryPlan::Impl::winner_with(std::uint64_t key, Entry::Kind kind) {
  if (phase != Phase::kAuditing && unwanted.size() <= kKeptUnwanted) {  // few: the order would cost more
    for (PeerRecord& record : table.records) {
      if (record.winner() && key_of(record, kind) == key) return &record;
    }
    return nullptr;
  }
  return ordered_winner(key, kind);
}

PeerRecord* EntryPlan::Impl::ordered_winner(std::uint64_t key, Entry::Kind kind) {
  if (order_for != table.changes || order_of != kind) order_by_key(kind);
  std::size_t first = 0;
  for (std::size_t last = order_size; first < last;) {
    const std::size_t middle = (first + last) / 2;
    PeerRecord& record = table.records[table.records[middle].scratch];
    const std::uint64_t found = key_of(record, kind);
    if (found == key) return &record;
    if (found < key) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  return nullptr;
}

}  // namespace flannelette::overlay
