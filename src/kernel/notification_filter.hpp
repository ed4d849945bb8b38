// SPDX-License-Identifier: Apache-2.0
// Which notifications of rtnetlink reach the process.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <span>

#include "flannelette/kernel/ports.hpp"

namespace flannelette::kernel {

/// False: the socket is as it was.
bool attach_filter(int fd, std::span<sock_filter> program);

/// Has the kernel drop what cannot concern us before it wakes us (classic BPF; a full BGP table or the
/// neighbours of a busy LAN would cost much of a core else), and replaces the filter before. What passes:
///   - links and addresses, all;
///   - routes of table main: default routes; what is on the device of `site`, or inside its networks; by
///   hand,
///     of the kernel or of DHCP those with metrics (an MTU), and with Site::direct all;
///   - neighbours and FDB entries of the device;
///   - nexthop objects with our ids;
///   - IPv4 settings (netconf) of all links together, of the device and of the underlay.
/// What was requested from `own_port` does not, but for links, addresses, FDB entries and neighbours that
/// go, where the kernel does not say who it was. False: the socket is as it was.
bool filter_notifications(int fd, const Site& site, std::uint32_t own_port);

}  // namespace flannelette::kernel
