// SPDX-License-Identifier: Apache-2.0
// Neighbours, FDB entries, routes and nexthop objects of peers.
#pragma once

#include <optional>

#include "flannelette/kernel/ports.hpp"
#include "netlink.hpp"
#include "nexthop.hpp"

/// Neighbours, FDB entries, routes and nexthop objects of peers: reading them, and the request for one
/// change.
namespace flannelette::kernel {

/// Our device or the underlay's link, and how the routes there are made.
struct Place {
  int index;
  bool direct;  ///< the underlay's link
  NexthopIds ids;
  NexthopUse use;
  std::uint32_t id_of(Ip4 base) const { return direct ? DirectNexthopIds::of(base) : ids.of(base); }
  /// The object by which a route to this subnet leads here.
  NexthopObject object(Net4 subnet, Ip4 gateway) const {
    return {.id = id_of(subnet.base), .link = index, .gateway = gateway, .onlink = !direct};
  }
  /// The id of the object that the route to this subnet should have; 0: it should be plain.
  std::uint32_t object_for(Net4 subnet) const { return use == NexthopUse::kMake ? id_of(subnet.base) : 0; }
};
Place place_on(const Site& site, bool direct, NexthopUse use);

/// See EntryPort::dump_entries.
Result<void> dump_entries(Netlink& netlink, const Site& site, NexthopUse use, EntryVisitor& visitor);

/// What a notification says of an entry of the site; nullopt: nothing.
std::optional<Touched> read_touched(const nlmsghdr& message, const Site& site, NexthopUse use);

/// Largest request that put_change() or put_nexthop() makes.
inline constexpr std::size_t kMaxChangeRequest = 64;

enum class RouteMode : std::uint8_t {
  kOnlyNew,  ///< refused with EEXIST if any route to the same destination and metric is there
  kReplace,  ///< replaces the first of these, also another program's
};
/// Appends the request for one change, but of a nexthop, on link `index`. A route has this nexthop object;
/// 0: it is plain.
void put_change(MessageWriter& out, std::uint32_t sequence, int index, const overlay::Change& change,
                std::uint32_t nexthop_id, RouteMode mode = RouteMode::kOnlyNew);
/// Appends the deletion of exactly this route of ours.
struct MainRoute;
void put_delete_route(MessageWriter& out, std::uint32_t sequence, int index, const MainRoute& route);

}  // namespace flannelette::kernel
