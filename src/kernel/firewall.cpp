// SPDX-License-Identifier: Apache-2.0
// Firewall rules of other programs that stop the overlay's packets, as nf_tables shows them.
#include "firewall.hpp"

#include <array>

#include "iptables.hpp"
#include "nftables.hpp"

namespace flannelette::kernel {
namespace {

constexpr std::string_view kFlanneldTable = "flannel-ipv4";
constexpr const char* kContext = "inspect the nf_tables rules";

/// A chain at the forward hook that may drop by its last rule.
struct ForwardChain {
  std::uint8_t family = 0;
  Text<64> table;
  Text<64> chain;
};
constexpr std::size_t kMaxForwardChains = 16;  ///< the last rules of further ones are not inspected

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

class Inspection {
 public:
  Inspection(Netlink& netlink, FindingVisitor& visitor) : netlink_(netlink), visitor_(visitor) {}

  Result<void> run() {
    nft::request(netlink_, NFT_MSG_GETCHAIN, 0);  // of all families
    FLT_TRY(netlink_.dump(kContext, [this](const nlmsghdr& message) {
      if (message.nlmsg_type == nft::type(NFT_MSG_NEWCHAIN)) inspect_chain(message);
    }));
    for (std::size_t i = 0; i < count_; ++i) FLT_TRY(inspect_rules(forward_[i]));
    return {};
  }

 private:
  void inspect_chain(const nlmsghdr& message) {
    const auto* header = header_of<nfgenmsg>(message);
    if (header == nullptr) return;
    const std::uint8_t family = header->nfgen_family;
    if (family != nft::kFamilyIpv4 && family != nft::kFamilyInet) return;
    const auto attributes = attributes_of<nfgenmsg>(message);
    ForwardChain found{family, attributes.text(NFTA_CHAIN_TABLE), attributes.text(NFTA_CHAIN_NAME)};
    if (family == nft::kFamilyIpv4 && found.table.view() == kFlanneldTable) {
      if (!flanneld_table_) report(FirewallFinding::Kind::kFlanneldNftTable, found);
      flanneld_table_ = true;
      return;
    }
    if (is_flanneld_chain(found.chain)) report(FirewallFinding::Kind::kFlanneldIptables, found);
    const Attributes hook = attributes.nested(NFTA_CHAIN_HOOK);
    if (hook.be32(NFTA_HOOK_HOOKNUM) != nft::kHookForward || attributes.text(NFTA_CHAIN_TYPE) != "filter")
      return;
    if (attributes.be32(NFTA_CHAIN_POLICY) == std::uint32_t{nft::kDrop}) {
      report(FirewallFinding::Kind::kForeignDrop, found);
    } else if (count_ < forward_.size()) {
      forward_[count_++] = found;
    }
  }

  Result<void> inspect_rules(const ForwardChain& chain) {
    bool last_drops = false;
    nft::request(netlink_, NFT_MSG_GETRULE, chain.family);
    netlink_.out().put_text(NFTA_RULE_TABLE, chain.table);
    netlink_.out().put_text(NFTA_RULE_CHAIN, chain.chain);
    const auto dumped = netlink_.dump(kContext, [&](const nlmsghdr& message) {
      if (message.nlmsg_type != nft::type(NFT_MSG_NEWRULE)) return;
      const auto rule = attributes_of<nfgenmsg>(message);
      // A kernel that does not filter shows the rules of other chains too.
      if (rule.text(NFTA_RULE_TABLE) != chain.table.view() ||
          rule.text(NFTA_RULE_CHAIN) != chain.chain.view())
        return;
      last_drops = drops_everything(rule);
    });
    if (!dumped && dumped.error().code != Code::kNotFound) return dumped;  // it may be gone by now
    if (last_drops) report(FirewallFinding::Kind::kForeignDrop, chain);
    return {};
  }

  void report(FirewallFinding::Kind kind, const ForwardChain& chain) {
    FirewallFinding finding{};
    finding.kind = kind;
    finding.family = family_name(chain.family);
    finding.table = chain.table;
    finding.chain = chain.chain;
    visitor_.finding(finding);
  }

  Netlink& netlink_;
  FindingVisitor& visitor_;
  bool flanneld_table_ = false;
  std::array<ForwardChain, kMaxForwardChains> forward_;
  std::size_t count_ = 0;
};

}  // namespace

bool is_flanneld_chain(std::string_view name) { return name == "FLANNEL-POSTRTG" || name == "FLANNEL-FWD"; }

Result<void> inspect_firewall(Netlink& netlink, Files& files, FindingVisitor& visitor) {
  const auto inspected = Inspection(netlink, visitor).run();
  if (!inspected && !nft::absent(inspected.error())) return inspected.error();
  return inspect_legacy_iptables(files, visitor);
}

}  // namespace flannelette::kernel
