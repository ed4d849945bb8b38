// SPDX-License-Identifier: Apache-2.0
// Chains of other programs that drop what comes in, as nf_tables shows them.
#include "input_chain.hpp"

#include <linux/netfilter/nf_tables_compat.h>

#include <array>
#include <cstring>

#include "firewall.hpp"
#include "iptables.hpp"
#include "nftables.hpp"

namespace flannelette::kernel {
namespace {

constexpr const char* kContext = "inspect the nf_tables rules";
constexpr std::size_t kMaxChains = 8;  ///< further ones are not inspected
constexpr std::size_t kMaxSets = 16;   ///< of one table; the elements of further ones are not seen

struct InputChain {
  std::uint8_t family = 0;
  Text<64> table;
  Text<64> chain;
  bool drops = false;
};

/// What a rule says, as far as it matters here.
struct Meaning {
  bool accepts = false;
  bool names_us = false;
  Text<64> set;            ///< whose elements it looks a packet up in
  std::uint32_t meta = 0;  ///< the last thing beside the packet that it reads: NFT_META_*
};

class InputInspection {
 public:
  InputInspection(Netlink& netlink, std::string_view link, std::uint16_t port)
      : netlink_(netlink), link_(link), port_(port) {}

  Result<void> run(FindingVisitor& visitor) {
    nft::request(netlink_, NFT_MSG_GETCHAIN, 0);  // of all families
    FLT_TRY(netlink_.dump(kContext, [this](const nlmsghdr& message) {
      if (message.nlmsg_type == nft::type(NFT_MSG_NEWCHAIN)) add_chain(message);
    }));
    for (InputChain& chain : std::span(chains_).first(count_)) {
      const auto accepts = inspect_table(chain);
      if (!accepts) return accepts.error();
      if (*accepts || !chain.drops) continue;
      FirewallFinding finding{};
      finding.kind = FirewallFinding::Kind::kInputDrop;
      finding.family = family_name(chain.family);
      finding.table = chain.table;
      finding.chain = chain.chain;
      visitor.finding(finding);
    }
    return {};
  }

 private:
  void add_chain(const nlmsghdr& message) {
    const auto* header = header_of<nfgenmsg>(message);
    if (header == nullptr || count_ == chains_.size()) return;
    const std::uint8_t family = header->nfgen_family;
    const auto attributes = attributes_of<nfgenmsg>(message);
    const bool input = attributes.nested(NFTA_CHAIN_HOOK).be32(NFTA_HOOK_HOOKNUM) == nft::kHookInput;
    if (!input || attributes.text(NFTA_CHAIN_TYPE) != "filter" ||
        (family != nft::kFamilyIpv4 && family != nft::kFamilyInet))
      return;
    chains_[count_++] = {family, attributes.text(NFTA_CHAIN_TABLE), attributes.text(NFTA_CHAIN_NAME),
                         attributes.be32(NFTA_CHAIN_POLICY) == std::uint32_t{nft::kDrop}};
  }

  /// Whether some rule of the table accepts us; `chain.drops` also if its last rule does.
  Result<bool> inspect_table(InputChain& chain) {
    bool accepts = false;
    bool last_drops = false;
    std::size_t sets = 0;
    nft::request(netlink_, NFT_MSG_GETRULE, chain.family);
    netlink_.out().put_text(NFTA_RULE_TABLE, chain.table);
    FLT_TRY(netlink_.dump(kContext, [&](const nlmsghdr& message) {
      if (message.nlmsg_type != nft::type(NFT_MSG_NEWRULE)) return;
      const auto rule = attributes_of<nfgenmsg>(message);
      if (rule.text(NFTA_RULE_TABLE) != chain.table.view()) return;
      if (rule.text(NFTA_RULE_CHAIN) == chain.chain.view()) last_drops = drops_everything(rule);
      const Meaning meaning = read(rule);
      accepts = accepts || (meaning.accepts && meaning.names_us);
      if (meaning.accepts && !meaning.set.empty() && sets < sets_.size()) sets_[sets++] = meaning.set;
    }));
    chain.drops = chain.drops || last_drops;
    for (std::size_t i = 0; i < sets && !accepts; ++i) {
      const auto has = set_names_us(chain, sets_[i]);
      if (!has) return has.error();
      accepts = *has;
    }
    return accepts;
  }

