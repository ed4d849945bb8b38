// SPDX-License-Identifier: Apache-2.0
// What the data plane of this node should come to.
#pragma once

#include "agent/underlay.hpp"
#include "flannelette/overlay/config.hpp"
#include "flannelette/overlay/protected.hpp"

namespace flannelette::agent {

struct Target {
  overlay::NetworkConfig config;
  Underlay underlay;
  Net4 subnet;  ///< ours, host bits cleared
  Mac mac;
  overlay::ProtectedAddresses protected_addresses;
};

}  // namespace flannelette::agent
