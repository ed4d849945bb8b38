// SPDX-License-Identifier: Apache-2.0
// host-gw: no device; a peer is a route by its PublicIP, which must be on the underlay's link.
#include "overlay/backend/host_gw.hpp"

#include "overlay/peer_record.hpp"

namespace flannelette::overlay {
namespace {

/// There are none; flanneld passes over what else is there.
std::optional<ConfigProblem> read_settings(std::string_view, NetworkConfig& config) {
  config.direct = true;
  config.port = 0;
  return std::nullopt;
}

Ignored validate_peer(const PeerRecord&, const LocalNode&) { return Ignored::kNo; }

}  // namespace

bool direct_entry(Entry::Kind kind, const PeerRecord& peer, Entry& out) {
  if (kind != Entry::Kind::kRoute && kind != Entry::Kind::kNexthop) return false;
  out.kind = kind;
  out.net = peer.subnet();
  out.via = Ip4{peer.public_ip};
  out.onlink = false;
  out.underlay = true;
  return true;
}

const Backend kHostGwBackend{
    .type = "host-gw",
    .read_settings = read_settings,
    .read_data = nullptr,
    .write_data = nullptr,
    .device = nullptr,
    .validate = validate_peer,
    .entry = direct_entry,
};

}  // namespace flannelette::overlay
