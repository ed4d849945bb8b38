// SPDX-License-Identifier: Apache-2.0
// What differs from one flannel backend to another. A new one is a file of src/overlay/backend and a line in
// backend.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "flannelette/json/document.hpp"
#include "flannelette/overlay/device.hpp"
#include "flannelette/overlay/entry.hpp"
#include "flannelette/overlay/ignored.hpp"
#include "flannelette/overlay/lease.hpp"
#include "flannelette/overlay/local_node.hpp"

namespace flannelette::overlay {

struct PeerRecord;  // src/overlay/peer_record.hpp

struct Backend {
  std::string_view type;  ///< of a config and of a lease

  /// Settings out of the text of a config's Backend object, which is well-formed. nullopt: all is well.
  std::optional<ConfigProblem> (*read_settings)(std::string_view object, NetworkConfig& config);
  /// BackendData out of a lease value, whatever it is; false: broken JSON. nullptr: there is none.
  bool (*read_data)(json::Document& document, LeaseValue& value);
  /// BackendData into one. nullptr: there is none.
  void (*write_data)(Writer& out, const LeaseValue& value);
  /// The device that this node should have; its `mtu` is 0 where the underlay's is too small. nullptr: routes
  /// lead through the underlay, and PublicIP is the address of its link.
  DeviceSpec (*device)(const NetworkConfig& config, Ip4 local, std::uint32_t underlay_mtu, const Mac& mac);
  /// Why a peer's data is not good enough for us; kNo if it is.
  Ignored (*validate)(const PeerRecord& peer, const LocalNode& local);
  /// What a peer is of this kind, into a fresh entry; false: nothing.
  bool (*entry)(Entry::Kind kind, const PeerRecord& peer, Entry& out);
};

/// nullptr: it is not built in.
const Backend* built_in(BackendType type);
/// That of a network.
inline const Backend& backend_of(const NetworkConfig& config) { return *built_in(config.backend); }
/// kOther if it is not built in. `same`: how letters are compared.
BackendType backend_type(std::string_view type, bool (*same)(std::string_view, std::string_view));

/// The value of our own record.
LeaseValue own_value(const NetworkConfig& config, const Ip& public_ip, const Mac& mac);

}  // namespace flannelette::overlay
