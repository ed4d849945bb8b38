// SPDX-License-Identifier: Apache-2.0
// Where leases are kept, and how they get there.
#include "flannelette/overlay/lease_table.hpp"

#include <algorithm>

#include "lease_table_impl.hpp"

namespace flannelette::overlay {
namespace {

Ignored own_merits(const PeerRecord& record) { return record.valid() ? Ignored::kNo : record.ignored(); }

/// What it is in the kernel; its subnet a record keeps for life.
bool same_entries(const PeerRecord& a, const PeerRecord& b) {
  return a.public_ip == b.public_ip && a.mac == b.mac;
}

bool same_value(const PeerRecord& a, const PeerRecord& b) {
  return same_entries(a, b) && a.form == b.form && a.vni == b.vni && a.created.value() == b.created.value() &&
         a.modified.value() == b.modified.value();
}

}  // namespace

LeaseTable::LeaseTable(std::size_t limit) : impl_(new Impl(limit)) {}
LeaseTable::~LeaseTable() { delete impl_; }

void LeaseTable::set_local(const LocalNode& local) {
  Impl& t = *impl_;
  if (t.local == local) return;
  t.local = local;
  for (PeerRecord& record : t.records) record.set_ignored(validate(record, local));
  t.count_all();
  t.resolve_all = true;
  ++t.changes;
}

void LeaseTable::begin_listing() {
  for (PeerRecord& record : impl_->records) record.listed = 0;
  impl_->in_listing = true;
}

Ignored LeaseTable::upsert(const LeaseRecord& lease, bool* stored) {
  Impl& t = *impl_;
  PeerRecord fresh = make_record(lease);
  fresh.set_ignored(validate(fresh, t.local));
  fresh.listed = t.in_listing;
  if (stored != nullptr) *stored = true;

  if (!t.in_listing) t.ensure_sorted();
  const PeerPlace place(lease.key);
  const std::size_t index = t.find_place(place);
  if (index < t.sorted && t.holds(index, place)) {
    PeerRecord& have = t.records[index];
    const bool first_listed = t.in_listing && !have.listed;
    have.listed |= fresh.listed;
    if (fresh.modified.value() < have.modified.value() && !first_listed) return own_merits(have);
    if (!same_value(have, fresh)) t.replace(have, fresh);
    return own_merits(have);
  }
  if (full()) {
    if (stored != nullptr) *stored = false;
  } else {
    t.insert(index, fresh, lease.key);
  }
  return fresh.ignored();
}

void LeaseTable::end_listing() {
  Impl& t = *impl_;
  if (!t.in_listing) return;
  t.in_listing = false;
  t.ensure_sorted();
  std::size_t remaining = 0;
  for (PeerRecord& record : t.records) {
    if (record.listed) {
      t.records[remaining++] = record;
    } else {
      t.leave(record);
    }
  }
  if (remaining == t.records.size()) return;
  t.records.truncate(remaining);
  t.records.shrink(64);
  t.sorted = remaining;
}

void LeaseTable::abort_listing() {
  impl_->in_listing = false;
  impl_->ensure_sorted();
}

void LeaseTable::remove(const LeaseKey& key, std::int64_t modified) {
  Impl& t = *impl_;
  t.ensure_sorted();
  const PeerPlace place(key);
  const std::size_t index = t.find_place(place);
  if (!t.holds(index, place) || t.records[index].modified.value() > modified) return;
  t.leave(t.records[index]);
  t.records.erase(index, index + 1);
  --t.sorted;
}

std::uint32_t LeaseTable::changes() const { return impl_->changes; }
std::size_t LeaseTable::limit() const { return impl_->limit; }
bool LeaseTable::full() const { return impl_->records.size() >= impl_->limit; }

PeerCounts LeaseTable::counts() const {
  impl_->resolve_conflicts();
  return impl_->counts;
}

void LeaseTable::visit_ignored(IgnoredVisitor& visitor) const {
  impl_->resolve_conflicts();
  for (const PeerRecord& record : impl_->records) {
    if (!record.winner() && record.ignored() != Ignored::kOurs)
      visitor.ignored(impl_->key_of(record), record.ignored());
  }
}

void LeaseTable::visit_records(RecordVisitor& visitor) const {
  impl_->resolve_conflicts();
  for (const PeerRecord& record : impl_->records) {
    if (!record.valid()) continue;
    LeaseRecord lease;
    lease.key = impl_->key_of(record);
    lease.value = value_of(record);
    lease.created = record.created.value();
    lease.modified = record.modified.value();
    visitor.record(lease);
  }
}

bool LeaseTable::has_public_ip_in(Net4 net) const {
  return std::ranges::any_of(impl_->records, [&](const PeerRecord& record) {
    return record.valid() && net.contains(Ip4{record.public_ip});
  });
}

std::size_t LeaseTable::without_backend() const {
  impl_->ensure_sorted();
  return static_cast<std::size_t>(
      std::count_if(impl_->records.begin(), impl_->records.end(),
                    [](const PeerRecord& r) { return r.readable() && r.backend() == BackendType::kNone; }));
}

// -- inside --

std::strong_ordering PeerPlace::operator<=>(const PeerPlace& other) const {
  if (subnet != other.subnet) return subnet <=> other.subnet;
  if (base != other.base) return base <=> other.base;
  if (net6 == nullptr || other.net6 == nullptr) return (net6 != nullptr) <=> (other.net6 != nullptr);
  return *net6 <=> *other.net6;
}

/// Where it is not the end of the sorted part, it is exact; beyond that part nothing is known.
std::size_t LeaseTable::Impl::find_place(const PeerPlace& place) const {
  const PeerRecord* found =
      std::lower_bound(records.begin(), records.begin() + sorted, place,
                       [this](const PeerRecord& r, const PeerPlace& p) { return place_of(r) <=> p < 0; });
  return static_cast<std::size_t>(found - records.begin());
}

LeaseKey LeaseTable::Impl::key_of(const PeerRecord& record) const {
  LeaseKey key{record.subnet(), std::nullopt};
  if (record.net6 != 0) key.subnet6 = nets6[record.net6 - 1].net;
  return key;
}

/// Winners' subnets do not overlap, so that at most one has this base, whatever its length.
PeerRecord* LeaseTable::Impl::winner_at(Ip4 base) {
  for (std::size_t i = find_place({base.value, 0}); i < records.size() && records[i].start() == base.value;
       ++i) {
    if (records[i].winner()) return &records[i];
  }
  return nullptr;
}

void LeaseTable::Impl::ensure_sorted() {
  if (sorted == records.size()) return;
  sort_array(records, [this](auto i, auto j) {
    const std::uint32_t a = records[i].start();
    const std::uint32_t b = records[j].start();
    if (a != b) return a < b;  // nearly always
    const auto order = place_of(records[i]) <=> place_of(records[j]);
    return order != 0 ? order < 0 : records[i].modified.value() > records[j].modified.value();
  });
  // A listing that brought a key twice: the newer one counts. Only records new in this listing can be double.
  std::size_t remaining = 0;
  for (PeerRecord& record : records) {
    if (remaining == 0 || place_of(records[remaining - 1]) <=> place_of(record) != 0) {
      records[remaining++] = record;
    } else {
      leave(record);
    }
  }
  records.truncate(remaining);
  sorted = remaining;
}

void LeaseTable::Impl::touch(const PeerRecord& version) {
  ++changes;
  if (!version.valid() || resolve_all) return;
  if (touched_count == kMaxTouched) {
    resolve_all = true;
    return;
  }
  touched[touched_count++] = {version};
}

void LeaseTable::Impl::replace(PeerRecord& have, const PeerRecord& fresh) {
  touch(have);
  if (!same_entries(have, fresh)) {
    if (observer != nullptr) observer->retire(have, true);
    have.asked = have.refused = 0;
  }
  count(have, -1);
  have.public_ip = fresh.public_ip;
  have.mac = fresh.mac;
  have.created = fresh.created;
  have.modified = fresh.modified;
  have.vni = fresh.vni;
  have.form = fresh.form;
  have.reason = fresh.reason;
  count(have, 1);
  touch(have);
}

void LeaseTable::Impl::insert(std::size_t index, PeerRecord& fresh, const LeaseKey& key) {
  if (key.subnet6) {
    fresh.net6 = free_net6 & kNet6Unset;
    if (free_net6 != 0) {
      KeptNet6& unused = nets6[fresh.net6 - 1];
      free_net6 = unused.next_free;
      unused.net = *key.subnet6;
    } else {
      nets6.append({*key.subnet6});
      fresh.net6 = static_cast<std::uint32_t>(nets6.size()) & kNet6Unset;
    }
  }
  if (index < records.size() && !in_listing) {
    records.insert(index, fresh);
    ++sorted;
  } else {
    sorted += index == records.size();  // in order already
    records.append(fresh);
  }
  count(fresh, 1);
  touch(fresh);
}

void LeaseTable::Impl::leave(PeerRecord& record) {
  touch(record);
  if (observer != nullptr) observer->retire(record, false);
  count(record, -1);
  drop_net6(record);
}

void LeaseTable::Impl::drop_net6(const PeerRecord& record) {
  if (record.net6 == 0) return;
  nets6[record.net6 - 1].next_free = free_net6;
  free_net6 = record.net6;
}

void LeaseTable::Impl::count(const PeerRecord& record, int change) {
  const auto one = static_cast<std::size_t>(change);
  counts.records += one;
  if (record.winner()) {
    counts.peers += one;
  } else if (record.ignored() != Ignored::kOurs) {
    counts.ignored += one;
    if (record.ignored() == Ignored::kConflict) counts.conflicts += one;
  }
}

void LeaseTable::Impl::count_all() {
  counts = {};
  for (const PeerRecord& record : records) count(record, 1);
}

}  // namespace flannelette::overlay
