// SPDX-License-Identifier: Apache-2.0
// What is shown of the records of a lease table.
#include "flannelette/overlay/peer_status.hpp"

#include "entry_plan_impl.hpp"

namespace flannelette::overlay {
namespace {

using State = PeerStatus::State;

State state_of(const PeerRecord& record) {
  if (record.ignored() == Ignored::kOurs) return State::kOurs;
  if (!record.winner()) return State::kIgnored;
  if (!record.programmed) return State::kPending;
  return record.refused ? State::kRefused : State::kProgrammed;
}

bool contradict(const PeerRecord& a, const PeerRecord& b) {
  return a.public_ip == b.public_ip || (!a.mac.zero() && a.mac == b.mac) ||
         (a.start() <= b.end() && b.start() <= a.end());
}

}  // namespace

bool EntryPlan::peer(std::size_t index, PeerStatus& peer) const {
  LeaseTable::Impl& t = impl_->table;
  t.resolve_conflicts();
  if (index >= t.records.size()) return false;
  const PeerRecord& record = t.records[index];
  peer = {.state = state_of(record),
          .why = record.ignored(),
          .direct = record.direct != 0,
          .subnet = record.subnet(),
          .public_ip = Ip4{record.public_ip},
          .mac = record.mac};
  if (peer.why != Ignored::kConflict) return true;
  if (const PeerRecord* const rival = impl_->rival_of(index)) peer.shadowed_by = rival->subnet();
  return true;
}

/// Tens of thousands may lose. They mostly lose to one winner, or each to the one at its address, or to one
/// that overlaps it, which stands near it in the table. Only who shares nothing but a MAC is searched for
/// farther: where many of those have winners of their own, far away, each costs a comparison with all
/// records. An order by MAC would not help: the two orders share one place, and would be made again by turns.
const PeerRecord* EntryPlan::Impl::rival_of(std::size_t index) {
  const PlainArray<PeerRecord>& records = table.records;
  const std::size_t size = records.size();
  const auto wins = [&](std::size_t i) {
    ++compared;
    if (i >= size || !records[i].winner() || !contradict(records[index], records[i])) return false;
    rival = i;
    return true;
  };
  if (wins(rival)) return &records[rival];
  if (const PeerRecord* at = ordered_winner(records[index].public_ip, Entry::Kind::kSender)) return at;
  for (std::size_t away = 1; away < size; ++away) {
    if (wins(index + away) || wins(index - away)) return &records[rival];
  }
  return nullptr;
}

std::uint64_t EntryPlan::compared() const { return impl_->compared; }

PeerTotals EntryPlan::totals() const {
  LeaseTable::Impl& t = impl_->table;
  t.resolve_conflicts();
  PeerTotals totals;
  for (const PeerRecord& record : t.records) {
    ++totals.states[static_cast<std::size_t>(state_of(record))];
    ++totals.reasons[static_cast<std::size_t>(record.ignored())];
  }
  return totals;
}

}  // namespace flannelette::overlay
