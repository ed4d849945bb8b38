// SPDX-License-Identifier: Apache-2.0
// Reads and writes nexthop objects.
#include "nexthop.hpp"

#include <cerrno>

#include "route.hpp"

namespace flannelette::kernel {

std::optional<NexthopObject> read_nexthop(const nlmsghdr& message) {
  const auto* header = header_of<nhmsg>(message);
  if ((message.nlmsg_type != RTM_NEWNEXTHOP && message.nlmsg_type != RTM_DELNEXTHOP) || header == nullptr)
    return std::nullopt;
  const auto attributes = attributes_of<nhmsg>(message);
  NexthopObject object;
  object.id = attributes.u32(NHA_ID, 0);
  object.link = static_cast<int>(attributes.u32(NHA_OIF, 0));
  object.gateway = attributes.ip4(NHA_GATEWAY, Ip4{});
  object.onlink = (header->nh_flags & RTNH_F_ONLINK) != 0;
  object.protocol = header->nh_protocol;
  return object;
}

Result<bool> has_nexthops(Netlink& netlink) {
  netlink.out().clear();
  put_nexthop_id(netlink.out(), netlink.next_sequence(), RTM_GETNEXTHOP, NexthopIds::kFirst);
  const auto asked = netlink.run("probe for nexthop objects");
  if (asked || asked.error().sys_errno == ENOENT) return true;
  // A kernel that does not know them takes the message for unsupported, or for none at all.
  if (asked.error().sys_errno == EOPNOTSUPP || asked.error().sys_errno == EINVAL) return false;
  return asked.error();
}

void put_nexthop(MessageWriter& out, std::uint32_t sequence, std::uint16_t flags,
                 const NexthopObject& object) {
  auto& request = out.start<nhmsg>(RTM_NEWNEXTHOP, NLM_F_CREATE | flags, sequence);
  request.nh_family = AF_INET;
  request.nh_protocol = kRouteProtocol;
  request.nh_flags = object.onlink ? RTNH_F_ONLINK : 0;
  out.put_u32(NHA_ID, object.id);
  out.put_u32(NHA_OIF, static_cast<std::uint32_t>(object.link));
  out.put_ip4(NHA_GATEWAY, object.gateway);
}

void put_nexthop_id(MessageWriter& out, std::uint32_t sequence, std::uint16_t type, std::uint32_t id) {
  out.start<nhmsg>(type, 0, sequence);
  out.put_u32(NHA_ID, id);
}

Result<void> dump_nexthops(Netlink& netlink, int link, FunctionRef<void(const NexthopObject&)> visit) {
  netlink.request<nhmsg>(RTM_GETNEXTHOP);
  netlink.out().put_u32(NHA_OIF, static_cast<std::uint32_t>(link));
  return netlink.dump("list nexthop objects", [&](const nlmsghdr& message) {
    if (const auto object = read_nexthop(message)) visit(*object);
  });
}

}  // namespace flannelette::kernel
