// SPDX-License-Identifier: Apache-2.0
// What differs from one flannel backend to another. A new one is a file of src/overlay/backend and a line in
// backend.cpp.
#pragma once

#include <optional>

#include "flannelette/overlay/entry.hpp"
#include "flannelette/overlay/ignored.hpp"
#include "flannelette/overlay/local_node.hpp"

namespace flannelette::overlay {

struct PeerRecord;  // src/overlay/peer_record.hpp

struct Backend {
  /// Why a peer's data is not good enough for us; kNo if it is.
  Ignored (*validate)(const PeerRecord& peer, const LocalNode& local);
  /// What a peer is of this kind; nullopt: nothing.
  std::optional<Entry> (*entry)(Entry::Kind kind, const PeerRecord& peer);
  /// Whether an entry of a dump that is no peer's was made by us, so that it is stale.
  bool (*owns)(const Entry& have);
};

/// That of a network.
const Backend& backend_of(const NetworkConfig& config);

}  // namespace flannelette::overlay
