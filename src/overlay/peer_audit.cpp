// SPDX-License-Identifier: Apache-2.0
// The kernel's tables against the table: each entry of a dump is judged once, what was not seen is missing.
#include "peer_table_impl.hpp"

namespace flannelette::overlay {
void PeerTable::begin_audit() {
  Impl& t = *impl_;
  t.settle();
  if (t.in_audit) t.forget_audit();
  if (!t.audited) t.unwanted.truncate(t.unwanted_emitted = 0);
  for (PeerRecord& record : t.records) record.clear_seen();
  t.unwanted_before_audit = t.unwanted.size();
  t.dirty_before_audit = t.dirty;
  t.dirty = false;
  t.in_audit = true;
  t.audit_finished = false;
  t.incomplete = false;
}

void PeerTable::judge(const Neighbour& have) {
  Impl& t = *impl_;
  if (!t.in_audit) return;
  t.settle();
  if (PeerRecord* winner = t.winner_at(have.ip)) {
    if (have.permanent && have.mac == winner->mac) winner->seen_neighbour = 1;
  } else if (have.permanent) {
    t.incomplete |= !t.push_unwanted({.ip = have.ip.value, .kind = Unwanted::kNeighbour, .from_audit = 1});
  }
}

void PeerTable::judge(const Fdb& have) {
  Impl& t = *impl_;
  if (!t.in_audit) return;
  t.settle();
  PeerRecord* winner = t.winner_with(have.mac);
  if (winner != nullptr && have.remote.value == winner->public_ip) {
    winner->fdb_present = 1;
    if (have.permanent) winner->seen_fdb = 1;
  } else if (winner != nullptr || have.permanent) {
    t.incomplete |=
        !t.push_unwanted({.ip = have.remote.value, .mac = have.mac, .kind = Unwanted::kFdb, .from_audit = 1});
  }
}

void PeerTable::judge(const Route& have) {
  Impl& t = *impl_;
  if (!t.in_audit) return;
  t.settle();
  PeerRecord* winner = have.metric == 0 ? t.winner_of(have.destination) : nullptr;
  if (winner != nullptr) {
    if (have.gateway.value == winner->base && have.onlink) winner->seen_route = 1;
    return;
  }
  t.incomplete |= !t.push_unwanted({.ip = have.destination.base.value,
                                    .metric = have.metric,
                                    .length = have.destination.length,
                                    .kind = Unwanted::kRoute,
                                    .from_audit = 1});
}

void PeerTable::judge(const NextHop& have) {
  Impl& t = *impl_;
  if (!t.in_audit) return;
  t.settle();
  if (PeerRecord* winner = t.winner_at(have.base)) {
    if (!have.right) winner->seen_route = 0;  // whatever the route says, it leads elsewhere
  } else {
    t.incomplete |= !t.push_unwanted({.ip = have.base.value, .kind = Unwanted::kNeighbour, .from_audit = 1});
  }
}

void PeerTable::finish_audit(ChangeSink& sink) {
  Impl& t = *impl_;
  if (!t.in_audit) return;
  if (!t.local.subnet) return abort_audit();
  t.settle();
  // What was retired before the dump was in it, or is not there.
  t.unwanted.erase(0, t.unwanted_before_audit);
  for (PeerRecord& record : t.records) {
    if (record.winner()) continue;
    if (record.seen_any()) t.retire(record);  // it stopped being a winner during the audit
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
  t.emit_deletions(sink);
  for (PeerRecord& record : t.records) record.clear_seen();
  t.in_audit = false;
  // After a change under way the deletions emitted are right, but what was judged before it may hide one
  // more.
  t.more_stale = t.incomplete || t.dirty;
  t.dirty = false;
  t.audit_finished = t.uncommitted = true;
}

void PeerTable::abort_audit() {
  Impl& t = *impl_;
  if (!t.in_audit) return;
  t.forget_audit();
  t.in_audit = false;
}

bool PeerTable::more_stale() const { return impl_->more_stale; }

// -- inside --

void PeerTable::Impl::forget_audit() {
  for (PeerRecord& record : records) record.clear_seen();
  std::size_t kept = 0;
  for (const Unwanted& u : unwanted) {
    if (!u.from_audit) unwanted[kept++] = u;
  }
  unwanted.truncate(kept);
  unwanted.shrink(kKeptUnwanted);
  dirty |= dirty_before_audit;
  incomplete = false;
}

void PeerTable::Impl::order_by_mac() {
  PlainArray<std::uint32_t> order;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].winner()) order.append(static_cast<std::uint32_t>(i));
  }
  sort(order, [this](auto i, auto j) { return before_by_mac(i, j); });
  mac_order_size = order.size();
  for (std::size_t i = 0; i < order.size(); ++i) records[i].scratch = order[i];
  mac_ordered = true;
}

PeerRecord* PeerTable::Impl::winner_with(const Mac& mac) {
  if (!mac_ordered) order_by_mac();
  std::size_t first = 0;
  for (std::size_t last = mac_order_size; first < last;) {
    const std::size_t middle = (first + last) / 2;
    PeerRecord& record = records[records[middle].scratch];
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