  Meaning read(const Attributes& rule) const {
    Meaning meaning;
    rule.nested(NFTA_RULE_EXPRESSIONS).each([&](const nlattr& element) {
      const Attributes expression(payload(element));
      const std::string_view name = expression.text(NFTA_EXPR_NAME);
      const Attributes data = expression.nested(NFTA_EXPR_DATA);
      const bool by_link = meaning.meta == NFT_META_IIFNAME;
      if (name == "meta") {
        meaning.meta = data.be32(NFTA_META_KEY).value_or(0);
      } else if (name == "cmp") {
        const auto value = data.nested(NFTA_CMP_DATA).bytes(NFTA_DATA_VALUE);
        meaning.names_us |= data.be32(NFTA_CMP_OP) == std::uint32_t{NFT_CMP_EQ} && names_us(value, by_link);
      } else if (name == "lookup") {
        if (data.be32(NFTA_LOOKUP_FLAGS).value_or(0) == 0 && meaning.meta != NFT_META_OIFNAME)
          meaning.set = data.text(NFTA_LOOKUP_SET);
      } else if (name == "match") {  // of iptables-nft
        meaning.names_us |= match_names_port(data.text(NFTA_MATCH_NAME), data.bytes(NFTA_MATCH_INFO), port_);
      } else if (name == "immediate") {
        const auto verdict =
            data.nested(NFTA_IMMEDIATE_DATA).nested(NFTA_DATA_VERDICT).be32(NFTA_VERDICT_CODE);
        meaning.accepts = verdict && static_cast<std::int32_t>(*verdict) == nft::kAccept;
      }
    });
    return meaning;
  }

  /// Our port, or the name of the link: whole, or the beginning that a rule with a wildcard has.
  bool names_us(std::span<const std::byte> value, bool by_link) const {
    const std::uint16_t port = htons(port_);
    if (value.size() == sizeof port) return std::memcmp(value.data(), &port, sizeof port) == 0;
    if (!by_link) return false;
    const std::string_view text(reinterpret_cast<const char*>(value.data()), value.size());
    const std::string_view name = text.substr(0, text.find('\0'));
    return name.size() >= 2 && (name.size() < text.size() ? link_ == name : link_.starts_with(name));
  }

  Result<bool> set_names_us(const InputChain& chain, std::string_view set) {
    bool found = false;
    nft::request(netlink_, NFT_MSG_GETSETELEM, chain.family);
    netlink_.out().put_text(NFTA_SET_ELEM_LIST_TABLE, chain.table);
    netlink_.out().put_text(NFTA_SET_ELEM_LIST_SET, set);
    const auto dumped = netlink_.dump(kContext, [&](const nlmsghdr& message) {
      if (message.nlmsg_type != nft::type(NFT_MSG_NEWSETELEM)) return;
      attributes_of<nfgenmsg>(message).nested(NFTA_SET_ELEM_LIST_ELEMENTS).each([&](const nlattr& element) {
        const Attributes key = Attributes(payload(element)).nested(NFTA_SET_ELEM_KEY);
        found = found || names_us(key.bytes(NFTA_DATA_VALUE), true);
      });
    });
    if (!dumped && dumped.error().code != Code::kNotFound) return dumped.error();
    return found;
  }

  Netlink& netlink_;
  const std::string_view link_;
  const std::uint16_t port_;
  std::array<InputChain, kMaxChains> chains_;
  std::size_t count_ = 0;
  std::array<Text<64>, kMaxSets> sets_;
};

}  // namespace

Result<void> inspect_input(Netlink& netlink, Files& files, std::string_view link, std::uint16_t port,
                           FindingVisitor& visitor) {
  const auto inspected = InputInspection(netlink, link, port).run(visitor);
  if (!inspected && !nft::absent(inspected.error())) return inspected;
  return inspect_legacy_input(files, link, port, visitor);
}

}  // namespace flannelette::kernel
