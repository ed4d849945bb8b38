// SPDX-License-Identifier: Apache-2.0
// Chains of other programs that drop what comes in, or what is forwarded, as nf_tables shows them.
#include "input_chain.hpp"

#include <linux/netfilter/nf_tables_compat.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "firewall.hpp"
#include "flannelette/base/function_ref.hpp"
#include "iptables.hpp"
#include "nftables.hpp"

namespace flannelette::kernel {
namespace {

constexpr const char* kContext = "inspect the nf_tables rules";
constexpr std::size_t kMaxChains = 32;       ///< further ones are not inspected
constexpr std::uint32_t kSourceOffset = 12;  ///< in an IPv4 header
constexpr std::uint32_t kDestinationOffset = 16;
constexpr std::size_t kMaxSets = 16;  ///< of one table; the elements of further ones are not seen

struct BaseChain {
  std::uint8_t family = 0;
  std::uint32_t hook = 0;
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
  bool address = false;    ///< the last thing of the packet that it reads is one
};

class Inspection {
 public:
  Inspection(Netlink& netlink, std::uint32_t hook, const Passage& passage)
      : netlink_(netlink), hook_(hook), passage_(passage) {}

  Result<void> run(FindingVisitor& visitor) {
    nft::request(netlink_, NFT_MSG_GETCHAIN, 0);  // of all families
    FLT_TRY(netlink_.dump(kContext, [this](const nlmsghdr& message) {
      if (message.nlmsg_type == nft::type(NFT_MSG_NEWCHAIN)) add_chain(message);
    }));
    for (const BaseChain& chain : std::span(chains_).first(count_)) {
      if (chain.hook != hook_) continue;
      const auto stops = chain.drops ? Result<bool>(true) : ends_with_drop(chain);
      if (!stops) return stops.error();
      if (!*stops) continue;
      const auto accepts = table_accepts(chain);
      if (!accepts) return accepts.error();
      if (*accepts) continue;
      FirewallFinding finding{};
      finding.kind = forward() ? FirewallFinding::Kind::kForeignDrop : FirewallFinding::Kind::kInputDrop;
      finding.family = family_name(chain.family);
      finding.table = chain.table;
      finding.chain = chain.chain;
      visitor.finding(finding);
    }
    return {};
  }

 private:
  bool forward() const { return hook_ == nft::kHookForward; }

  void add_chain(const nlmsghdr& message) {
    const auto* header = header_of<nfgenmsg>(message);
    if (header == nullptr || count_ == chains_.size()) return;
    const std::uint8_t family = header->nfgen_family;
    const auto attributes = attributes_of<nfgenmsg>(message);
    const auto hook = attributes.nested(NFTA_CHAIN_HOOK).be32(NFTA_HOOK_HOOKNUM);
    if (!hook || attributes.text(NFTA_CHAIN_TYPE) != "filter" ||
        (family != nft::kFamilyIpv4 && family != nft::kFamilyInet))
      return;
    chains_[count_++] = {family, *hook, attributes.text(NFTA_CHAIN_TABLE), attributes.text(NFTA_CHAIN_NAME),
                         attributes.be32(NFTA_CHAIN_POLICY) == std::uint32_t{nft::kDrop}};
  }

  /// What was asked for may be gone by now.
  static Result<bool> found_in(const Result<void>& dumped, bool found) {
    if (!dumped && dumped.error().code != Code::kNotFound) return dumped.error();
    return found;
  }

  /// Of the chain, or of its whole table. A kernel that does not filter shows others, too.
  Result<void> dump_rules(const BaseChain& chain, bool whole, FunctionRef<void(const Attributes&)> visit) {
    nft::request(netlink_, NFT_MSG_GETRULE, chain.family);
    netlink_.out().put_text(NFTA_RULE_TABLE, chain.table);
    if (!whole) netlink_.out().put_text(NFTA_RULE_CHAIN, chain.chain);
    return netlink_.dump(kContext, [&](const nlmsghdr& message) {
      if (message.nlmsg_type != nft::type(NFT_MSG_NEWRULE)) return;
      const auto rule = attributes_of<nfgenmsg>(message);
      if (rule.text(NFTA_RULE_TABLE) == chain.table.view() &&
          (whole || rule.text(NFTA_RULE_CHAIN) == chain.chain.view()))
        visit(rule);
    });
  }

  Result<bool> ends_with_drop(const BaseChain& chain) {
    bool last_drops = false;
    const auto dumped =
        dump_rules(chain, false, [&](const Attributes& rule) { last_drops = drops_everything(rule); });
    return found_in(dumped, last_drops);
  }

  /// Whether it is a base chain of another hook in the same table.
  bool elsewhere(const BaseChain& chain, std::string_view name) const {
    return std::ranges::any_of(std::span(chains_).first(count_), [&](const BaseChain& other) {
      return other.hook != hook_ && other.family == chain.family && other.table == chain.table &&
             other.chain.view() == name;
    });
  }

