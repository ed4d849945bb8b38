// SPDX-License-Identifier: Apache-2.0
// What a record of the registry is for this node, for those who are shown it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "flannelette/base/ip.hpp"
#include "flannelette/overlay/ignored.hpp"

namespace flannelette::overlay {

struct PeerStatus {
  enum class State : std::uint8_t {
    kOurs,        ///< none: our own record
    kProgrammed,  ///< its entries are in the kernel, as far as is known
    kPending,     ///< they are to be
    kRefused,     ///< the kernel refused its route
    kIgnored,     ///< see `why`
  };
  static constexpr std::size_t kStates = static_cast<std::size_t>(State::kIgnored) + 1;

  State state = State::kPending;
  Ignored why = Ignored::kNo;
  bool direct = false;  ///< its route leads through the underlay
  Net subnet = Net4{};
  Ip public_ip = Ip4{};
  Mac mac;
  Net shadowed_by = Net4{};  ///< the peer that a record with kConflict gives way to
};

/// How many records are so.
struct PeerTotals {
  static constexpr std::size_t kReasons = static_cast<std::size_t>(Ignored::kConflict) + 1;

  std::array<std::uint32_t, PeerStatus::kStates> states{};
  std::array<std::uint32_t, kReasons> reasons{};
  std::uint32_t operator[](PeerStatus::State state) const { return states[static_cast<std::size_t>(state)]; }
};

}  // namespace flannelette::overlay
