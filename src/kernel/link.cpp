// SPDX-License-Identifier: Apache-2.0
// Links of the machine, the routes that it goes by, and its route to an address.
#include "link.hpp"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "route.hpp"

namespace flannelette::kernel {
namespace {

/// IFF_LOWER_UP, which <net/if.h> does not know: there is a carrier. IFF_RUNNING: nor is the link dormant or
/// its lower one down (operstate UP or UNKNOWN).
constexpr unsigned kCarrier = (1u << 16) | IFF_RUNNING;

}  // namespace

Result<void> dump_links(Netlink& netlink, LinkVisitor& visitor) {
  netlink.request<ifinfomsg>(RTM_GETLINK);
  netlink.out().put_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  return netlink.dump("list links", [&](const nlmsghdr& message) {
    const auto* header = header_of<ifinfomsg>(message);
    if (message.nlmsg_type != RTM_NEWLINK || header == nullptr) return;
    const auto attributes = attributes_of<ifinfomsg>(message);
    Link link;
    link.index = header->ifi_index;
    if (!link.name.assign(attributes.text(IFLA_IFNAME))) return;
    link.mtu = attributes.u32(IFLA_MTU, 0);
    link.up = (header->ifi_flags & IFF_UP) != 0;
    link.carrier = (~header->ifi_flags & kCarrier) == 0;
    link.loopback = (header->ifi_flags & IFF_LOOPBACK) != 0;
    visitor.link(link);
  });
}

Result<void> dump_routes(Netlink& netlink, RouteVisitor& visitor) {
  return dump_main_routes(netlink, 0, 0, [&](const MainRoute& route) {
    if (route.destination.length != 0 && (route.mtu == 0 || route.protocol == kRouteProtocol)) return;
    if (route.type != RTN_UNICAST || route.tos != 0 || route.dead || route.first_link == 0) return;
    visitor.route({route.first_link, route.gateway, route.metric, route.mtu, route.destination});
  });
}

Result<std::optional<RouteAnswer>> route_to(Netlink& netlink, const Ip& destination) {
  if (!destination.is_v4()) return std::optional<RouteAnswer>{};
  auto& request = netlink.request<rtmsg>(RTM_GETROUTE);
  request.rtm_family = AF_INET;
  request.rtm_dst_len = 32;
  netlink.out().put_ip4(RTA_DST, destination.v4());
  std::optional<RouteAnswer> answer;
  const auto asked = netlink.get("look up a route", [&](const nlmsghdr& message) {
    const auto* header = header_of<rtmsg>(message);
    if (message.nlmsg_type != RTM_NEWROUTE || header == nullptr) return;
    const auto attributes = attributes_of<rtmsg>(message);
    const auto link = attributes.u32(RTA_OIF);
    if (!link) return;
    answer = RouteAnswer{static_cast<int>(*link), attributes.ip4(RTA_PREFSRC, Ip4{}),
                         attributes.ip4(RTA_GATEWAY, Ip4{})};
  });
  if (!asked) {
    switch (asked.error().sys_errno) {
      case ENETUNREACH:  // no route, or an unreachable one
      case EHOSTUNREACH:
      case EACCES:  // prohibit
      case EINVAL:  // blackhole
        return std::optional<RouteAnswer>{};
      default: return asked.error();
    }
  }
  return answer;
}

Result<LinkTraffic> link_traffic(Netlink& netlink, int link_index) {
  netlink.request<ifinfomsg>(RTM_GETLINK).ifi_index = link_index;
  rtnl_link_stats64 stats{};
  FLT_TRY(netlink.get("read a link's counters", [&](const nlmsghdr& message) {
    const auto bytes = attributes_of<ifinfomsg>(message).bytes(IFLA_STATS64);
    std::memcpy(&stats, bytes.data(), std::min(bytes.size(), sizeof stats));  // older kernels have fewer
  }));
  return LinkTraffic{stats.rx_packets, stats.tx_packets, stats.rx_bytes, stats.tx_bytes,
                     stats.rx_dropped + stats.tx_dropped + stats.tx_errors};
}

}  // namespace flannelette::kernel
