// SPDX-License-Identifier: Apache-2.0
// Dumps of the entries of peers, and the requests that change one.
#include "entries.hpp"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "route.hpp"

namespace flannelette::kernel {
namespace {

using overlay::Change;
using overlay::Entry;

/// The message about a neighbour or FDB entry of this family on the link; nullptr: it is about another thing.
const ndmsg* neighbour_of(const nlmsghdr& message, std::uint8_t family, int index) {
  const auto* header = header_of<ndmsg>(message);
  const bool is = (message.nlmsg_type == RTM_NEWNEIGH || message.nlmsg_type == RTM_DELNEIGH) &&
                  header != nullptr && header->ndm_family == family && header->ndm_ifindex == index;
  return is ? header : nullptr;
}

std::optional<Entry> read_neighbour(const nlmsghdr& message, int index) {
  const ndmsg* header = neighbour_of(message, AF_INET, index);
  if (header == nullptr || (header->ndm_flags & NTF_PROXY) != 0) return std::nullopt;
  // The kernel's own: multicast and broadcast addresses, which nobody can resolve.
  if ((header->ndm_state & NUD_NOARP) != 0) return std::nullopt;
  const auto attributes = attributes_of<ndmsg>(message);
  const auto ip = attributes.ip4(NDA_DST);
  if (!ip) return std::nullopt;
  Entry entry = Entry::neighbour(Net4{*ip, 32}, attributes.mac(NDA_LLADDR).value_or(Mac{}));
  entry.permanent = (header->ndm_state & NUD_PERMANENT) != 0;
  return entry;
}

std::optional<Entry> read_fdb(const nlmsghdr& message, int index) {
  const ndmsg* header = neighbour_of(message, AF_BRIDGE, index);
  if (header == nullptr || (header->ndm_flags & NTF_SELF) == 0) return std::nullopt;
  const auto attributes = attributes_of<ndmsg>(message);
  const auto mac = attributes.mac(NDA_LLADDR);
  const auto remote = attributes.ip4(NDA_DST);
  if (!mac || !remote) return std::nullopt;
  // A port, VNI or link is shown only where it is not the device's: such an entry is not as we make it.
  const bool odd = attributes.has(NDA_PORT) || attributes.has(NDA_VNI) || attributes.has(NDA_IFINDEX);
  Entry entry = Entry::fdb(*mac, odd ? Ip4{} : *remote);
  entry.permanent = (header->ndm_state & NUD_PERMANENT) != 0;
  return entry;
}

/// Nothing is inside a network that is not known.
bool inside(const Site& site, Net4 net) {
  const auto holds = [&](Net4 network) { return network.length != 0 && network.contains(net); };
  return holds(site.network) || holds(site.former);
}

/// nullopt: it is not ours.
std::optional<Entry> entry_of(const MainRoute& route, const Site& site, const Place& place) {
  const Ip4 base = route.destination.base;
  const NexthopObject object = place.object(route.destination, place.direct ? route.gateway : base);
  const bool through = route.uses(object);
  if (!through && !(route.first_link == place.index && route.one_link)) return std::nullopt;
  if (place.direct && !(route.direct() && inside(site, route.destination))) return std::nullopt;
  Entry entry = Entry::route(route.destination, object.gateway, route.metric);
  entry.tos = route.tos;
  entry.underlay = place.direct;
  if (!through) entry.via = route.plain ? route.gateway : Ip4{};
  const bool right =
      !route.odd && (through ? place.use == NexthopUse::kMake : route.plain && route.onlink != place.direct);
  entry.onlink = right != place.direct;
  return entry;
}

/// The subnet of an id; length 0: it is not ours.
Net4 subnet_of(const NexthopObject& object, const Site& site, const Place& place) {
  if (!place.direct) return NexthopIds::holds(object.id) ? Net4{place.ids.base(object.id), 32} : Net4{};
  if (!DirectNexthopIds::holds(object.id) || object.protocol != kRouteProtocol) return {};
  Ip4 base = DirectNexthopIds::base(object.id, site.network);
  if (!site.network.contains(base)) base = DirectNexthopIds::base(object.id, site.former);
  return inside(site, {base, 32}) ? Net4{base, 32} : Net4{};
}

std::optional<Entry> entry_of(const NexthopObject& object, const Site& site, const Place& place) {
  const Net4 subnet = subnet_of(object, site, place);
  if (subnet.length == 0) return std::nullopt;
  Entry entry = Entry::nexthop(subnet, object.gateway);
  entry.underlay = place.direct;
  const bool right = object.onlink != place.direct && place.use == NexthopUse::kMake;
  entry.onlink = right != place.direct;
  return entry;
}

Result<void> dump_neighbours(Netlink& netlink, int index, EntryVisitor& visitor) {
  netlink.request<ndmsg>(RTM_GETNEIGH).ndm_family = AF_INET;
  netlink.out().put_u32(NDA_IFINDEX, static_cast<std::uint32_t>(index));
  return netlink.dump("list neighbours", [&](const nlmsghdr& message) {
    if (const auto entry = read_neighbour(message, index)) visitor.entry(*entry);
  });
}

Result<void> dump_fdb(Netlink& netlink, int index, EntryVisitor& visitor) {
  auto& request = netlink.request<ndmsg>(RTM_GETNEIGH);
  request.ndm_family = AF_BRIDGE;
  // A kernel without strict checking reads an ifinfomsg, which has the index at the same place.
  request.ndm_ifindex = index;
  return netlink.dump("list FDB entries", [&](const nlmsghdr& message) {
    if (const auto entry = read_fdb(message, index)) visitor.entry(*entry);
  });
}

Result<void> dump_routes(Netlink& netlink, const Site& site, const Place& place, EntryVisitor& visitor) {
  const std::uint8_t protocol = place.direct ? kRouteProtocol : std::uint8_t{0};
  return dump_main_routes(netlink, place.index, protocol, [&](const MainRoute& route) {
    if (const auto entry = entry_of(route, site, place)) visitor.entry(*entry);
  });
}

Result<void> dump_objects(Netlink& netlink, const Site& site, const Place& place, EntryVisitor& visitor) {
  if (place.use == NexthopUse::kNone) return {};
  return dump_nexthops(netlink, place.index, [&](const NexthopObject& object) {
    if (object.link != place.index) return;
    if (const auto entry = entry_of(object, site, place)) visitor.entry(*entry);
  });
}

Result<void> dump_place(Netlink& netlink, const Site& site, bool direct, NexthopUse use,
                        EntryVisitor& visitor) {
  const Place place = place_on(site, direct, use);
  FLT_TRY(dump_routes(netlink, site, place, visitor));
  return dump_objects(netlink, site, place, visitor);
}

// -- notifications --

std::optional<Touched> touched_by(const MainRoute& route, bool present, bool replaces, const Site& site,
                                  NexthopUse use) {
  for (const bool direct : {false, true}) {
    if (direct ? !site.direct : site.device == 0) continue;
    if (const auto entry = entry_of(route, site, place_on(site, direct, use)))
      return Touched{.entry = *entry, .present = present, .protocol = route.protocol};
  }
  // Another program's: it took the place of ours, or left it.
  if (route.metric != 0 || route.tos != 0 || !inside(site, route.destination) || (present && !replaces))
    return std::nullopt;
  return Touched{
      .entry = Entry::route(route.destination, Ip4{}), .was_foreign = !present, .protocol = route.protocol};
}

/// Another overlay of this host uses the same ids for objects on its own link: only what replaces one was
/// ours.
std::optional<Touched> touched_by(const NexthopObject& object, bool present, bool replaces, const Site& site,
                                  NexthopUse use) {
  const Place place = place_on(site, DirectNexthopIds::holds(object.id), use);
  const bool elsewhere = object.link != place.index;
  auto entry = entry_of(object, site, place);
  if (!entry || use == NexthopUse::kNone || (elsewhere && !(present && replaces))) return std::nullopt;
  if (elsewhere) entry->via = Ip4{};
  return Touched{.entry = *entry, .present = present && !elsewhere, .protocol = object.protocol};
}

ndmsg& start_neighbour(MessageWriter& out, std::uint32_t sequence, int index, Change::Op op) {
  const bool put = op == Change::Op::kPut;
  auto& request =
      out.start<ndmsg>(put ? RTM_NEWNEIGH : RTM_DELNEIGH, put ? NLM_F_CREATE | NLM_F_REPLACE : 0, sequence);
  request.ndm_ifindex = index;
  request.ndm_state = NUD_PERMANENT;
  return request;
}

void put_neighbour(MessageWriter& out, std::uint32_t sequence, int index, const Change& change) {
  auto& request = start_neighbour(out, sequence, index, change.op);
  request.ndm_family = AF_INET;
  request.ndm_type = RTN_UNICAST;
  out.put_ip4(NDA_DST, change.entry.net.base.v4());
  if (change.op == Change::Op::kPut) out.put_mac(NDA_LLADDR, change.entry.mac);
}

void put_fdb(MessageWriter& out, std::uint32_t sequence, int index, const Change& change) {
  auto& request = start_neighbour(out, sequence, index, change.op);
  request.ndm_family = AF_BRIDGE;
  request.ndm_flags = NTF_SELF;
  out.put_mac(NDA_LLADDR, change.entry.mac);
  // Without a remote the MAC goes, with all that it leads to.
  if (change.op == Change::Op::kPut) out.put_ip4(NDA_DST, change.entry.via.v4());
}

void put_route(MessageWriter& out, std::uint32_t sequence, int index, const Entry& route,
               std::uint32_t nexthop_id, RouteMode mode) {
  const std::uint16_t flags = NLM_F_CREATE | (mode == RouteMode::kReplace ? NLM_F_REPLACE : NLM_F_EXCL);
  auto& request = out.start<rtmsg>(RTM_NEWROUTE, flags, sequence);
  request.rtm_family = AF_INET;
  request.rtm_dst_len = route.net.length;
  request.rtm_table = RT_TABLE_MAIN;
  request.rtm_protocol = kRouteProtocol;
  request.rtm_scope = RT_SCOPE_UNIVERSE;
  request.rtm_type = RTN_UNICAST;
  out.put_ip4(RTA_DST, route.net.base.v4());
  if (nexthop_id != 0) return out.put_u32(RTA_NH_ID, nexthop_id);
  if (route.onlink) request.rtm_flags = RTNH_F_ONLINK;
  out.put_ip4(RTA_GATEWAY, route.via.v4());
  out.put_u32(RTA_OIF, static_cast<std::uint32_t>(index));
}

rtmsg& start_delete_route(MessageWriter& out, std::uint32_t sequence, Net4 destination, std::uint32_t metric,
                          std::uint8_t tos, std::uint8_t protocol) {
  auto& request = out.start<rtmsg>(RTM_DELROUTE, 0, sequence);
  request.rtm_family = AF_INET;
  request.rtm_dst_len = destination.length;
  request.rtm_tos = tos;
  request.rtm_table = RT_TABLE_MAIN;
  request.rtm_scope = RT_SCOPE_NOWHERE;  // any
  request.rtm_protocol = protocol;       // 0: any
  out.put_ip4(RTA_DST, destination.base);
  if (metric != 0) out.put_u32(RTA_PRIORITY, metric);
  return request;
}

}  // namespace

Place place_on(const Site& site, bool direct, NexthopUse use) {
  // In a network longer than the ids two subnets would share one.
  if (direct && site.network.length < 6 && use == NexthopUse::kMake) use = NexthopUse::kRemove;
  return {direct ? site.underlay : site.device, direct, NexthopIds(site.network), use};
}

std::optional<Touched> read_touched(const nlmsghdr& message, const Site& site, NexthopUse use) {
  const bool present = (message.nlmsg_type & 3) == 0;  // RTM_NEW..., else RTM_DEL...
  const bool replaces = (message.nlmsg_flags & NLM_F_REPLACE) != 0;
  std::optional<Touched> touched;
  if (const auto route = read_main_route(message)) {
    touched = touched_by(*route, present, replaces, site, use);
  } else if (const auto object = read_nexthop(message)) {
    touched = touched_by(*object, present, replaces, site, use);
  } else if (site.device != 0) {
    auto entry = read_neighbour(message, site.device);
    if (!entry) entry = read_fdb(message, site.device);
    if (entry) touched = Touched{.entry = *entry, .present = present};
  }
  if (touched) touched->port = message.nlmsg_pid;
  return touched;
}

Result<void> dump_entries(Netlink& netlink, const Site& site, NexthopUse use, EntryVisitor& visitor) {
  if (site.direct) FLT_TRY(dump_place(netlink, site, true, use, visitor));
  if (site.device == 0) return {};
  FLT_TRY(dump_place(netlink, site, false, use, visitor));
  FLT_TRY(dump_neighbours(netlink, site.device, visitor));
  return dump_fdb(netlink, site.device, visitor);
}

void put_change(MessageWriter& out, std::uint32_t sequence, int index, const Change& change,
                std::uint32_t nexthop_id, RouteMode mode) {
  const Entry& entry = change.entry;
  switch (entry.kind) {
    case Entry::Kind::kNexthop:
    case Entry::Kind::kSender: return;
    case Entry::Kind::kNeighbour: return put_neighbour(out, sequence, index, change);
    case Entry::Kind::kFdb: return put_fdb(out, sequence, index, change);
    case Entry::Kind::kRoute:
      if (change.op == Change::Op::kPut) return put_route(out, sequence, index, entry, nexthop_id, mode);
      start_delete_route(out, sequence, entry.net.v4(), entry.metric, entry.tos,
                         entry.underlay ? kRouteProtocol : std::uint8_t{0});
      if (nexthop_id != 0) return out.put_u32(RTA_NH_ID, nexthop_id);
      return out.put_u32(RTA_OIF, static_cast<std::uint32_t>(index));
  }
}

void put_delete_route(MessageWriter& out, std::uint32_t sequence, int index, const MainRoute& route) {
  rtmsg& request =
      start_delete_route(out, sequence, route.destination, route.metric, route.tos, route.protocol);
  if (route.nexthop_id != 0) return out.put_u32(RTA_NH_ID, route.nexthop_id);
  out.put_u32(RTA_OIF, static_cast<std::uint32_t>(index));
  if (route.gateway != Ip4{}) return out.put_ip4(RTA_GATEWAY, route.gateway);
  request.rtm_scope = RT_SCOPE_LINK;  // tells it from a route with a gateway
}

}  // namespace flannelette::kernel
