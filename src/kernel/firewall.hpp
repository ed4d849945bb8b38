// SPDX-License-Identifier: Apache-2.0
// Firewall rules of other programs that stop the overlay's packets.
#pragma once

#include "flannelette/base/files.hpp"
#include "flannelette/kernel/ports.hpp"
#include "netlink.hpp"

namespace flannelette::kernel {

/// See RulesPort::inspect_firewall. `netlink` is a NETLINK_NETFILTER socket.
Result<void> inspect_firewall(Netlink& netlink, Files& files, FindingVisitor& visitor);

}  // namespace flannelette::kernel