  /// Whether some rule of the table, which may be reached by a jump, accepts us.
  Result<bool> table_accepts(const BaseChain& chain) {
    bool accepts = false;
    std::size_t sets = 0;
    const auto dumped = dump_rules(chain, true, [&](const Attributes& rule) {
      const Meaning meaning = read(rule);
      if (!meaning.accepts || elsewhere(chain, rule.text(NFTA_RULE_CHAIN))) return;
      accepts = accepts || meaning.names_us;
      if (!meaning.set.empty() && sets < sets_.size()) sets_[sets++] = meaning.set;
    });
    if (!dumped) return found_in(dumped, true);
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
      const bool out = meaning.meta == NFT_META_OIFNAME;
      const bool by_link = meaning.meta == NFT_META_IIFNAME || (out && forward());
      if (name == "payload") {
        const auto offset = data.be32(NFTA_PAYLOAD_OFFSET);
        meaning.address = data.be32(NFTA_PAYLOAD_BASE) == std::uint32_t{NFT_PAYLOAD_NETWORK_HEADER} &&
                          (offset == kSourceOffset || offset == kDestinationOffset);
      } else if (name == "meta") {
        meaning.meta = data.be32(NFTA_META_KEY).value_or(0);
      } else if (name == "cmp") {
        const auto value = data.nested(NFTA_CMP_DATA).bytes(NFTA_DATA_VALUE);
        meaning.names_us |=
            data.be32(NFTA_CMP_OP) == std::uint32_t{NFT_CMP_EQ} && names_us(value, by_link, meaning.address);
      } else if (name == "lookup") {
        if (data.be32(NFTA_LOOKUP_FLAGS).value_or(0) == 0 && (!out || forward()))
          meaning.set = data.text(NFTA_LOOKUP_SET);
      } else if (name == "match") {  // of iptables-nft
        meaning.names_us |=
            match_names_port(data.text(NFTA_MATCH_NAME), data.bytes(NFTA_MATCH_INFO), passage_.port);
      } else if (name == "immediate") {
        const auto verdict =
            data.nested(NFTA_IMMEDIATE_DATA).nested(NFTA_DATA_VERDICT).be32(NFTA_VERDICT_CODE);
        meaning.accepts = verdict && static_cast<std::int32_t>(*verdict) == nft::kAccept;
      }
    });
    return meaning;
  }

  /// Our port, our network, as far as whole bytes of it go, or the name of the link: whole, or the beginning
  /// that a rule with a wildcard has.
  bool names_us(std::span<const std::byte> value, bool by_link, bool address) const {
    const std::uint32_t base = htonl(passage_.network.base.value);
    if (address && passage_.network.length != 0 && value.size() <= sizeof base &&
        value.size() * 8 >= passage_.network.length && std::memcmp(value.data(), &base, value.size()) == 0)
      return true;
    const std::uint16_t port = htons(passage_.port);
    if (port != 0 && value.size() == sizeof port) return std::memcmp(value.data(), &port, sizeof port) == 0;
    if (!by_link) return false;
    const std::string_view text(reinterpret_cast<const char*>(value.data()), value.size());
    const std::string_view name = text.substr(0, text.find('\0'));
    return name.size() >= 2 &&
           (name.size() < text.size() ? passage_.link == name : passage_.link.starts_with(name));
  }

  Result<bool> set_names_us(const BaseChain& chain, std::string_view set) {
    bool found = false;
    nft::request(netlink_, NFT_MSG_GETSETELEM, chain.family);
    netlink_.out().put_text(NFTA_SET_ELEM_LIST_TABLE, chain.table);
    netlink_.out().put_text(NFTA_SET_ELEM_LIST_SET, set);
    const auto dumped = netlink_.dump(kContext, [&](const nlmsghdr& message) {
      if (message.nlmsg_type != nft::type(NFT_MSG_NEWSETELEM)) return;
      attributes_of<nfgenmsg>(message).nested(NFTA_SET_ELEM_LIST_ELEMENTS).each([&](const nlattr& element) {
        const Attributes key = Attributes(payload(element)).nested(NFTA_SET_ELEM_KEY);
        found = found || names_us(key.bytes(NFTA_DATA_VALUE), true, true);
      });
    });
    return found_in(dumped, found);
  }

  Netlink& netlink_;
  const std::uint32_t hook_;
  const Passage& passage_;
  std::array<BaseChain, kMaxChains> chains_;
  std::size_t count_ = 0;
  std::array<Text<64>, kMaxSets> sets_;
};

}  // namespace

Result<void> inspect_drops(Netlink& netlink, std::uint32_t hook, const Passage& passage,
                           FindingVisitor& visitor) {
  return Inspection(netlink, hook, passage).run(visitor);
}

Result<void> inspect_input(Netlink& netlink, Files& files, std::string_view link, std::uint16_t port,
                           FindingVisitor& visitor) {
  const auto inspected = inspect_drops(netlink, nft::kHookInput, {link, port}, visitor);
  if (!inspected && !nft::absent(inspected.error())) return inspected;
  return inspect_legacy_input(files, link, port, visitor);
}

}  // namespace flannelette::kernel
