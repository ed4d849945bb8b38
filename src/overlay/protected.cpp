// SPDX-License-Identifier: Apache-2.0
// Addresses that must never be routed into the overlay.
#include "flannelette/overlay/protected.hpp"

namespace flannelette::overlay {

std::string_view name(ProtectedAddress::Kind kind) {
  switch (kind) {
    case ProtectedAddress::Kind::kUnderlay: return "our underlay address";
    case ProtectedAddress::Kind::kGateway: return "our gateway";
    case ProtectedAddress::Kind::kRegistry: return "the registry";
    case ProtectedAddress::Kind::kHost: return "another address of this node";
  }
  return "";
}

void ProtectedAddresses::add(Ip4 ip, ProtectedAddress::Kind kind) {
  if (ip.value == 0 || count_ == kMax || in({ip, 32}) != nullptr) return;
  items_[count_++] = {ip, kind};
  if (kind != ProtectedAddress::Kind::kHost) essential_ = count_;
}

const ProtectedAddress* ProtectedAddresses::in(Net4 subnet, std::size_t count) const {
  for (std::size_t i = 0; i < count; ++i) {
    if (subnet.contains(items_[i].ip)) return &items_[i];
  }
  return nullptr;
}

}  // namespace flannelette::overlay
