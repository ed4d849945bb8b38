// SPDX-License-Identifier: Apache-2.0
// What a registry in which each node chooses its own subnet asks of the leases that are known.
#pragma once

#include <cstdint>
#include <optional>

#include "flannelette/base/ip.hpp"
#include "flannelette/base/random.hpp"
#include "flannelette/overlay/config.hpp"
#include "flannelette/overlay/lease.hpp"

namespace flannelette::overlay {

/// Questions without side effects; the lease table answers them.
class Allocation {
 public:
  struct Own {
    LeaseKey key;
    Mac mac;                    ///< zero if the record has none
    bool same_backend = false;  ///< it is of the config's backend
    bool usable = false;
    std::int64_t created = 0;
    std::int64_t modified = 0;
  };
  struct Holder {
    LeaseKey key;
    Ip4 public_ip;
    Mac mac;
    std::int64_t modified = 0;
    bool readable = true;
  };

  /// The readable record with this PublicIP that is best to take over, our own before the restart: a usable
  /// one before another, the config's backend before another, then the one modified last, then the one before
  /// by subnet. `usable` is one that fits(), without IPv6 part. None for 0.0.0.0, which IPv6-only nodes
  /// write.
  virtual std::optional<Own> find_own(Ip4 public_ip) const = 0;
  /// The record that holds exactly this subnet, if any; one with an IPv6 part only if there is none without.
  virtual std::optional<Holder> find_holder(Net4 subnet) const = 0;
  /// Whether any record, readable or not, of whatever backend, overlaps this subnet. A record that covers the
  /// whole Network (the 0.0.0.0-0 of IPv6-only nodes) holds no subnet of it and takes nothing, here and in
  /// choose_free.
  virtual bool taken(Net4 subnet) const = 0;
  /// Whether this subnet may be ours: of the configured length, in SubnetMin..SubnetMax, holding no protected
  /// address.
  virtual bool fits(Net4 subnet) const = 0;
  /// A subnet chosen uniformly among all that fit and overlap no record. nullopt: none is free.
  virtual std::optional<Net4> choose_free(const NetworkConfig& config, Random& random) const = 0;

 protected:
  ~Allocation() = default;
};

}  // namespace flannelette::overlay
