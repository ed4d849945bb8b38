// SPDX-License-Identifier: Apache-2.0
// What this node is, as the lease table must know it to validate the leases of others.
#pragma once

#include <optional>

#include "flannelette/base/ip.hpp"
#include "flannelette/overlay/config.hpp"
#include "flannelette/overlay/protected.hpp"

namespace flannelette::overlay {

/// Until our own subnet is known `subnet` is empty, and nothing is programmed or removed.
struct LocalNode {
  NetworkConfig config;
  Ip public_ip = Ip4{};
  std::optional<Net4> subnet;
  std::optional<Mac> mac;
  Ip4 broadcast{};                           ///< of the underlay; 0.0.0.0: it has none
  ProtectedAddresses protected_addresses{};  ///< those in Network
  bool operator==(const LocalNode&) const = default;
};

}  // namespace flannelette::overlay
