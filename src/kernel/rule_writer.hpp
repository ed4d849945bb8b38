// SPDX-License-Identifier: Apache-2.0
// A writer of nf_tables transactions.
#pragma once

#include <array>
#include <span>

#include "flannelette/overlay/entry.hpp"
#include "flannelette/overlay/rules.hpp"
#include "netlink.hpp"
#include "nftables.hpp"

namespace flannelette::kernel {

inline constexpr std::uint32_t kMasqueradeMark = 0x4000;  ///< kube-proxy's
inline constexpr Net4 kMulticast{{0xe0000000}, 4};
inline constexpr std::int32_t kPrioritySrcNat = 100;
inline constexpr std::int32_t kPriorityFilter = 0;
inline constexpr std::int32_t kPriorityRaw = -300;

inline constexpr std::uint8_t kPostroutingChain = 1;
inline constexpr std::uint8_t kForwardChain = 2;
inline constexpr std::uint8_t kInputChain = 3;
inline constexpr std::size_t kPostroutingRules = 6;
inline constexpr std::size_t kForwardRules = 2;
inline constexpr std::size_t kClampRules = 2;
inline constexpr std::size_t kPeersOnlyRules = 1;

/// The set of addresses from which VXLAN is accepted.
inline constexpr std::string_view kPeersSet = "peers";

/// Each rule carries a mark in its user data, so that a later start knows it again: type and length (as nft
/// has it; nft passes over types that it does not know), digest of the whole specification, chain and place.
/// Rules have user data in every kernel with nf_tables, tables only since 5.10; and a rule that is missing,
/// foreign, altered or out of place shows.
using RuleMark = std::array<std::byte, 12>;
/// Of the specification and of the version of the rules made from it.
std::uint64_t digest_of(const overlay::RuleSpec& spec);
RuleMark rule_mark(std::uint64_t digest, std::uint8_t chain, std::size_t place);

enum class Match : std::uint8_t { kIn, kNotIn };

/// Writes one nf_tables transaction.
class RuleWriter {
 public:
  RuleWriter(Netlink& netlink, std::string_view table, std::uint64_t digest,
             std::uint8_t family = nft::kFamilyIpv4)
      : netlink_(netlink), out_(netlink.out()), table_(table), digest_(digest), family_(family) {}

  void begin_batch();
  void delete_table();
  void table();
  /// A base chain with policy accept; the rules that follow are its.
  void chain(std::uint8_t id, std::string_view name, std::string_view type, std::uint32_t hook,
             std::int32_t priority);
  /// The set of peers' addresses, empty.
  void peers_set();
  /// One more request: adds the addresses of those of these changes that are of senders, all of one kind, or
  /// removes them.
  void change_senders(std::span<const overlay::Change> changes);
  RuleWriter& begin_rule();
  RuleWriter& mark_bit(std::uint32_t bit);  ///< packet mark & bit == bit
  RuleWriter& source(Net4 net, Match match) { return address(12, net, match); }
  RuleWriter& destination(Net4 net, Match match) { return address(16, net, match); }
  RuleWriter& verdict(std::int32_t code);
  RuleWriter& masquerade(bool fully_random);
  /// Of TCP SYN packets: the MSS is at most what the MTU of the route allows.
  RuleWriter& clamp_mss();
  /// Of VXLAN packets to this port, of this VNI: the source is in no complete set of peers.
  RuleWriter& not_from_peers(std::uint16_t port, std::uint32_t vni);
  void end_rule();
  enum class End : std::uint8_t {
    kCommit,
    kAbort,  ///< only whether it could be carried out is found
  };
  /// Sends it and waits for the outcome.
  Result<void> end_batch(End end = End::kCommit);

 private:
  struct Expression {
    MessageWriter::Nest element;
    MessageWriter::Nest data;
  };
  void message(int type, std::uint16_t flags);
  Expression begin_expression(std::string_view name);
  void end_expression(Expression expression);
  void put_value(std::uint16_t type, std::uint32_t wire, std::size_t size);
  void load(std::uint32_t header, std::uint32_t offset, std::uint32_t size);
  void bitwise(std::uint32_t wire_mask, std::uint32_t size = 4);
  void compare(Match match, std::uint32_t wire, std::uint32_t size = 4);
  void compare_protocol(std::uint32_t protocol);
  void look_up(Match match);
  RuleWriter& address(std::uint32_t offset, Net4 net, Match match);

  Netlink& netlink_;
  MessageWriter& out_;
  const std::string_view table_;
  const std::uint64_t digest_;
  const std::uint8_t family_;
  std::string_view chain_;
  std::uint8_t chain_id_ = 0;
  std::size_t place_ = 0;
  MessageWriter::Nest expressions_ = 0;
  std::uint32_t first_ = 0;
  std::uint32_t last_ = 0;
};

}  // namespace flannelette::kernel
