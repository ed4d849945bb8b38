// SPDX-License-Identifier: Apache-2.0
// The VXLAN device.
#pragma once

#include "flannelette/kernel/ports.hpp"
#include "netlink.hpp"

/// See DevicePort for what each does.
namespace flannelette::kernel {

/// Of IFLA_INFO_KIND.
inline constexpr std::string_view kVxlanKind = "vxlan";

Result<std::optional<overlay::Device>> find_device(Netlink& netlink, std::string_view name);
Result<void> dump_devices(Netlink& netlink, DeviceVisitor& visitor);
Result<void> create_device(Netlink& netlink, const overlay::DeviceSpec& spec);
Result<void> change_device(Netlink& netlink, int index, const overlay::DeviceSpec& spec,
                           const overlay::DevicePlan& plan);
Result<void> delete_device(Netlink& netlink, int index);

/// See HostPort::try_vxlan.
Result<void> try_vxlan(Netlink& netlink);

}  // namespace flannelette::kernel
