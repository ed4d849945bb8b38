// SPDX-License-Identifier: Apache-2.0
// Which Nodes are peers, and with which subnet.
#include "registry/kube/roster.hpp"

#include "flannelette/base/fnv.hpp"
#include "registry/kube/node_record.hpp"

namespace flannelette::registry::kube {
void Roster::begin_list() {
  listing_ = true;
  listed_.truncate(0);
  for (Known& known : known_) known.seen = false;
}

bool Roster::end_list() {
  listing_ = false;
  const bool again = find_disputes();
  listed_.truncate(0);
  listed_.shrink(1);
  if (again) return false;
  disputed_.truncate(0);
  std::size_t remaining = 0;
  for (const Known& known : known_) {
    if (known.seen) known_[remaining++] = known;
  }
  known_.truncate(remaining);
  return true;
}

/// Of two that overlap a proven one is right. Else the larger one is more likely wrong: if the other one is,
/// that shows the next time.
bool Roster::find_disputes() {
  sort_array(listed_,
             [&](std::uint32_t a, std::uint32_t b) { return listed_[a].subnet() < listed_[b].subnet(); });
  bool found = false;
  for (std::size_t i = 1; i < listed_.size(); ++i) {
    const Listed& outer = listed_[i - 1];
    const Listed& inner = listed_[i];
    const Listed& doubtful = outer.proven ? inner : outer;
    if (!outer.subnet().overlaps(inner.subnet()) || doubtful.proven || is_disputed(doubtful.subnet()))
      continue;
    disputed_.append(doubtful.subnet());
    found = true;
  }
  return found;
}

bool Roster::is_disputed(const Net4& subnet) const {
  for (const Net4& other : disputed_) {
    if (other == subnet) return true;
  }
  return false;
}

void Roster::on_read(const Node& node) {
  if (node.name == core_.node_name) return;
  const std::uint64_t uid = Fnv1a::of(node.uid);
  remember(uid, node.spec_cidrs);
  const PodCidrs& shown = node.managed_cidrs;
  if (shown.v4 && shown.v4 != node.spec_cidrs.v4) remove(shown, node);
  if (node.spec_cidrs.v4 == doubted_) doubted_.reset();
  on_node(node, false);
}

void Roster::on_node(const Node& node, bool removed) {
  if (node.name == core_.node_name) return on_own_(node, removed);
  const std::uint64_t uid = Fnv1a::of(node.uid);
  Known* known = find(uid);
  if (known != nullptr) known->seen = true;
  if (!node.full && known != nullptr && !known->cidrs.v4 && !known->cidrs.v6)
    return on_waiting(*known, node, removed);
  const bool proven = node.full || known != nullptr;
  const PodCidrs& cidrs = known != nullptr ? known->cidrs : node.pod_cidrs();
  const bool shown = proven || node.shows_pod_cidrs();
  if (removed) {
    remove(cidrs, node);
    lost_ |= !shown && (node.managed() || !node.has_managed_fields);
    if (known != nullptr) forget(*known);
  } else if (!shown) {
    if (node.managed()) ask_(node.name);
  } else if (const auto record = record_of(node, cidrs)) {
    put(*record, node, proven);
  } else {
    remove(cidrs, node);
  }
}

/// What it shows now may be its subnet, or a lie.
void Roster::on_waiting(const Known& known, const Node& node, bool removed) {
  if (removed) return forget(known);
  const PodCidrs& shown = node.managed_cidrs;
  if (node.has_managed_fields && !shown.v4 && !shown.v6) return;
  const bool due = known.reads < kQuickReads || core_.loop.now() - known.read >= kReadEvery;
  if (node.managed() && due) ask_(node.name);
}

void Roster::put(const overlay::LeaseRecord& record, const Node& node, bool proven) {
  const Net4& subnet = record.key.subnet;
  if (listing_) {
    if (!proven && is_disputed(subnet)) return ask_(node.name);
    listed_.append({subnet.base, subnet.length, proven});
  } else if ((doubted_ && doubted_->overlaps(subnet)) || contested(subnet, node)) {
    if (!proven) return ask_(node.name);
    doubted_ = subnet;
  }
  core_.members->on_record(record);
}

void Roster::remove(const PodCidrs& cidrs, const Node& node) {
  if (listing_ || !cidrs.v4 || cidrs.contradictory) return;
  if (leases_ != nullptr && !holds(*cidrs.v4, node)) return;
  core_.members->on_removed({*cidrs.v4, cidrs.v6}, node.created);
}

bool Roster::holds(const Net4& subnet, const Node& node) const {
  const auto holder = leases_->find_holder(subnet);
  return holder && holder->modified == node.created;
}

bool Roster::contested(const Net4& subnet, const Node& node) const {
  return leases_ != nullptr && !holds(subnet, node) && leases_->taken(subnet);
}

Roster::Known* Roster::find(std::uint64_t uid) {
  for (Known& known : known_) {
    if (known.uid == uid) return &known;
  }
  return nullptr;
}

void Roster::remember(std::uint64_t uid, const PodCidrs& cidrs) {
  Known* known = find(uid);
  if (known == nullptr) {
    if (known_.size() == kMaxKnown) return;
    known_.append({.uid = uid, .cidrs = {}, .read = 0, .reads = 0, .seen = true});
    known = known_.end() - 1;
  }
  known->cidrs = cidrs;
  known->read = core_.loop.now();
  if (known->reads < kQuickReads) ++known->reads;
}

void Roster::forget(const Known& known) {
  const auto at = static_cast<std::size_t>(&known - known_.begin());
  known_.erase(at, at + 1);
}

}  // namespace flannelette::registry::kube
