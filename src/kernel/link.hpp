// SPDX-License-Identifier: Apache-2.0
// Links and routes of the machine.
#pragma once

#include "flannelette/kernel/ports.hpp"
#include "netlink.hpp"

/// See Links for what each does.
namespace flannelette::kernel {

Result<void> dump_links(Netlink& netlink, LinkVisitor& visitor);
Result<void> dump_routes(Netlink& netlink, RouteVisitor& visitor);
Result<std::optional<RouteAnswer>> route_to(Netlink& netlink, const Ip& destination);
Result<LinkTraffic> link_traffic(Netlink& netlink, int link_index);

}  // namespace flannelette::kernel
