// SPDX-License-Identifier: Apache-2.0
// Storage and the ways in.
#include "flannelette/overlay/peer_table.hpp"

#include <algorithm>

#include "peer_table_impl.hpp"

namespace flannelette::overlay {
namespace {

Ignored own_merits(const PeerRecord& record) { return record.valid() ? Ignored::kNo : record.ignored(); }

/// What a record has in the kernel; its subnet it keeps for life.
bool same_entries(const PeerRecord& a, const PeerRecord& b) {
  return a.public_ip == b.public_ip && a.mac == b.mac;
}

bool same_value(const PeerRecord& a, const PeerRecord& b) {
  return same_entries(a, b) && a.form == b.form && a.vni() == b.vni() &&
         a.created.value() == b.created.value() && a.modified.value() == b.modified.value();
}

}  // namespace

PeerTable::PeerTable(std::size_t limit) : impl_(new Impl(limit)) {}
PeerTable::~PeerTable() { delete impl_; }

void PeerTable::set_local(const LocalNode& local) {
  Impl& t = *impl_;
  if (t.local == local) return;
  t.local = local;
  for (PeerRecord& record : t.records) record.set_ignored(judge_record(record, local));
  t.settle_all = true;
  t.changed();
}

void PeerTable::begin_listing() {
  for (PeerRecord& record : impl_->records) record.listed = 0;
  impl_->in_listing = true;
}

Ignored PeerTable::upsert(const LeaseRecord& lease, bool* stored) {
  Impl& t = *impl_;
  PeerRecord fresh = make_record(lease);
  fresh.set_ignored(judge_record(fresh, t.local));
  fresh.listed = t.in_listing;
  if (stored != nullptr) *stored = true;

  if (!t.in_listing) t.ensure_sorted();
  const PeerPlace place = place_of(fresh);
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
    return fresh.ignored();
  }
  if (index == t.records.size()) {
    t.records.append(fresh);  // in order already
    ++t.sorted;
  } else if (t.in_listing) {
    t.records.append(fresh);
  } else {
    t.records.insert(index, fresh);
    ++t.sorted;
  }
  t.touch(fresh);
  t.mac_ordered = false;
  t.changed();
  return fresh.ignored();
}

void PeerTable::end_listing() {
  Impl& t = *impl_;
  if (!t.in_listing) return;
  t.in_listing = false;
  t.ensure_sorted();
  std::size_t kept = 0;
  for (PeerRecord& record : t.records) {
    if (!record.listed) {
      t.touch(record);
      t.retire(record);
      t.changed();
      continue;
    }
    t.records[kept++] = record;
  }
  if (kept == t.records.size()) return;
  t.records.truncate(kept);
  t.records.shrink(64);
  t.sorted = kept;
  t.mac_ordered = false;
}

void PeerTable::abort_listing() {
  impl_->in_listing = false;
  impl_->ensure_sorted();
}

void PeerTable::remove(const LeaseKey& key, std::int64_t modified) {
  Impl& t = *impl_;
  t.ensure_sorted();
  const PeerPlace place = place_of(key);
  const std::size_t index = t.find_place(place);
  if (!t.holds(index, place) || t.records[index].modified.value() > modified) return;
  t.touch(t.records[index]);
  t.retire(t.records[index]);
  t.records.erase(index, index + 1);
  --t.sorted;
  t.mac_ordered = false;
  t.changed();
}

std::size_t PeerTable::limit() const { return impl_->limit; }
bool PeerTable::full() const { return impl_->records.size() >= impl_->limit; }

PeerCounts PeerTable::counts() const {
  Impl& t = *impl_;
  t.settle();
  if (t.counted) return t.counts;
  t.counts = {.records = t.records.size()};
  for (const PeerRecord& record : t.records) record.count_in(t.counts);
  t.counted = true;
  return t.counts;
}

