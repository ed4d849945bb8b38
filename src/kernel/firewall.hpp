// SPDX-License-Identifier: Apache-2.0
// Firewall rules of other programs that stop the overlay's packets.
#pragma once

#include "flannelette/base/files.hpp"
#include "flannelette/kernel/ports.hpp"
#include "message.hpp"
#include "netlink.hpp"

namespace flannelette::kernel {

/// See RulesPort::inspect_firewall. `netlink` is a NETLINK_NETFILTER socket.
Result<void> inspect_firewall(Netlink& netlink, Files& files, const overlay::RuleSpec& spec,
                              FindingVisitor& visitor);

/// Of nf_tables' number for it.
std::string_view family_name(std::uint8_t family);
/// Whether a rule is nothing but (counters, logging and) a drop or a reject.
bool drops_everything(const Attributes& rule);

}  // namespace flannelette::kernel
