// SPDX-License-Identifier: Apache-2.0
// Which Nodes are peers, and with which subnet.
#include "registry/kube/roster.hpp"

#include "flannelette/base/fnv.hpp"
#include "registry/kube/node_record.hpp"

namespace flannelette::registry::kube {
namespace {

std::uint64_t digest_of(std::string_view uid) {
  Fnv1a digest;
  digest.mix(uid);
  return digest.value();
}

}  // namespace

void Roster::begin_list() {
  listing_ = true;
  for (Known& known : known_) known.seen = false;
}

void Roster::end_list() {
  listing_ = false;
  std::size_t remaining = 0;
  for (const Known& known : known_) {
    if (known.seen) known_[remaining++] = known;
  }
  known_.truncate(remaining);
}

void Roster::on_read(const Node& node) {
  if (node.name == core_.node_name) return;
  const std::uint64_t uid = digest_of(node.uid);
  // One that is about to get its subnet is read again with its next change.
  if (node.spec_cidrs.v4 || node.spec_cidrs.v6) remember(uid, node.spec_cidrs);
  const PodCidrs& shown = node.managed_cidrs;
  if (shown.v4 && shown.v4 != node.spec_cidrs.v4) remove(shown, node);
  if (node.spec_cidrs.v4 == doubted_) doubted_.reset();
  on_node(node, false);
}

void Roster::on_node(const Node& node, bool removed) {
  if (node.name == core_.node_name) return on_own_(node, removed);
  const std::uint64_t uid = digest_of(node.uid);
  Known* known = find(uid);
  if (known != nullptr) known->seen = true;
  const bool proven = node.full || known != nullptr;
  const PodCidrs& cidrs = known != nullptr ? known->cidrs : node.pod_cidrs();
  if (removed) {
    remove(cidrs, node);
    if (known != nullptr) known_.erase(known - known_.begin(), known - known_.begin() + 1);
  } else if (!proven && !node.shows_pod_cidrs()) {
    if (node.managed()) ask_(node.name);
  } else if (const auto record = record_of(node, cidrs)) {
    put(*record, node, proven);
  } else {
    remove(cidrs, node);
  }
}

void Roster::put(const overlay::LeaseRecord& record, const Node& node, bool proven) {
  const Net4& subnet = record.key.subnet;
  if (!listing_ && (subnet == doubted_ || contested(subnet, node))) {
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
  if (Known* known = find(uid)) {
    known->cidrs = cidrs;
  } else if (known_.size() < kMaxKnown) {
    known_.append({uid, cidrs, true});
  }
}

}  // namespace flannelette::registry::kube
