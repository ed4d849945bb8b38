// SPDX-License-Identifier: Apache-2.0
// Our nf_tables table: compares it with the rules that are wanted, and replaces it.
#include "rule_table.hpp"

#include <array>

#include "nftables.hpp"
#include "rule_writer.hpp"

namespace flannelette::kernel {
namespace {

using overlay::RuleSpec;

constexpr std::string_view kPostrouting = "postrouting";
constexpr std::string_view kForward = "forward";
constexpr std::string_view kInput = "input";

/// What the kernel has under our table's name.
struct Present {
  bool table = false;
  bool dormant = false;
  std::size_t chains = 0;
  std::size_t rules = 0;
  std::size_t right = 0;  ///< rules that carry the mark of their place among the wanted ones
};

/// Counts a dump of our rules against the wanted marks. Chains come in any order, rules of a chain in theirs.
class Comparison {
 public:
  explicit Comparison(const RuleSpec& spec) : digest_(digest_of(spec)) {}

  void rule(const Attributes& rule, Present& present) {
    ++present.rules;
    const std::string_view name = rule.text(NFTA_RULE_CHAIN);
    const std::uint8_t chain = name == kForward ? kForwardChain
                               : name == kInput ? kInputChain
                                                : kPostroutingChain;
    const RuleMark mark = rule_mark(digest_, chain, places_[chain]++);
    const std::span<const std::byte> found = rule.bytes(NFTA_RULE_USERDATA);
    if (std::equal(found.begin(), found.end(), mark.begin(), mark.end())) ++present.right;
  }

