// SPDX-License-Identifier: Apache-2.0
// IPv4 routes of table main.
#pragma once

#include <linux/rtnetlink.h>

#include <cerrno>
#include <optional>

#include "netlink.hpp"
#include "nexthop.hpp"

namespace flannelette::kernel {

/// rtm_protocol of our routes and nexthop objects.
inline constexpr std::uint8_t kRouteProtocol = 70;

/// An IPv4 route of table main.
struct MainRoute {
  Net4 destination;
  std::uint32_t metric = 0;
  std::uint8_t tos = 0;
  std::uint32_t mtu = 0;  ///< 0: that of the link
  std::uint8_t type = 0;  ///< RTN_UNICAST, ...
  std::uint8_t protocol = 0;
  Ip4 gateway;         ///< of a unicast route with one next hop, else 0.0.0.0
  bool plain = false;  ///< unicast, one next hop, no nexthop object
  bool onlink = false;
  bool odd = false;              ///< has what ours never have: metrics, a source, ...
  bool dead = false;             ///< its link is down
  int first_link = 0;            ///< of the first next hop that is not dead, 0 if none (blackhole)
  bool one_link = false;         ///< all next hops are on first_link
  std::uint32_t nexthop_id = 0;  ///< with sysctl nexthop_compat_mode = 0 it stands for link and gateway

  /// It leads through this nexthop object, as far as it says.
  bool uses(const NexthopObject& object) const {
    if (object.id == 0 || nexthop_id != object.id || type != RTN_UNICAST) return false;
    return first_link == 0 || leads_through(object);
  }
  bool leads_through(const NexthopObject& object) const {
    return one_link && first_link == object.link && onlink == object.onlink && gateway == object.gateway;
  }
  /// A flannelette, if maybe not we, made it for a peer on the link of its underlay.
  bool direct() const {
    return protocol == kRouteProtocol && type == RTN_UNICAST &&
           (plain ? !onlink && gateway != Ip4{} : DirectNexthopIds::holds(nexthop_id));
  }
};

/// nullopt: not an IPv4 route of table main.
std::optional<MainRoute> read_main_route(const nlmsghdr& message);

/// `visit` for each. `link`, `protocol` 0: of all; else the kernel filters if it can: filter again.
Result<void> dump_main_routes(Netlink& netlink, int link, std::uint8_t protocol,
                              FunctionRef<void(const MainRoute&)> visit);

}  // namespace flannelette::kernel
