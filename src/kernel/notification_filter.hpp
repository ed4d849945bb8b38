// SPDX-License-Identifier: Apache-2.0
// Which notifications of rtnetlink reach the process.
#pragma once

#include <cstdint>

#include "flannelette/kernel/ports.hpp"

namespace flannelette::kernel {

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

/// Of nf_tables the ends of transactions pass, for one of thousands of rules is announced rule by rule, and
/// messages that begin with elements of a set in a table of ours, or one of like name. The own ones do not.
bool filter_rule_notifications(int fd, std::uint32_t own_port);

}  // namespace flannelette::kernel
