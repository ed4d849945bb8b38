// SPDX-License-Identifier: Apache-2.0
// Chains of other programs that drop what comes in.
#pragma once

#include <cstdint>
#include <string_view>

#include "flannelette/base/files.hpp"
#include "flannelette/kernel/ports.hpp"
#include "netlink.hpp"

namespace flannelette::kernel {

/// See HostPort::inspect_input. `netlink` is a NETLINK_NETFILTER socket.
Result<void> inspect_input(Netlink& netlink, Files& files, std::string_view link, std::uint16_t port,
                           FindingVisitor& visitor);

}  // namespace flannelette::kernel
