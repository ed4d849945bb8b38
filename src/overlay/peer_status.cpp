// SPDX-License-Identifier: Apache-2.0
// What is shown of the records of a lease table.
#include "flannelette/overlay/peer_status.hpp"

#include <algorithm>

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
  const auto* winner = std::ranges::find_if(
      t.records, [&](const PeerRecord& other) { return other.winner() && contradict(record, other); });
  if (winner != t.records.end()) peer.shadowed_by = winner->subnet();
  return true;
}

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
