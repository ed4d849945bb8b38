// SPDX-License-Identifier: Apache-2.0
// The conflict rule, as lease_table.hpp defines it.
#include "lease_table_impl.hpp"

namespace flannelette::overlay {
namespace {

// PeerRecord::scratch is the number of the group that shares a MAC, or:
constexpr std::uint32_t kAlone = UINT32_MAX;        ///< it shares nothing
constexpr std::uint32_t kNoGroup = UINT32_MAX - 1;  ///< it overlaps another record

}  // namespace

bool LeaseTable::Impl::Touched::conflicts_with(const PeerRecord& other) const {
  return version.public_ip == other.public_ip ||
         (number_of(version.mac) != 0 && number_of(version.mac) == number_of(other.mac)) ||
         version.subnet().overlaps(other.subnet());
}

/// Runs over the whole table at each event: what shares nothing is passed over by comparing a few numbers.
bool LeaseTable::Impl::conflicts(const Touched& t) const {
  const std::uint32_t size = t.version.end() - t.version.base;
  for (const PeerRecord& r : records) {
    if (r.public_ip != t.version.public_ip && r.mac.bytes[5] != t.version.mac.bytes[5] &&
        r.base - t.version.base > size && r.length >= t.version.length) {
      continue;
    }
    if (t.conflicts_with(r) && r.valid() && !t.is(r)) return true;
  }
  return false;
}

/// A record that shares nothing with any other valid one neither wins nor loses against anybody, before and
/// after its change: then all others stay as they are, and one pass over the table has shown it. Else the
/// full rule decides.
void LeaseTable::Impl::resolve_conflicts() {
  ensure_sorted();
  if (!resolve_all && touched_count == 0) return;
  for (std::size_t i = 0; i < touched_count && !resolve_all; ++i) resolve_all = conflicts(touched[i]);
  if (resolve_all) resolve_by_rule();
  resolve_all = false;
  touched_count = 0;
}

bool LeaseTable::Impl::before_at_its_address(std::uint32_t i, std::uint32_t j) {
  const PeerRecord& a = records[i];
  const PeerRecord& b = records[j];
  if (a.public_ip != b.public_ip) return a.public_ip < b.public_ip;
  if (configured(a) != configured(b)) return configured(a);
  if (a.modified.value() != b.modified.value()) return a.modified.value() > b.modified.value();
  return i < j;
}

bool LeaseTable::Impl::before_among_contested(std::uint32_t i, std::uint32_t j) {
  const PeerRecord& a = records[i];
  const PeerRecord& b = records[j];
  if (configured(a) != configured(b)) return configured(a);
  if (a.created.value() != b.created.value()) return a.created.value() < b.created.value();
  return i < j;
}

void LeaseTable::Impl::resolve_by_rule() {
  PlainArray<std::uint32_t> order;
  order.reserve(records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    PeerRecord& r = records[i];
    r.shadowed = 0;
    r.scratch = kAlone;
    if (!r.valid()) continue;
    r.set_ignored(Ignored::kNo);
    order.append(static_cast<std::uint32_t>(i));
  }
  choose_at_each_address(order);

  // Phase 2. Most records share nothing: only those that do are contested and need the order.
  const std::uint32_t groups = group_by_mac(order);
  mark_overlaps();
  order.truncate(0);
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (!records[i].winner() || records[i].scratch == kAlone) continue;
    records[i].set_ignored(Ignored::kConflict);  // until accepted
    order.append(static_cast<std::uint32_t>(i));
  }
  sort(order, [this](auto i, auto j) { return before_among_contested(i, j); });
  PlainArray<bool> mac_taken;
  for (std::uint32_t i = 0; i < groups; ++i) mac_taken.append(false);
  for (const std::uint32_t i : order) {
    const std::uint32_t group = records[i].scratch;
    if (records[i].shadowed || (group != kNoGroup && mac_taken[group])) continue;
    if (group != kNoGroup) mac_taken[group] = true;
    accept(i);
  }
  count_all();
}

/// Phase 1: who shares a PublicIP and is not the first of them there loses, and leaves the order. The place
/// in the table is the order by subnet, so that indices are the last criterion.
void LeaseTable::Impl::choose_at_each_address(PlainArray<std::uint32_t>& order) {
  sort(order, [this](auto i, auto j) { return before_at_its_address(i, j); });
  std::size_t survivors = 0;
  for (const std::uint32_t i : order) {
    if (survivors > 0 && records[order[survivors - 1]].public_ip == records[i].public_ip) {
      records[i].set_ignored(Ignored::kConflict);
    } else {
      order[survivors++] = i;
    }
  }
  order.truncate(survivors);
}

/// Who shares a MAC gets the number of the group that does. Number of groups.
std::uint32_t LeaseTable::Impl::group_by_mac(PlainArray<std::uint32_t>& order) {
  sort(order, [this](auto i, auto j) { return before_by_mac(i, j); });
  std::uint32_t groups = 0;
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first + 1;
    while (last < order.size() && number_of(records[order[last]].mac) == number_of(records[order[first]].mac))
      ++last;
    const bool shared = last - first > 1 && number_of(records[order[first]].mac) != 0;  // host-gw has none
    for (std::size_t i = first; shared && i < last; ++i) records[order[i]].scratch = groups;
    if (shared) ++groups;
    first = last;
  }
  return groups;
}

/// Prefixes are nested or apart, and a prefix stands before what it contains: who overlaps at all overlaps
/// the head of a run.
void LeaseTable::Impl::mark_overlaps() {
  PeerRecord* head = nullptr;
  for (PeerRecord& r : records) {
    if (!r.winner()) continue;
    if (head != nullptr && r.start() <= head->end()) {
      if (head->scratch == kAlone) head->scratch = kNoGroup;
      if (r.scratch == kAlone) r.scratch = kNoGroup;
    } else {
      head = &r;
    }
  }
}

/// The record is a winner; whatever overlaps it is shadowed. Accepted subnets are apart, so each record is
/// shadowed from above at most once; and the records of one subnet are shadowed together, so that the first
/// of them tells of all.
void LeaseTable::Impl::accept(std::size_t index) {
  PeerRecord& winner = records[index];
  winner.set_ignored(Ignored::kNo);
  for (std::size_t i = index + 1; i < records.size() && records[i].start() <= winner.end(); ++i)
    records[i].shadowed = 1;
  for (int length = local.config.network.length + 1; length <= winner.length; ++length) {
    const Net4 outer = Net4{{winner.base}, static_cast<std::uint8_t>(length)}.masked();
    for (std::size_t i = find_place({outer.base.value, outer.length}); i < records.size(); ++i) {
      PeerRecord& r = records[i];
      if (i == index) continue;
      if (r.start() != outer.base.value || r.length != length || (r.shadowed && i < index)) break;
      r.shadowed = 1;
    }
  }
}

}  // namespace flannelette::overlay
