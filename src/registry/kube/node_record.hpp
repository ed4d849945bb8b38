// SPDX-License-Identifier: Apache-2.0
// What a Node is to the overlay.
#pragma once

#include <optional>

#include "flannelette/overlay/lease.hpp"
#include "registry/kube/node.hpp"

namespace flannelette::registry::kube {

/// The record of a Node, under its pod CIDRs. Both ages are its creationTimestamp: what it says changes with
/// each heartbeat's resourceVersion otherwise, and of two Nodes that contradict each other the one that was
/// made last is right. nullopt where there can be none: flannel does not run there (any more), or its IPv4
/// pod CIDR is not there, not shown or contradictory. Unreadable where flannel would pass over the Node.
/// Nothing of IPv6 makes it so: a peer without IPv6 is one for IPv4 (flanneld of a dual-stack cluster drops
/// it).
std::optional<overlay::LeaseRecord> record_of(const Node& node, const PodCidrs& cidrs);
inline std::optional<overlay::LeaseRecord> record_of(const Node& node) {
  return record_of(node, node.pod_cidrs());
}

}  // namespace flannelette::registry::kube
