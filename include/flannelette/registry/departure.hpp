// SPDX-License-Identifier: Apache-2.0
// A node leaves its cluster for good: what it published is taken back.
#pragma once

#include <cstdint>

#include "flannelette/base/delegate.hpp"
#include "flannelette/base/ip.hpp"
#include "flannelette/overlay/lease.hpp"

namespace flannelette::registry {

/// What a node published, as its own files remember it.
struct Published {
  Net4 subnet;
  Mac mac;  ///< zero: the backend has none, and public_ip tells the record
  Ip public_ip;

  bool is(const overlay::LeaseValue& value) const {
    return value.mac == mac && (!mac.zero() || value.public_ip == public_ip);
  }
};

enum class Departed : std::uint8_t {
  kGone,      ///< it was there, and is no more
  kAbsent,    ///< it was not there
  kReserved,  ///< it is a reservation, which the operator made: left as it is
  kForeign,   ///< another node's is there: left as it is
};

using OnDeparted = Delegate<void(Departed)>;

}  // namespace flannelette::registry
