// SPDX-License-Identifier: Apache-2.0
// vxlan: one device for all peers; a route, a neighbour and an FDB entry for each.
#include "overlay/backend/vxlan.hpp"

#include "overlay/peer_record.hpp"

namespace flannelette::overlay {
namespace {

Ignored validate_peer(const PeerRecord& peer, const LocalNode& local) {
  const Form form = peer.value_form();
  if (form == Form::kVxlanWithoutData || peer.mac.zero() || !peer.mac.unicast()) return Ignored::kBadMac;
  if (local.mac && peer.mac == *local.mac) return Ignored::kOurMac;
  if (form == Form::kVxlanWrongVni) return Ignored::kOtherVni;
  if (form == Form::kVxlan && peer.vni() != local.config.vni) return Ignored::kOtherVni;
  return Ignored::kNo;
}

/// The gateway is the address of the peer's device, which is the subnet's base.
std::optional<Entry> entry_of(Entry::Kind kind, const PeerRecord& peer) {
  const Net4 subnet = peer.subnet();
  switch (kind) {
    case Entry::Kind::kRoute: return Entry::route(subnet, subnet.base);
    case Entry::Kind::kNexthop: return Entry::nexthop(subnet, subnet.base);
    case Entry::Kind::kNeighbour: return Entry::neighbour(subnet, peer.mac);
    case Entry::Kind::kFdb: return Entry::fdb(peer.mac, Ip4{peer.public_ip}, subnet);
  }
  return std::nullopt;
}

/// On our own device everything is ours but what the kernel itself has learned.
bool owns(const Entry& have) { return have.permanent; }

}  // namespace

const Backend kVxlanBackend{.validate = validate_peer, .entry = entry_of, .owns = owns};

}  // namespace flannelette::overlay
