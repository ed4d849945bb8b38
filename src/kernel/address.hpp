// SPDX-License-Identifier: Apache-2.0
// IPv4 addresses of links.
#pragma once

#include "flannelette/kernel/ports.hpp"
#include "netlink.hpp"

namespace flannelette::kernel {

/// An IPv4 address and its peer's, which is the same unless the link is point-to-point.
struct FoundAddress {
  Address address;
  Ip4 peer;
};
/// nullopt: it is something else.
std::optional<FoundAddress> read_address(const nlmsghdr& message);

/// `index` 0: of all links.
Result<void> dump_addresses(Netlink& netlink, int index, AddressVisitor& visitor);
/// See DevicePort.
Result<bool> set_device_address(Netlink& netlink, int index, Ip4 address, Net4 network);

}  // namespace flannelette::kernel
