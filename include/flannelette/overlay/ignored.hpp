// SPDX-License-Identifier: Apache-2.0
// Why a lease is not a peer.
#pragma once

#include <cstdint>
#include <string_view>

namespace flannelette::overlay {

enum class Ignored : std::uint8_t {
  kNo,            ///< it is a peer
  kOurs,          ///< our own record: our subnet, under our PublicIP or with our MAC
  kOtherBackend,  ///< another BackendType, or none
  kUnreadable,    ///< the value is not a lease value
  kBadSubnet,     ///< outside Network, Network itself, longer than /30, or host bits set
  kOverlapsOurs,
  kBadPublicIp,  ///< not unicast, loopback, or the underlay's broadcast address
  kOurPublicIp,  ///< another subnet under our own PublicIP
  kBadMac,       ///< absent, zero, multicast
  kOurMac,
  kOtherVni,        ///< an absent VNI is taken for ours, as flanneld takes any
  kHoldsProtected,  ///< its subnet holds a protected address: its route would cut this node off
  kHoldsPublicIp,   ///< its subnet holds its own PublicIP: packets to it would go in circles
  /// Shadowed by a conflicting lease (overlap, same MAC or same PublicIP); promoted when that one goes.
  kConflict,
};
/// A phrase for the log: "its subnet overlaps ours".
std::string_view name(Ignored reason);

}  // namespace flannelette::overlay
