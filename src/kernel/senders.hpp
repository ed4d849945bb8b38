// SPDX-License-Identifier: Apache-2.0
// The set of addresses from which VXLAN is accepted, in our nf_tables table.
#pragma once

#include <span>

#include "flannelette/kernel/ports.hpp"
#include "netlink.hpp"

/// `netlink` is a NETLINK_NETFILTER socket, `vni` names the table.
namespace flannelette::kernel {

/// Visits each address in the set; none where there is no set.
Result<void> dump_senders(Netlink& netlink, std::uint32_t vni, EntryVisitor& visitor);
/// Makes those of these changes that are of senders, which are all of one kind: all or none. Their error's
/// errno is ENOENT if there is no set, or one that is to be removed is not in it.
Result<void> change_senders(Netlink& netlink, std::uint32_t vni, std::span<const overlay::Change> changes);
/// Removes what calls the set complete, so that nothing is dropped. ENOENT: it is not in it.
Result<void> uncomplete_senders(Netlink& netlink, std::uint32_t vni);
/// What a message says of the set, an entry for each address in it; nothing if it is about another thing.
void read_senders(const nlmsghdr& message, std::uint32_t vni, FunctionRef<void(const overlay::Entry&)> visit);

}  // namespace flannelette::kernel
