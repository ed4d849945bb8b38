// SPDX-License-Identifier: Apache-2.0
// Which subnet is to be claimed, and what a record of our subnet means. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "flannelette/overlay/allocation.hpp"
#include "flannelette/registry/registry.hpp"

namespace flannelette::registry::etcd {

/// What is to be claimed.
struct Choice {
  std::optional<overlay::LeaseKey> key{};  ///< none: no subnet is free
  std::int64_t modified = 0;  ///< the record is there, of that age; 0: nobody may hold the subnet
  bool always_write = false;
  std::optional<Mac> mac{};     ///< of our own record, or a new one since the saved one is in use
  std::optional<Net4> unfit{};  ///< our own record's, that cannot be kept
};
/// Our own record first, then the hinted subnet, then any that is free. `blocked` is one that is free by the
/// leases, but not to be had.
Choice choose(const Hints& hints, const overlay::NetworkConfig& network, Ip4 public_ip,
              const std::optional<Net4>& blocked, Random& random);

/// The record that we wrote, or are writing.
struct OwnRecord {
  overlay::LeaseKey key;
  Ip4 public_ip;
  Mac mac;                        ///< zero: the backend has none
  std::int64_t modified = 0;      ///< as we know it
  std::array<Ip4, 2> held_ips{};  ///< under which we held it last, and before that
};
enum class Finding : std::uint8_t {
  kOurs,      ///< at the age that we know
  kDeleted,   ///< there is none
  kRestored,  ///< ours, but earlier: a snapshot was restored, and it may hang on another lease
  kTwin,      ///< our own words, but not our hand: a node with our address (and, having found our record, our
              ///< MAC)
  kRival,
};
/// Whether the record may be ours, also of before: our MAC is ours alone; without one an address that we
/// have, or had, tells.
bool is_own(const overlay::Allocation::Holder& holder, const OwnRecord& own);
/// `holder` is what is there. A record of ours that is not `held` may say what was true before.
Finding compare(const std::optional<overlay::Allocation::Holder>& holder, const OwnRecord& own, bool held);

}  // namespace flannelette::registry::etcd
