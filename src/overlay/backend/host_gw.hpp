// SPDX-License-Identifier: Apache-2.0
// The host-gw backend.
#pragma once

#include "flannelette/overlay/backend.hpp"

namespace flannelette::overlay {

extern const Backend kHostGwBackend;

/// Backend::entry of a peer that is reached without a gateway: a route by its PublicIP.
bool direct_entry(Entry::Kind kind, const PeerRecord& peer, Entry& out);

}  // namespace flannelette::overlay
