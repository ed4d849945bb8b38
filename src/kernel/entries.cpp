// SPDX-License-Identifier: Apache-2.0
// Dumps of the entries of our device, and the requests that change one.
#include "entries.hpp"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "route.hpp"

namespace flannelette::kernel {
namespace {

using overlay::Change;

Result<void> dump_neighbours(Netlink& netlink, int index, EntryVisitor& visitor) {
  netlink.request<ndmsg>(RTM_GETNEIGH).ndm_family = AF_INET;
  netlink.out().put_u32(NDA_IFINDEX, static_cast<std::uint32_t>(index));
  return netlink.dump("list neighbours", [&](const nlmsghdr& message) {
    const auto* header = header_of<ndmsg>(message);
    if (message.nlmsg_type != RTM_NEWNEIGH || header == nullptr || header->ndm_family != AF_INET ||
        header->ndm_ifindex != index || (header->ndm_flags & NTF_PROXY) != 0) {
      return;
    }
    // The kernel's own: multicast and broadcast addresses, which nobody can resolve.
    if ((header->ndm_state & NUD_NOARP) != 0) return;
    const auto attributes = attributes_of<ndmsg>(message);
    const auto ip = attributes.ip4(NDA_DST);
    if (!ip) return;
    visitor.entry(overlay::Neighbour{*ip, attributes.mac(NDA_LLADDR).value_or(Mac{}),
                                     (header->ndm_state & NUD_PERMANENT) != 0});
  });
}

Result<void> dump_fdb(Netlink& netlink, int index, EntryVisitor& visitor) {
  auto& request = netlink.request<ndmsg>(RTM_GETNEIGH);
  request.ndm_family = AF_BRIDGE;
  // A kernel without strict checking reads an ifinfomsg, which has the index at the same place.
  request.ndm_ifindex = index;
  return netlink.dump("list FDB entries", [&](const nlmsghdr& message) {
    const auto* header = header_of<ndmsg>(message);
    if (message.nlmsg_type != RTM_NEWNEIGH || header == nullptr || header->ndm_family != AF_BRIDGE ||
        header->ndm_ifindex != index || (header->ndm_flags & NTF_SELF) == 0) {
      return;
    }
    const auto attributes = attributes_of<ndmsg>(message);
    const auto mac = attributes.mac(NDA_LLADDR);
    const auto remote = attributes.ip4(NDA_DST);
    if (!mac || !remote) return;
    // A port, VNI or link is shown only where it is not the device's own: such an entry is not as we make it.
    const bool odd = attributes.has(NDA_PORT) || attributes.has(NDA_VNI) || attributes.has(NDA_IFINDEX);
    visitor.entry(overlay::Fdb{*mac, *remote, (header->ndm_state & NUD_PERMANENT) != 0 && !odd});
  });
}

Result<void> dump_routes(Netlink& netlink, const Place& place, EntryVisitor& visitor) {
  return dump_main_routes(netlink, place.index, [&](const MainRoute& route) {
    const Ip4 base = route.destination.base;
    if (route.uses(place.ids.of(base), place.index, base)) {
      const bool wanted = place.use == NexthopUse::kMake;
      return visitor.entry(overlay::Route{route.destination, base, wanted, route.metric});
    }
    if (route.first_link != place.index || !route.one_link) return;
    visitor.entry(overlay::Route{route.destination, route.plain ? route.gateway : Ip4{},
                                 route.onlink && route.plain, route.metric});
  });
}

Result<void> dump_objects(Netlink& netlink, const Place& place, EntryVisitor& visitor) {
  if (place.use == NexthopUse::kNone) return {};
  return dump_nexthops(netlink, place.index, [&](const NexthopObject& object) {
    if (object.link != place.index || !NexthopIds::holds(object.id)) return;
    const Ip4 base = place.ids.base(object.id);
    const bool right = place.use == NexthopUse::kMake && object.onlink && object.gateway == base;
    visitor.entry(overlay::NextHop{base, right});
  });
}

void put_neighbour(MessageWriter& out, std::uint32_t sequence, int index, const Change& change, bool remove) {
  auto& request = out.start<ndmsg>(remove ? RTM_DELNEIGH : RTM_NEWNEIGH,
                                   remove ? 0 : NLM_F_CREATE | NLM_F_REPLACE, sequence);
  request.ndm_family = AF_INET;
  request.ndm_ifindex = index;
  request.ndm_state = NUD_PERMANENT;
  request.ndm_type = RTN_UNICAST;
  out.put_ip4(NDA_DST, change.subnet.base);
  if (!remove) out.put_mac(NDA_LLADDR, change.mac);
}

void put_fdb(MessageWriter& out, std::uint32_t sequence, int index, const Change& change, bool remove) {
  auto& request = out.start<ndmsg>(remove ? RTM_DELNEIGH : RTM_NEWNEIGH,
                                   remove ? 0 : NLM_F_CREATE | NLM_F_REPLACE, sequence);
  request.ndm_family = AF_BRIDGE;
  request.ndm_ifindex = index;
  request.ndm_state = NUD_PERMANENT;
  request.ndm_flags = NTF_SELF;
  out.put_mac(NDA_LLADDR, change.mac);
  out.put_ip4(NDA_DST, change.remote);
}

void put_route(MessageWriter& out, std::uint32_t sequence, int index, const Change& change,
               std::uint32_t nexthop_id, RouteMode mode) {
  const std::uint16_t flags = NLM_F_CREATE | (mode == RouteMode::kReplace ? NLM_F_REPLACE : NLM_F_EXCL);
  auto& request = out.start<rtmsg>(RTM_NEWROUTE, flags, sequence);
  request.rtm_family = AF_INET;
  request.rtm_dst_len = change.subnet.length;
  request.rtm_table = RT_TABLE_MAIN;
  request.rtm_protocol = kRouteProtocol;
  request.rtm_scope = RT_SCOPE_UNIVERSE;
  request.rtm_type = RTN_UNICAST;
  out.put_ip4(RTA_DST, change.subnet.base);
  if (nexthop_id != 0) return out.put_u32(RTA_NH_ID, nexthop_id);
  request.rtm_flags = RTNH_F_ONLINK;
  out.put_ip4(RTA_GATEWAY, change.subnet.base);
  out.put_u32(RTA_OIF, static_cast<std::uint32_t>(index));
}

rtmsg& start_delete_route(MessageWriter& out, std::uint32_t sequence, Net4 destination,
                          std::uint32_t metric) {
  auto& request = out.start<rtmsg>(RTM_DELROUTE, 0, sequence);
  request.rtm_family = AF_INET;
  request.rtm_dst_len = destination.length;
  request.rtm_table = RT_TABLE_MAIN;
  request.rtm_scope = RT_SCOPE_NOWHERE;  // any
  out.put_ip4(RTA_DST, destination.base);
  if (metric != 0) out.put_u32(RTA_PRIORITY, metric);
  return request;
}

}  // namespace

Result<void> dump_entries(Netlink& netlink, const Place& place, EntryVisitor& visitor) {
  FLT_TRY(dump_routes(netlink, place, visitor));
  FLT_TRY(dump_objects(netlink, place, visitor));
  FLT_TRY(dump_neighbours(netlink, place.index, visitor));
  return dump_fdb(netlink, place.index, visitor);
}

void put_change(MessageWriter& out, std::uint32_t sequence, int index, const Change& change,
                std::uint32_t nexthop_id, RouteMode mode) {
  switch (change.kind) {
    case Change::Kind::kUpsertNeighbour: return put_neighbour(out, sequence, index, change, false);
    case Change::Kind::kDeleteNeighbour: return put_neighbour(out, sequence, index, change, true);
    case Change::Kind::kUpsertFdb: return put_fdb(out, sequence, index, change, false);
    case Change::Kind::kDeleteFdb: return put_fdb(out, sequence, index, change, true);
    case Change::Kind::kUpsertRoute: return put_route(out, sequence, index, change, nexthop_id, mode);
    case Change::Kind::kDeleteRoute:
      start_delete_route(out, sequence, change.subnet, change.metric);
      if (nexthop_id != 0) return out.put_u32(RTA_NH_ID, nexthop_id);
      return out.put_u32(RTA_OIF, static_cast<std::uint32_t>(index));
  }
}

void put_delete_route(MessageWriter& out, std::uint32_t sequence, int index, const MainRoute& route) {
  rtmsg& request = start_delete_route(out, sequence, route.destination, route.metric);
  if (route.nexthop_id != 0) return out.put_u32(RTA_NH_ID, route.nexthop_id);
  out.put_u32(RTA_OIF, static_cast<std::uint32_t>(index));
  if (route.gateway != Ip4{}) return out.put_ip4(RTA_GATEWAY, route.gateway);
  request.rtm_scope = RT_SCOPE_LINK;  // tells it from a route with a gateway
}

}  // namespace flannelette::kernel