 private:
  const std::uint64_t digest_;
  std::size_t places_[kInputChain + 1] = {};
};

Result<Present> inspect(Netlink& netlink, const RuleSpec& spec) {
  const auto our_table = overlay::rule_table(spec.vni);
  const std::string_view name = our_table;
  Present present;
  nft::request(netlink, NFT_MSG_GETTABLE, nft::kFamilyIpv4);
  netlink.out().put_text(NFTA_TABLE_NAME, name);
  const auto table = netlink.get("find the nf_tables table", [&](const nlmsghdr& message) {
    if (message.nlmsg_type != nft::type(NFT_MSG_NEWTABLE)) return;
    present.table = true;
    present.dormant = attributes_of<nfgenmsg>(message).be32(NFTA_TABLE_FLAGS).value_or(0) != 0;
  });
  if (!table && table.error().sys_errno != ENOENT) return table.error();
  if (!present.table) return present;

  nft::request(netlink, NFT_MSG_GETCHAIN, nft::kFamilyIpv4);
  FLT_TRY(netlink.dump("list nf_tables chains", [&](const nlmsghdr& message) {
    if (message.nlmsg_type != nft::type(NFT_MSG_NEWCHAIN)) return;
    if (attributes_of<nfgenmsg>(message).text(NFTA_CHAIN_TABLE) == name) ++present.chains;
  }));

  Comparison comparison(spec);
  nft::request(netlink, NFT_MSG_GETRULE, nft::kFamilyIpv4);
  netlink.out().put_text(NFTA_RULE_TABLE, name);
  FLT_TRY(netlink.dump("list nf_tables rules", [&](const nlmsghdr& message) {
    if (message.nlmsg_type != nft::type(NFT_MSG_NEWRULE)) return;
    const auto rule = attributes_of<nfgenmsg>(message);
    if (rule.text(NFTA_RULE_TABLE) == name) comparison.rule(rule, present);
  }));
  return present;
}

bool is_right(const Present& present, const RuleSpec& spec) {
  if (spec.empty()) return !present.table;
  const bool peers_only = spec.peers_only != 0;
  const std::size_t chains =
      (spec.masquerade ? 1u : 0u) + (spec.forward || spec.clamp_mss ? 1u : 0u) + (peers_only ? 1u : 0u);
  const std::size_t rules = (spec.masquerade ? kPostroutingRules : 0) + (spec.forward ? kForwardRules : 0) +
                            (spec.clamp_mss ? kClampRules : 0) + (peers_only ? kPeersOnlyRules : 0);
  return present.table && !present.dormant && present.chains == chains && present.rules == rules &&
         present.right == rules;
}

void put_rules(RuleWriter& out, const RuleSpec& spec) {
  const Net4 network = spec.network.v4();
  const Net4 subnet = spec.subnet.v4();
  if (spec.masquerade) {
    out.chain(kPostroutingChain, kPostrouting, "nat", nft::kHookPostrouting, kPrioritySrcNat);
    out.begin_rule().mark_bit(kMasqueradeMark).verdict(nft::kReturn).end_rule();
    out.begin_rule()
        .source(subnet, Match::kIn)
        .destination(network, Match::kIn)
        .verdict(nft::kReturn)
        .end_rule();
    out.begin_rule()
        .source(network, Match::kIn)
        .destination(subnet, Match::kIn)
        .verdict(nft::kReturn)
        .end_rule();
    out.begin_rule()
        .source(network, Match::kNotIn)
        .destination(subnet, Match::kIn)
        .verdict(nft::kReturn)
        .end_rule();
    out.begin_rule()
        .source(network, Match::kIn)
        .destination(kMulticast, Match::kNotIn)
        .masquerade(spec.fully_random)
        .end_rule();
    out.begin_rule()
        .source(network, Match::kNotIn)
        .destination(network, Match::kIn)
        .masquerade(spec.fully_random)
        .end_rule();
  }
  if (spec.forward || spec.clamp_mss)
    out.chain(kForwardChain, kForward, "filter", nft::kHookForward, kPriorityFilter);
  if (spec.clamp_mss) {
    out.begin_rule().source(network, Match::kIn).clamp_mss().end_rule();
    out.begin_rule().destination(network, Match::kIn).clamp_mss().end_rule();
  }
  if (spec.forward) {
    out.begin_rule().source(network, Match::kIn).verdict(nft::kAccept).end_rule();
    out.begin_rule().destination(network, Match::kIn).verdict(nft::kAccept).end_rule();
  }
  if (spec.peers_only != 0) {
    out.peers_set();
    out.chain(kInputChain, kInput, "filter", nft::kHookInput, kPriorityRaw);
    out.begin_rule().not_from_peers(spec.peers_only, spec.vni).verdict(nft::kDrop).end_rule();
  }
}

/// One transaction: all of it or nothing.
Result<void> replace(Netlink& netlink, const RuleSpec& spec, bool remove, RuleWriter::End end) {
  const auto table = overlay::rule_table(spec.vni);
  RuleWriter out(netlink, table, digest_of(spec));
  out.begin_batch();
  if (remove) out.delete_table();
  if (!spec.empty()) {
    out.table();
    put_rules(out, spec);
  }
  auto replaced = out.end_batch(end);
  if (replaced) return replaced;
  Error error = replaced.error();
  // ENOENT and EOPNOTSUPP: a chain type or an expression that this kernel does not have.
  if (error.sys_errno == ENOENT || error.code == Code::kUnsupported) {
    error.code = Code::kUnsupported;
    error.context =
        "no nf_tables NAT in this kernel: load the nft_chain_nat and nft_masq modules (kmod-nft-nat)";
  }
  return error;
}

Error absent(const Error& error) {
  return {Code::kUnsupported, error.sys_errno,
          "no nf_tables in this kernel: load the nf_tables module (kmod-nft-core)"};
}

}  // namespace

Result<bool> apply_rules(Netlink& netlink, const RuleSpec& spec) {
  const auto present = inspect(netlink, spec);
  if (!present) {
    if (!nft::absent(present.error())) return present.error();
    if (spec.empty()) return false;
    return absent(present.error());
  }
  if (is_right(*present, spec)) return false;
  FLT_TRY(replace(netlink, spec, present->table, RuleWriter::End::kCommit));
  return true;
}

Result<void> try_rules(Netlink& netlink, const RuleSpec& spec) {
  const auto present = inspect(netlink, spec);
  if (!present) return nft::absent(present.error()) ? absent(present.error()) : present.error();
  if (spec.empty()) return {};
  return replace(netlink, spec, present->table, RuleWriter::End::kAbort);
}

Result<bool> remove_flanneld_tables(Netlink& netlink) {
  struct Table {
    std::uint8_t family;
    std::string_view name;
  };
  bool any = false;
  for (const Table& table :
       {Table{nft::kFamilyIpv4, "flannel-ipv4"}, Table{nft::kFamilyIpv6, "flannel-ipv6"}}) {
    RuleWriter out(netlink, table.name, 0, table.family);
    out.begin_batch();
    out.delete_table();
    const auto deleted = out.end_batch();
    any = any || deleted;
    if (!deleted && deleted.error().sys_errno != ENOENT && !nft::absent(deleted.error()))
      return deleted.error();
  }
  return any;
}

}  // namespace flannelette::kernel
