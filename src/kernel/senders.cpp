// SPDX-License-Identifier: Apache-2.0
// The set of addresses from which VXLAN is accepted: lists, changes and notifications of its elements.
#include "senders.hpp"

#include "nftables.hpp"
#include "rule_writer.hpp"

namespace flannelette::kernel {

Result<void> dump_senders(Netlink& netlink, std::uint32_t vni, EntryVisitor& visitor) {
  nft::request(netlink, NFT_MSG_GETSETELEM, nft::kFamilyIpv4);
  netlink.out().put_text(NFTA_SET_ELEM_LIST_TABLE, overlay::rule_table(vni));
  netlink.out().put_text(NFTA_SET_ELEM_LIST_SET, kPeersSet);
  const auto listed = netlink.dump("list the set of peers", [&](const nlmsghdr& message) {
    read_senders(message, vni, [&](const overlay::Entry& entry) { visitor.entry(entry); });
  });
  if (!listed && (listed.error().sys_errno == ENOENT || nft::absent(listed.error()))) return {};
  return listed;
}

Result<void> change_senders(Netlink& netlink, std::uint32_t vni, std::span<const overlay::Change> changes) {
  const auto table = overlay::rule_table(vni);
  RuleWriter out(netlink, table, 0);
  out.begin_batch();
  out.change_senders(changes);
  return out.end_batch();
}

Result<void> uncomplete_senders(Netlink& netlink, std::uint32_t vni) {
  const overlay::Change change{overlay::Change::Op::kRemove, overlay::Entry::sender(Ip4{})};
  return change_senders(netlink, vni, {&change, 1});
}

void read_senders(const nlmsghdr& message, std::uint32_t vni,
                  FunctionRef<void(const overlay::Entry&)> visit) {
  if (message.nlmsg_type != nft::type(NFT_MSG_NEWSETELEM) &&
      message.nlmsg_type != nft::type(NFT_MSG_DELSETELEM))
    return;
  const auto list = attributes_of<nfgenmsg>(message);
  if (list.text(NFTA_SET_ELEM_LIST_TABLE) != overlay::rule_table(vni).view() ||
      list.text(NFTA_SET_ELEM_LIST_SET) != kPeersSet)
    return;
  list.nested(NFTA_SET_ELEM_LIST_ELEMENTS).each([&](const nlattr& element) {
    const auto address = Attributes(payload(element)).nested(NFTA_SET_ELEM_KEY).ip4(NFTA_DATA_VALUE);
    if (address) visit(overlay::Entry::sender(*address));
  });
}

}  // namespace flannelette::kernel
