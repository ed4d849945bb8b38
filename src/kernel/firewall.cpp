// SPDX-License-Identifier: Apache-2.0
// Firewall rules of other programs that stop the overlay's packets, as nf_tables shows them.
#include "firewall.hpp"

#include "flannelette/overlay/device.hpp"
#include "input_chain.hpp"
#include "iptables.hpp"
#include "nftables.hpp"

namespace flannelette::kernel {
namespace {

constexpr std::string_view kFlanneldTable = "flannel-ipv4";
constexpr const char* kContext = "inspect the nf_tables rules";

}  // namespace

std::string_view family_name(std::uint8_t family) { return family == nft::kFamilyInet ? "inet" : "ip"; }

bool drops_everything(const Attributes& rule) {
  bool drops = false;
  bool matches = false;
  rule.nested(NFTA_RULE_EXPRESSIONS).each([&](const nlattr& element) {
    const Attributes expression(payload(element));
    const std::string_view name = expression.text(NFTA_EXPR_NAME);
    if (name == "counter" || name == "log" || name == "limit") {
      matches = matches || name == "limit";
    } else if (name == "reject") {
      drops = true;
    } else if (name == "immediate") {
      const auto verdict = expression.nested(NFTA_EXPR_DATA)
                               .nested(NFTA_IMMEDIATE_DATA)
                               .nested(NFTA_DATA_VERDICT)
                               .be32(NFTA_VERDICT_CODE);
      if (verdict && static_cast<std::int32_t>(*verdict) == nft::kDrop) drops = true;
    } else {
      matches = true;
    }
  });
  return drops && !matches;
}

namespace {

/// What flanneld left.
Result<void> inspect_flanneld(Netlink& netlink, FindingVisitor& visitor) {
  bool table_found = false;
  nft::request(netlink, NFT_MSG_GETCHAIN, 0);  // of all families
  return netlink.dump(kContext, [&](const nlmsghdr& message) {
    if (message.nlmsg_type != nft::type(NFT_MSG_NEWCHAIN)) return;
    const auto* header = header_of<nfgenmsg>(message);
    if (header == nullptr) return;
    const std::uint8_t family = header->nfgen_family;
    if (family != nft::kFamilyIpv4 && family != nft::kFamilyInet) return;
    const auto attributes = attributes_of<nfgenmsg>(message);
    FirewallFinding finding{};
    finding.kind = FirewallFinding::Kind::kFlanneldIptables;
    finding.family = family_name(family);
    finding.table = attributes.text(NFTA_CHAIN_TABLE);
    finding.chain = attributes.text(NFTA_CHAIN_NAME);
    if (family == nft::kFamilyIpv4 && finding.table.view() == kFlanneldTable) {
      if (table_found) return;
      table_found = true;
      finding.kind = FirewallFinding::Kind::kFlanneldNftTable;
    } else if (!is_flanneld_chain(finding.chain)) {
      return;
    }
    visitor.finding(finding);
  });
}

Result<void> inspect_nftables(Netlink& netlink, const Passage& passage, FindingVisitor& visitor) {
  FLT_TRY(inspect_flanneld(netlink, visitor));
  return inspect_drops(netlink, nft::kHookForward, passage, visitor);
}

}  // namespace

bool is_flanneld_chain(std::string_view name) { return name == "FLANNEL-POSTRTG" || name == "FLANNEL-FWD"; }

Result<void> inspect_firewall(Netlink& netlink, Files& files, const overlay::RuleSpec& spec,
                              FindingVisitor& visitor) {
  const auto device = overlay::device_name(spec.vni);
  const Passage passage{device, 0, spec.network.v4()};
  const auto inspected = inspect_nftables(netlink, passage, visitor);
  if (!inspected && !nft::absent(inspected.error())) return inspected.error();
  return inspect_legacy_iptables(files, passage, visitor);
}

}  // namespace flannelette::kernel