void PeerTable::visit_ignored(IgnoredVisitor& visitor) const {
  impl_->settle();
  for (const PeerRecord& record : impl_->records) {
    if (!record.winner() && record.ignored() != Ignored::kOurs)
      visitor.ignored(record.key(), record.ignored());
  }
}

void PeerTable::visit_records(RecordVisitor& visitor) const {
  impl_->settle();
  for (const PeerRecord& record : impl_->records) {
    if (record.valid()) visitor.record(lease_of(record));
  }
}

std::size_t PeerTable::without_backend() const {
  impl_->ensure_sorted();
  return static_cast<std::size_t>(
      std::count_if(impl_->records.begin(), impl_->records.end(),
                    [](const PeerRecord& r) { return r.value_form() == Form::kNoBackend; }));
}

// -- inside --

std::size_t PeerTable::Impl::find_place(const PeerPlace& place) const {
  const PeerRecord* end = records.begin() + sorted;
  const PeerRecord* found = std::lower_bound(
      records.begin(), end, place, [](const PeerRecord& r, const PeerPlace& p) { return place_of(r) < p; });
  // Beyond the sorted part nothing is known: a place after all of it is the end of the array only if nothing
  // is unsorted.
  return static_cast<std::size_t>(found - records.begin());
}

void PeerTable::Impl::ensure_sorted() {
  if (sorted == records.size()) return;
  sort_array(records, [this](auto i, auto j) {
    const auto order = place_of(records[i]) <=> place_of(records[j]);
    return order != 0 ? order < 0 : records[i].modified.value() > records[j].modified.value();
  });
  // A listing that brought a key twice: the newer one counts. Only records new in this listing can be double.
  std::size_t kept = 0;
  for (const PeerRecord& record : records) {
    if (kept == 0 || place_of(records[kept - 1]) != place_of(record)) records[kept++] = record;
  }
  records.truncate(kept);
  sorted = kept;
  mac_ordered = false;
}

void PeerTable::Impl::touch(const PeerRecord& version) {
  if (!version.valid() || settle_all) return;
  if (touched_count == kMaxTouched) {
    settle_all = true;
    return;
  }
  touched[touched_count++] = {place_of(version), version.end(), version.public_ip, version.mac};
}

void PeerTable::Impl::replace(PeerRecord& have, const PeerRecord& fresh) {
  touch(have);
  if (!same_entries(have, fresh)) {
    // What it has of the route is known only between audits.
    const bool route_stays = audited && !in_audit && (have.programmed || have.seen_route);
    retire(have);
    have.seen_route = route_stays;
    mac_ordered = false;
  }
  have.public_ip = fresh.public_ip;
  have.mac = fresh.mac;
  have.created = fresh.created;
  have.modified = fresh.modified;
  std::copy(fresh.vni_bytes, fresh.vni_bytes + 3, have.vni_bytes);
  have.form = fresh.form;
  have.reason = fresh.reason;
  touch(have);
  changed();
}

void PeerTable::Impl::retire(PeerRecord& record) {
  if (!record.maybe_in_kernel()) return;
  record.programmed = record.planned = 0;
  record.clear_seen();
  if (!audited && !in_audit && !audit_finished) return;  // the audit that must come will find it
  Unwanted route{.ip = record.base, .length = record.length, .kind = Unwanted::kRoute};
  Unwanted neighbour{.ip = record.base, .kind = Unwanted::kNeighbour};
  Unwanted fdb{.ip = record.public_ip, .mac = record.mac, .kind = Unwanted::kFdb};
  if (!push_unwanted(route) || !push_unwanted(neighbour) || !push_unwanted(fdb)) {
    audited = false;
    incomplete = more_stale = true;
  }
}

bool PeerTable::Impl::push_unwanted(const Unwanted& entry) {
  if (unwanted.size() >= kMaxStale) return false;
  if (unwanted.size() == Impl::kKeptUnwanted) unwanted.reserve(kMaxStale);  // few, or a flood
  unwanted.append(entry);
  return true;
}

}  // namespace flannelette::overlay
