// SPDX-License-Identifier: Apache-2.0
// Our nf_tables table.
#pragma once

#include "flannelette/overlay/rules.hpp"
#include "netlink.hpp"

namespace flannelette::kernel {

/// See RulesPort::apply_rules. `netlink` is a NETLINK_NETFILTER socket.
Result<bool> apply_rules(Netlink& netlink, const overlay::RuleSpec& spec);
/// See HostPort::try_rules.
Result<void> try_rules(Netlink& netlink, const overlay::RuleSpec& spec);
/// See RulesPort::remove_flanneld_tables.
Result<bool> remove_flanneld_tables(Netlink& netlink);

}  // namespace flannelette::kernel
