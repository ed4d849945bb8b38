// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "flannelette/kernel/kernel.hpp"
#include "netlink.hpp"

/// Neighbours, FDB entries and routes of our device: reading them, and the request for one change.
namespace flannelette::kernel {

/// See Kernel::dump_entries.
Result<void> dump_entries(Netlink& netlink, int index, EntryVisitor& visitor);

/// Largest request that put_change() makes.
inline constexpr std::size_t kMaxChangeRequest = 64;

enum class RouteMode : std::uint8_t {
  kOnlyNew,  ///< refused with EEXIST if any route to the same destination and metric is there
  kReplace,  ///< replaces the first of these, whosever it is
};
/// Appends the request for one change on device `index`.
void put_change(MessageWriter& out, std::uint32_t sequence, int index, const overlay::Change& change,
                RouteMode mode = RouteMode::kOnlyNew);
/// Appends the deletion of exactly this route of ours.
struct MainRoute;
void put_delete_route(MessageWriter& out, std::uint32_t sequence, int index, const MainRoute& route);

}  // namespace flannelette::kernel
