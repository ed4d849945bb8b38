// SPDX-License-Identifier: Apache-2.0
// From the settled table to changes, and which deletions may be made.
#include <algorithm>
#include <array>

#include "peer_table_impl.hpp"

namespace flannelette::overlay {
namespace {

/// The order of removal; what is alike follows one another.
bool removed_before(const Unwanted& a, const Unwanted& b) {
  if (a.kind != b.kind) return a.kind < b.kind;
  if (a.mac != b.mac) return a.mac < b.mac;
  if (a.ip != b.ip) return a.ip < b.ip;
  if (a.length != b.length) return a.length < b.length;
  if (a.metric != b.metric) return a.metric < b.metric;
  return a.from_audit < b.from_audit;
}

}  // namespace

void PeerTable::plan(ChangeSink& sink) {
  Impl& t = *impl_;
  if (!t.audited || t.in_audit || t.audit_finished || !t.local.subnet || (!t.dirty && !t.uncommitted)) return;
  t.settle();
  PeerCounts counts{.records = t.records.size()};
  std::size_t first = t.records.size();  // the records that have something to program lie in [first, last)
  std::size_t last = 0;
  for (std::size_t i = 0; i < t.records.size(); ++i) {
    PeerRecord& record = t.records[i];
    record.count_in(counts);                             // on the way: the log asks after each event
    if (record.winner() && record.programmed) continue;  // nearly all, at each event
    if (!record.winner()) {
      t.retire(record);
    } else {
      first = std::min(first, i);
      last = i + 1;
    }
  }
  t.counts = counts;
  t.counted = true;
  if (!t.audited) return;  // more than can be remembered: an audit will find it
  t.dirty = false;

  if (first >= last && t.unwanted.empty()) return;
  for (std::size_t i = first; i < last; ++i) {
    PeerRecord& record = t.records[i];
    if (!record.winner() || record.programmed) continue;
    record.planned = 1;
    sink.change(record.neighbour());
    sink.change(record.fdb());
  }
  for (std::size_t i = first; i < last; ++i) {
    const PeerRecord& record = t.records[i];
    if (record.planned && !record.seen_route) sink.change(record.route());
  }
  t.emit_deletions(sink);
  t.uncommitted = true;
}

void PeerTable::commit() {
  Impl& t = *impl_;
  if (!t.uncommitted) return;
  t.uncommitted = false;
  for (PeerRecord& record : t.records) {
    if (!record.planned) continue;
    record.programmed = 1;
    record.planned = record.seen_route = 0;
  }
  t.unwanted.erase(0, t.unwanted_emitted);
  t.unwanted_emitted = 0;
  t.unwanted.shrink(Impl::kKeptUnwanted);
  if (t.audit_finished) t.audited = true;
  t.audit_finished = false;
}

void PeerTable::invalidate() {
  Impl& t = *impl_;
  t.audited = t.in_audit = t.audit_finished = t.uncommitted = false;
  t.unwanted.truncate(0);
  t.unwanted.shrink(Impl::kKeptUnwanted);
  t.unwanted_emitted = 0;
}

bool PeerTable::needs_audit() const { return !impl_->audited || impl_->more_stale; }

// -- inside --

/// Winners' subnets do not overlap, so that at most one has this base, whatever its length.
PeerRecord* PeerTable::Impl::winner_at(Ip4 base) {
  for (std::size_t i = find_place({base.value, 0, 0, 0});
       i < records.size() && records[i].start() == base.value; ++i) {
    if (records[i].winner()) return &records[i];
  }
  return nullptr;
}

PeerRecord* PeerTable::Impl::winner_of(Net4 subnet) {
  PeerRecord* winner = subnet.aligned() ? winner_at(subnet.base) : nullptr;
  return winner != nullptr && winner->length == subnet.length ? winner : nullptr;
}

/// An FDB upsert replaces by MAC: if a winner has the MAC of a retired entry, that entry is gone or is the
/// winner's own. A dump may show further remotes beside the winner's; those go by name, except for a single
/// one where the winner's own is missing: that one is what the upsert has replaced.
void PeerTable::Impl::keep_fdb_of_winners() {
  const auto first_fdb =
      std::ranges::find_if(unwanted, [](const Unwanted& u) { return u.kind == Unwanted::kFdb; });
  if (first_fdb == unwanted.end()) return;
  std::array<bool, 256> last_byte{};  // turns nearly all winners away when few entries are unwanted
  for (auto u = first_fdb; u != unwanted.end(); ++u) last_byte[u->mac.bytes[5]] = true;
  for (const PeerRecord& record : records) {
    if (!last_byte[record.mac.bytes[5]] || !record.winner()) continue;
    auto at = std::lower_bound(first_fdb, unwanted.end(), record.mac,
                               [](const Unwanted& u, const Mac& mac) { return u.mac < mac; });
    const auto first = at;
    std::size_t others = 0;
    for (; at != unwanted.end() && at->mac == record.mac; ++at)
      others += at->from_audit && at->ip != record.public_ip;
    for (auto u = first; u != at; ++u) {
      u->keep = !u->from_audit || u->ip == record.public_ip || (others == 1 && !record.fdb_present);
    }
  }
}

void PeerTable::Impl::emit_deletions(ChangeSink& sink) {
  sort_array(unwanted, [this](auto i, auto j) { return removed_before(unwanted[i], unwanted[j]); });
  const auto alike = [](const Unwanted& a, const Unwanted& b) { return !removed_before(a, b); };
  unwanted.truncate(
      static_cast<std::size_t>(std::unique(unwanted.begin(), unwanted.end(), alike) - unwanted.begin()));
  for (Unwanted& u : unwanted) u.keep = 0;
  keep_fdb_of_winners();
  for (const Unwanted& u : unwanted) {
    if (u.kind == Unwanted::kRoute) {
      const Net4 subnet{{u.ip}, u.length};
      if (u.metric == 0 && winner_of(subnet) != nullptr) continue;
      sink.change({.kind = Change::Kind::kDeleteRoute,
                   .subnet = subnet,
                   .mac = {},
                   .remote = {},
                   .metric = u.metric});
    } else if (u.kind == Unwanted::kNeighbour) {
      if (winner_at({u.ip}) != nullptr) continue;
      sink.change({.kind = Change::Kind::kDeleteNeighbour, .subnet = {{u.ip}, 32}, .mac = {}, .remote = {}});
    } else if (!u.keep) {
      sink.change({.kind = Change::Kind::kDeleteFdb, .subnet = {}, .mac = u.mac, .remote = {u.ip}});
    }
  }
  unwanted_emitted = unwanted.size();
}

}  // namespace flannelette::overlay
