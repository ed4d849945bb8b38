// SPDX-License-Identifier: Apache-2.0
// Links and routes of the machine.
#pragma once

#include "flannelette/kernel/kernel.hpp"
#include "netlink.hpp"

/// Reading links and routes of the whole machine: what NetlinkKernel's looking around is made of.
namespace flannelette::kernel {

Result<void> dump_links(Netlink& netlink, LinkVisitor& visitor);
Result<std::optional<RouteAnswer>> default_route(Netlink& netlink);
Result<std::optional<RouteAnswer>> route_to(Netlink& netlink, Ip4 destination);

}  // namespace flannelette::kernel
