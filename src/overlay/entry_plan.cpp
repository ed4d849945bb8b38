// SPDX-License-Identifier: Apache-2.0
// From resolved leases to changes, and which deletions may be made.
#include "flannelette/overlay/entry_plan.hpp"

#include <algorithm>
#include <array>

#include "entry_plan_impl.hpp"

namespace flannelette::overlay {
namespace {

using Kind = Entry::Kind;

/// The order of removal is that of Entry::Kind: routes before what they need. What is alike follows one
/// another.
bool removed_before(const Unwanted& a, const Unwanted& b) {
  if (a.kind != b.kind) return a.kind < b.kind;
  if (a.mac != b.mac) return a.mac < b.mac;
  if (a.ip != b.ip) return a.ip < b.ip;
  if (a.length != b.length) return a.length < b.length;
  if (a.metric != b.metric) return a.metric < b.metric;
  if (a.tos != b.tos) return a.tos < b.tos;
  return a.underlay < b.underlay;
}

}  // namespace

EntryPlan::EntryPlan(LeaseTable& table) : impl_(new Impl(*table.impl_)) {}
EntryPlan::~EntryPlan() { delete impl_; }

void EntryPlan::filter_senders(bool filter) {
  if (impl_->senders != filter) invalidate();
  impl_->senders = filter;
}

void EntryPlan::ask_direct(FunctionRef<bool(Ip4 public_ip, bool was)> direct) {
  LeaseTable::Impl& t = impl_->table;
  t.resolve_conflicts();
  for (PeerRecord& record : t.records) {
    if (!record.winner() || record.asked) continue;
    record.asked = 1;
    const bool answer = direct({record.public_ip}, record.direct != 0);
    if (answer == (record.direct != 0)) continue;
    impl_->retire(record, false);
    record.direct = answer;
    ++t.changes;
  }
}

bool EntryPlan::refused(const Entry& entry) {
  PeerRecord* const peer = impl_->winner_of(entry.net.v4());
  if (peer == nullptr) return false;
  const bool news = !peer->refused && !peer->refusing;
  peer->refusing = 1;
  return news;
}

void EntryPlan::plan(ChangeSink& sink) {
  Impl& p = *impl_;
  LeaseTable::Impl& t = p.table;
  if (p.phase != Impl::Phase::kInSync && p.phase != Impl::Phase::kPlanned) return;
  if (!t.local.subnet || (p.covered == t.changes && p.phase == Impl::Phase::kInSync)) return;
  t.resolve_conflicts();
  std::size_t first = t.records.size();  // the records that have something to program lie in [first, last)
  std::size_t last = 0;
  for (std::size_t i = 0; i < t.records.size(); ++i) {
    PeerRecord& record = t.records[i];
    if (record.winner() && record.programmed) continue;  // nearly all, at each event
    if (!record.winner()) {
      p.retire(record, false);
    } else {
      first = std::min(first, i);
      last = i + 1;
    }
  }
  if (p.phase == Impl::Phase::kStale) return;  // more than can be remembered: an audit will find it
  p.covered = t.changes;

  if (first >= last && p.unwanted.empty() && p.senders_complete) return;
  p.emit(sink, first, last);
  p.phase = Impl::Phase::kPlanned;
}

void EntryPlan::commit() {
  Impl& p = *impl_;
  if (p.phase != Impl::Phase::kAudited && p.phase != Impl::Phase::kPlanned) return;
  for (PeerRecord& record : p.table.records) {
    if (!record.planned) continue;
    record.programmed = 1;
    record.refused = record.refusing;
    record.planned = record.seen = record.refusing = 0;
  }
  p.forget_unwanted(p.unwanted_emitted);
  p.phase = p.phase == Impl::Phase::kAudited && p.incomplete ? Impl::Phase::kStale : Impl::Phase::kInSync;
}

void EntryPlan::invalidate() {
  impl_->enter_stale();
  for (PeerRecord& record : impl_->table.records) record.asked = 0;
}

bool EntryPlan::needs_audit() const { return impl_->phase == Impl::Phase::kStale; }

// -- inside --

void EntryPlan::Impl::enter_stale() {
  phase = Phase::kStale;
  forget_unwanted(unwanted.size());
}

/// The first ones, and memory that is no more needed.
void EntryPlan::Impl::forget_unwanted(std::size_t count) {
  unwanted.erase(0, count);
  unwanted.shrink(kKeptUnwanted);
  unwanted_emitted = 0;
}

std::optional<Entry> EntryPlan::Impl::entry_of(const PeerRecord* peer, Kind kind) const {
  std::optional<Entry> entry;
  // A record that became unreadable while its route was to stay has no address.
  const bool senderless = peer == nullptr || !senders || peer->public_ip == 0;
  if (kind == Kind::kSender && senderless) return entry;
  if (peer != nullptr && !backend().entry(kind, *peer, entry.emplace())) entry.reset();
  return entry;
}

void EntryPlan::Impl::retire(PeerRecord& record, bool replaced) {
  if (!record.maybe_in_kernel()) return;
  // What a record has of its route is known only between audits.
  const bool known = phase == Phase::kInSync || phase == Phase::kPlanned;
  // It leads by the subnet alone, but for a direct one.
  const auto route = entry_of(&record, Kind::kRoute);
  const bool route_stays =
      replaced && known && route && !route->underlay && (record.programmed || record.has_seen(Kind::kRoute));
  record.programmed = record.planned = 0;
  record.clear_seen();
  if (route_stays) record.set_seen(Kind::kRoute);
  if (phase == Phase::kStale) return;  // the audit that must come will find it
  bool remembered = true;
  for (const Kind kind : {Kind::kRoute, Kind::kNexthop, Kind::kNeighbour, Kind::kFdb, Kind::kSender}) {
    const auto entry = entry_of(&record, kind);
    if (remembered && entry) remembered = push_unwanted(*entry);
  }
  if (remembered) return;
  if (phase == Phase::kAuditing) {
    incomplete = true;
  } else {
    phase = Phase::kStale;
  }
}

bool EntryPlan::Impl::push_unwanted(const Entry& entry) {
  if (unwanted.size() >= kMaxStale) return false;
  if (unwanted.size() == kKeptUnwanted) unwanted.reserve(kMaxStale);  // few, or a flood
  Unwanted one;
  one.kind = static_cast<std::uint8_t>(entry.kind) & 7;
  one.underlay = entry.underlay;
  one.metric = entry.metric;
  one.tos = entry.tos;
  if (entry.kind == Kind::kFdb) {
    one.mac = entry.mac;
  } else {
    one.ip = (entry.kind == Kind::kSender ? entry.via : entry.net.base).v4().value;
  }
  if (entry.kind == Kind::kRoute) one.length = entry.net.length;
  unwanted.append(one);
  return true;
}

bool EntryPlan::Impl::put(ChangeSink& sink, const PeerRecord& peer, Kind kind) {
  if (peer.has_seen(kind)) return false;
  const auto entry = entry_of(&peer, kind);
  if (entry) sink.change({Change::Op::kPut, *entry});
  return entry.has_value();
}

/// What the winners in [first, last) that are not programmed lack, then the deletions.
void EntryPlan::Impl::emit(ChangeSink& sink, std::size_t first, std::size_t last) {
  for (const Kind kind : {Kind::kSender, Kind::kNeighbour, Kind::kFdb, Kind::kRoute}) {
    for (std::size_t i = first; i < last; ++i) {
      PeerRecord& record = table.records[i];
      if (!record.winner() || record.programmed) continue;
      if (kind == Kind::kSender) record.planned = record.refusing = 0;
      if (put(sink, record, kind)) record.planned = 1;
      if (kind == Kind::kRoute) record.programmed = !record.planned;
    }
  }
  if (!senders_complete) sink.change({Change::Op::kPut, Entry::sender(Ip4{})});
  senders_complete = true;
  emit_deletions(sink);
}

Entry Unwanted::entry() const {
  Entry entry;
  entry.kind = static_cast<Kind>(kind);
  entry.metric = metric;
  entry.tos = tos;
  entry.mac = mac;
  entry.underlay = underlay;
  if (entry.kind == Kind::kSender) {
    entry.via = Ip4{ip};
  } else {
    entry.net = Net4{{ip}, length};
  }
  return entry;
}

PeerRecord* EntryPlan::Impl::winner_of(Net4 subnet) {
  PeerRecord* winner = subnet.aligned() ? table.winner_at(subnet.base) : nullptr;
  return winner != nullptr && winner->length == subnet.length ? winner : nullptr;
}

void EntryPlan::Impl::emit_deletions(ChangeSink& sink) {
  sort_array(unwanted, [this](auto i, auto j) { return removed_before(unwanted[i], unwanted[j]); });
  const auto alike = [](const Unwanted& a, const Unwanted& b) { return !removed_before(a, b); };
  unwanted.truncate(
      static_cast<std::size_t>(std::unique(unwanted.begin(), unwanted.end(), alike) - unwanted.begin()));
  // Where a winner has the key, a put has replaced what is unwanted, or it is the winner's own.
  for (const Unwanted& u : unwanted) {
    const Entry entry = u.entry();
    if (!compare(entry).want) sink.change({Change::Op::kRemove, entry});
  }
  unwanted_emitted = unwanted.size();
}

}  // namespace flannelette::overlay
