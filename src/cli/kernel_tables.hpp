// SPDX-License-Identifier: Apache-2.0
// The kernel's tables, for people.
#pragma once

#include <optional>

#include "flannelette/base/files.hpp"
#include "flannelette/kernel/netlink_kernel.hpp"
#include "flannelette/overlay/state.hpp"

namespace flannelette::cli {

/// A line each: links, addresses, default routes, VXLAN devices, what stands in the way of forwarded packets,
/// and of the entries on the node's device the first kMaxEntries. What cannot be read is left out.
inline constexpr std::size_t kMaxEntries = 300;
void put_kernel_tables(kernel::NetlinkKernel& kernel, const std::optional<overlay::NodeState>& node,
                       Pieces& out);

}  // namespace flannelette::cli
