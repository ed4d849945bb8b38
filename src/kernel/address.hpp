// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "flannelette/kernel/kernel.hpp"
#include "netlink.hpp"

/// IPv4 addresses of links.
namespace flannelette::kernel {

/// `index` 0: of all links.
Result<void> dump_addresses(Netlink& netlink, int index, AddressVisitor& visitor);
/// See Kernel.
Result<void> set_device_address(Netlink& netlink, int index, Ip4 address, Net4 network);

}  // namespace flannelette::kernel
