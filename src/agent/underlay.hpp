// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "flannelette/agent/settings.hpp"
#include "flannelette/base/ip.hpp"
#include "flannelette/kernel/kernel.hpp"

/// Which interface carries the overlay, and what our address is there. A pure choice over what the kernel
/// shows.
namespace flannelette::agent {

struct Underlay {
  int link_index = 0;
  kernel::InterfaceName name;
  std::uint32_t mtu = 0;
  Ip4 address;    ///< ours on the interface
  Ip4 public_ip;  ///< what peers send to
  Ip4 local;      ///< outer source of our packets: public_ip if some interface here has it, else `address`
  bool operator==(const Underlay&) const = default;
};

/// What the kernel shows; `links` and `addresses` in its order.
struct Surroundings {
  std::span<const kernel::Link> links;
  std::span<const kernel::Address> addresses;
  std::optional<int> default_route_link;
  std::optional<kernel::RouteAnswer> reached;  ///< answer for InterfaceSettings::can_reach, if that was asked
};

/// The choice, or why there is none yet (static text: "no interface has this name or address", ...).
struct UnderlayChoice {
  std::optional<Underlay> underlay;
  const char* missing = "";
};

UnderlayChoice choose_underlay(const InterfaceSettings& settings, const Surroundings& here);

/// Asks the kernel and chooses.
Result<UnderlayChoice> find_underlay(const InterfaceSettings& settings, kernel::Kernel& kernel);

}  // namespace flannelette::agent
