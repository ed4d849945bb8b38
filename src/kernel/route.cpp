// SPDX-License-Identifier: Apache-2.0
// Reads routes of table main.
#include "route.hpp"

#include <cerrno>

namespace flannelette::kernel {
namespace {

void read_multipath(std::span<const std::byte> bytes, MainRoute& route) {
  int hops = 0;
  bool dead = false;  // that on first_link
  while (const auto* hop = take<rtnexthop, &rtnexthop::rtnh_len>(bytes)) {
    if (hops++ == 0) {
      route.one_link = true;
    } else {
      if (hop->rtnh_ifindex != route.first_link) route.one_link = false;
      if (!dead) continue;
    }
    route.first_link = hop->rtnh_ifindex;
    dead = (hop->rtnh_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0;
  }
}

}  // namespace

std::optional<MainRoute> read_main_route(const nlmsghdr& message) {
  const auto* header = header_of<rtmsg>(message);
  if ((message.nlmsg_type != RTM_NEWROUTE && message.nlmsg_type != RTM_DELROUTE) || header == nullptr)
    return std::nullopt;
  const auto attributes = attributes_of<rtmsg>(message);
  if (header->rtm_family != AF_INET || (header->rtm_flags & RTM_F_CLONED) != 0 || header->rtm_dst_len > 32 ||
      attributes.u32(RTA_TABLE, header->rtm_table) != RT_TABLE_MAIN) {
    return std::nullopt;
  }
  MainRoute route;
  route.destination = {attributes.ip4(RTA_DST, Ip4{}), header->rtm_dst_len};
  route.metric = attributes.u32(RTA_PRIORITY, 0);
  route.tos = header->rtm_tos;
  route.mtu = attributes.nested(RTA_METRICS).u32(RTAX_MTU, 0);
  route.type = header->rtm_type;
  route.protocol = header->rtm_protocol;
  route.onlink = (header->rtm_flags & RTNH_F_ONLINK) != 0;
  route.dead = (header->rtm_flags & RTNH_F_DEAD) != 0;
  for (const std::uint16_t type : {RTA_PREFSRC, RTA_METRICS, RTA_FLOW, RTA_ENCAP})
    route.odd = route.odd || attributes.has(type);
  route.nexthop_id = attributes.u32(RTA_NH_ID, 0);
  if (const auto link = attributes.u32(RTA_OIF)) {
    route.first_link = static_cast<int>(*link);
    route.one_link = true;
  }
  if (attributes.has(RTA_MULTIPATH)) {
    read_multipath(attributes.bytes(RTA_MULTIPATH), route);
  } else if (route.type == RTN_UNICAST) {
    route.plain = route.nexthop_id == 0;
    route.gateway = attributes.ip4(RTA_GATEWAY, Ip4{});
  }
  return route;
}

Result<void> dump_main_routes(Netlink& netlink, int link, std::uint8_t protocol,
                              FunctionRef<void(const MainRoute&)> visit) {
  auto& request = netlink.request<rtmsg>(RTM_GETROUTE);
  request.rtm_family = AF_INET;
  request.rtm_table = RT_TABLE_MAIN;
  request.rtm_protocol = protocol;
  if (link != 0) netlink.out().put_u32(RTA_OIF, static_cast<std::uint32_t>(link));
  auto result = netlink.dump("list routes", [&](const nlmsghdr& message) {
    if (const auto route = read_main_route(message)) visit(*route);
  });
  // Table main is made by its first route.
  if (!result && result.error().sys_errno == ENOENT) return {};
  return result;
}

}  // namespace flannelette::kernel
