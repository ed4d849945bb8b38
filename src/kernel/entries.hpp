// SPDX-License-Identifier: Apache-2.0
// Neighbours, FDB entries, routes and nexthop objects of our device.
#pragma once

#include "flannelette/kernel/ports.hpp"
#include "netlink.hpp"
#include "nexthop.hpp"

/// Neighbours, FDB entries, routes and nexthop objects of our device: reading them, and the request for one
/// change.
namespace flannelette::kernel {

/// Our device, and how its routes are made.
struct Place {
  int index = 0;
  NexthopIds ids;
  NexthopUse use = NexthopUse::kNone;
  /// The id of the object that the route to this subnet should have; 0: it should be plain.
  std::uint32_t object_for(Net4 subnet) const { return use == NexthopUse::kMake ? ids.of(subnet.base) : 0; }
};

/// See EntryPort::dump_entries.
Result<void> dump_entries(Netlink& netlink, const Place& place, EntryVisitor& visitor);

/// Largest request that put_change() or put_nexthop() makes.
inline constexpr std::size_t kMaxChangeRequest = 64;

enum class RouteMode : std::uint8_t {
  kOnlyNew,  ///< refused with EEXIST if any route to the same destination and metric is there
  kReplace,  ///< replaces the first of these, also another program's
};
/// Appends the request for one change, but of a nexthop, on device `index`. A route has this nexthop object;
/// 0: it is plain.
void put_change(MessageWriter& out, std::uint32_t sequence, int index, const overlay::Change& change,
                std::uint32_t nexthop_id, RouteMode mode = RouteMode::kOnlyNew);
/// Appends the deletion of exactly this route of ours.
struct MainRoute;
void put_delete_route(MessageWriter& out, std::uint32_t sequence, int index, const MainRoute& route);

}  // namespace flannelette::kernel
