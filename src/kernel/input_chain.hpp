// SPDX-License-Identifier: Apache-2.0
// Chains of other programs that drop what comes in, or what is forwarded.
#pragma once

#include <cstdint>
#include <string_view>

#include "flannelette/base/files.hpp"
#include "flannelette/kernel/ports.hpp"
#include "iptables.hpp"
#include "netlink.hpp"

namespace flannelette::kernel {

/// Base chains at this hook that drop in the end, in a table without a rule that accepts what `passage`
/// names: kInputDrop, kForeignDrop.
Result<void> inspect_drops(Netlink& netlink, std::uint32_t hook, const Passage& passage,
                           FindingVisitor& visitor);

/// See HostPort::inspect_input. `netlink` is a NETLINK_NETFILTER socket.
Result<void> inspect_input(Netlink& netlink, Files& files, std::string_view link, std::uint16_t port,
                           FindingVisitor& visitor);

}  // namespace flannelette::kernel
