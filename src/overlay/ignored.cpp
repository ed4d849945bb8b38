// SPDX-License-Identifier: Apache-2.0
// The phrases for why a lease is not a peer.
#include "flannelette/overlay/ignored.hpp"

namespace flannelette::overlay {

std::string_view name(Ignored reason) {
  switch (reason) {
    case Ignored::kNo: return "it is a peer";
    case Ignored::kOurs: return "it is our own";
    case Ignored::kOtherBackend: return "its backend is not ours";
    case Ignored::kUnreadable: return "its value is not a lease";
    case Ignored::kBadSubnet: return "its subnet is not a subnet of the network";
    case Ignored::kOverlapsOurs: return "its subnet overlaps ours";
    case Ignored::kBadPublicIp: return "its public IP is not a unicast address of one host";
    case Ignored::kOurPublicIp: return "its public IP is ours";
    case Ignored::kBadMac: return "its VTEP MAC is missing or not unicast";
    case Ignored::kOurMac: return "its VTEP MAC is ours";
    case Ignored::kOtherVni: return "its VNI is not ours";
    case Ignored::kHoldsProtected: return "its subnet holds an address that this node depends on";
    case Ignored::kHoldsPublicIp: return "its subnet holds its own public IP";
    case Ignored::kConflict: return "it conflicts with another record";
  }
  return "";
}

}  // namespace flannelette::overlay
