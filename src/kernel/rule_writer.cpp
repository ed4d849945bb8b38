// SPDX-License-Identifier: Apache-2.0
// Writes one nf_tables transaction, expression by expression.
#include "rule_writer.hpp"

#include <netinet/in.h>

#include "flannelette/base/fnv.hpp"
#include "nftables.hpp"

namespace flannelette::kernel {
namespace {

/// To be counted up whenever the rules made from a specification change.
constexpr std::uint8_t kRulesVersion = 1;

/// User data type of our mark; nft's own types begin at 0.
constexpr std::byte kMarkType{0x46};

/// The value of a byte in a register.
std::uint32_t byte(std::uint32_t value) { return htonl(value << 24); }

}  // namespace

std::uint64_t digest_of(const overlay::RuleSpec& spec) {
  Fnv1a hash;
  hash.mix(kRulesVersion);
  hash.mix((spec.masquerade ? 1u : 0u) | (spec.fully_random ? 2u : 0u) | (spec.forward ? 4u : 0u) |
           (spec.clamp_mss ? 8u : 0u));
  if (spec.peers_only != 0) hash.mix(spec.peers_only);
  for (const Net* net : {&spec.network, &spec.subnet}) {
    hash.mix_bytes(net->base.v4().value, 4);
    hash.mix(net->length);
  }
  return hash.value();
}

RuleMark rule_mark(std::uint64_t digest, std::uint8_t chain, std::size_t place) {
  RuleMark mark;
  mark[0] = kMarkType;
  mark[1] = std::byte(mark.size() - 2);
  for (int i = 0; i < 8; ++i) mark[static_cast<std::size_t>(2 + i)] = std::byte(digest >> (8 * i) & 0xff);
  mark[10] = std::byte(chain);
  mark[11] = std::byte(place & 0xff);
  return mark;
}

void RuleWriter::message(int type, std::uint16_t flags) {
  last_ = netlink_.next_sequence();
  out_.start<nfgenmsg>(nft::type(type), flags, last_).nfgen_family = family_;
}

void RuleWriter::begin_batch() {
  out_.clear();
  first_ = netlink_.next_sequence();
  out_.start<nfgenmsg>(NFNL_MSG_BATCH_BEGIN, 0, first_).res_id = htons(NFNL_SUBSYS_NFTABLES);
}

void RuleWriter::delete_table() {
  message(NFT_MSG_DELTABLE, 0);
  out_.put_text(NFTA_TABLE_NAME, table_);
}

void RuleWriter::table() {
  message(NFT_MSG_NEWTABLE, NLM_F_CREATE);
  out_.put_text(NFTA_TABLE_NAME, table_);
  out_.put_be32(NFTA_TABLE_FLAGS, 0);
}

void RuleWriter::chain(std::uint8_t id, std::string_view name, std::string_view type, std::uint32_t hook,
                       std::int32_t priority) {
  chain_ = name;
  chain_id_ = id;
  place_ = 0;
  message(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  out_.put_text(NFTA_CHAIN_TABLE, table_);
  out_.put_text(NFTA_CHAIN_NAME, name);
  const auto where = out_.nest(NFTA_CHAIN_HOOK);
  out_.put_be32(NFTA_HOOK_HOOKNUM, hook);
  out_.put_be32(NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(priority));
  out_.end(where);
  out_.put_be32(NFTA_CHAIN_POLICY, nft::kAccept);
  out_.put_text(NFTA_CHAIN_TYPE, type);
}

void RuleWriter::peers_set() {
  message(NFT_MSG_NEWSET, NLM_F_CREATE);
  out_.put_text(NFTA_SET_TABLE, table_);
  out_.put_text(NFTA_SET_NAME, kPeersSet);
  out_.put_be32(NFTA_SET_ID, 1);
  out_.put_be32(NFTA_SET_KEY_TYPE, nft::kAddressType);
  out_.put_be32(NFTA_SET_KEY_LEN, 4);
}

void RuleWriter::change_senders(std::span<const overlay::Change> changes) {
  const bool put = changes.front().op == overlay::Change::Op::kPut;
  message(put ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, put ? NLM_F_CREATE : 0);
  out_.put_text(NFTA_SET_ELEM_LIST_TABLE, table_);
  out_.put_text(NFTA_SET_ELEM_LIST_SET, kPeersSet);
  const auto elements = out_.nest(NFTA_SET_ELEM_LIST_ELEMENTS);
  for (const overlay::Change& change : changes) {
    if (change.entry.kind != overlay::Entry::Kind::kSender) continue;
    const auto element = out_.nest(NFTA_LIST_ELEM);
    put_value(NFTA_SET_ELEM_KEY, htonl(change.entry.via.v4().value), 4);
    out_.end(element);
  }
  out_.end(elements);
}

RuleWriter& RuleWriter::begin_rule() {
  message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
  out_.put_text(NFTA_RULE_TABLE, table_);
  out_.put_text(NFTA_RULE_CHAIN, chain_);
  const RuleMark mark = rule_mark(digest_, chain_id_, place_++);
  out_.put(NFTA_RULE_USERDATA, mark.data(), mark.size());
  expressions_ = out_.nest(NFTA_RULE_EXPRESSIONS);
  return *this;
}

void RuleWriter::end_rule() { out_.end(expressions_); }

RuleWriter::Expression RuleWriter::begin_expression(std::string_view name) {
  Expression expression;
  expression.element = out_.nest(NFTA_LIST_ELEM);
  out_.put_text(NFTA_EXPR_NAME, name);
  expression.data = out_.nest(NFTA_EXPR_DATA);
  return expression;
}

void RuleWriter::end_expression(Expression expression) {
  out_.end(expression.data);
  out_.end(expression.element);
}

/// The first bytes of `wire`, as they lie in memory.
void RuleWriter::put_value(std::uint16_t type, std::uint32_t wire, std::size_t size) {
  const auto nest = out_.nest(type);
  out_.put(NFTA_DATA_VALUE, &wire, size);
  out_.end(nest);
}

/// Register 1 &= mask. The bytes of mask are those of the register: network order for an address, our own for
/// a mark.
void RuleWriter::bitwise(std::uint32_t wire_mask, std::uint32_t size) {
  const auto expression = begin_expression("bitwise");
  out_.put_be32(NFTA_BITWISE_SREG, NFT_REG_1);
  out_.put_be32(NFTA_BITWISE_DREG, NFT_REG_1);
  out_.put_be32(NFTA_BITWISE_LEN, size);
  put_value(NFTA_BITWISE_MASK, wire_mask, size);
  put_value(NFTA_BITWISE_XOR, 0, size);
  end_expression(expression);
}

void RuleWriter::compare(Match match, std::uint32_t wire, std::uint32_t size) {
  const auto expression = begin_expression("cmp");
  out_.put_be32(NFTA_CMP_SREG, NFT_REG_1);
  out_.put_be32(NFTA_CMP_OP, match == Match::kIn ? NFT_CMP_EQ : NFT_CMP_NEQ);
  put_value(NFTA_CMP_DATA, wire, size);
  end_expression(expression);
}

RuleWriter& RuleWriter::mark_bit(std::uint32_t bit) {
  const auto expression = begin_expression("meta");
  out_.put_be32(NFTA_META_DREG, NFT_REG_1);
  out_.put_be32(NFTA_META_KEY, NFT_META_MARK);
  end_expression(expression);
  bitwise(bit);
  compare(Match::kIn, bit);
  return *this;
}

/// Register 1 = these bytes of a header.
void RuleWriter::load(std::uint32_t header, std::uint32_t offset, std::uint32_t size) {
  const auto expression = begin_expression("payload");
  out_.put_be32(NFTA_PAYLOAD_DREG, NFT_REG_1);
  out_.put_be32(NFTA_PAYLOAD_BASE, header);
  out_.put_be32(NFTA_PAYLOAD_OFFSET, offset);
  out_.put_be32(NFTA_PAYLOAD_LEN, size);
  end_expression(expression);
}

RuleWriter& RuleWriter::address(std::uint32_t offset, Net4 net, Match match) {
  load(NFT_PAYLOAD_NETWORK_HEADER, offset, 4);
  if (net.length < 32) bitwise(htonl(net.mask()));
  compare(match, htonl(net.masked().base.value));
  return *this;
}

RuleWriter& RuleWriter::verdict(std::int32_t code) {
  const auto expression = begin_expression("immediate");
  out_.put_be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  const auto data = out_.nest(NFTA_IMMEDIATE_DATA);
  const auto nest = out_.nest(NFTA_DATA_VERDICT);
  out_.put_be32(NFTA_VERDICT_CODE, static_cast<std::uint32_t>(code));
  out_.end(nest);
  out_.end(data);
  end_expression(expression);
  return *this;
}

RuleWriter& RuleWriter::masquerade(bool fully_random) {
  const auto expression = begin_expression("masq");
  if (fully_random) out_.put_be32(NFTA_MASQ_FLAGS, nft::kRandomFully);
  end_expression(expression);
  return *this;
}

void RuleWriter::compare_protocol(std::uint32_t protocol) {
  constexpr std::uint32_t kProtocolAt = 9;
  load(NFT_PAYLOAD_NETWORK_HEADER, kProtocolAt, 1);
  compare(Match::kIn, byte(protocol), 1);
}

/// Register 1 is an element of the set of peers.
void RuleWriter::look_up(Match match) {
  const auto expression = begin_expression("lookup");
  out_.put_text(NFTA_LOOKUP_SET, kPeersSet);
  out_.put_be32(NFTA_LOOKUP_SREG, NFT_REG_1);
  out_.put_be32(NFTA_LOOKUP_FLAGS, match == Match::kIn ? 0 : NFT_LOOKUP_F_INV);
  end_expression(expression);
}

/// As `udp dport PORT @th,96,24 VNI ip saddr & 0.0.0.0 @peers ip saddr != @peers counter`.
RuleWriter& RuleWriter::not_from_peers(std::uint16_t port, std::uint32_t vni) {
  constexpr std::uint32_t kSourceAt = 12, kPortAt = 2, kVniAt = 12;
  compare_protocol(IPPROTO_UDP);
  load(NFT_PAYLOAD_TRANSPORT_HEADER, kPortAt, 2);
  compare(Match::kIn, htonl(std::uint32_t{port} << 16), 2);
  load(NFT_PAYLOAD_TRANSPORT_HEADER, kVniAt, 3);
  compare(Match::kIn, htonl(vni << 8), 3);
  load(NFT_PAYLOAD_NETWORK_HEADER, kSourceAt, 4);
  bitwise(0);
  look_up(Match::kIn);
  load(NFT_PAYLOAD_NETWORK_HEADER, kSourceAt, 4);
  look_up(Match::kNotIn);
  end_expression(begin_expression("counter"));
  return *this;
}

/// As `tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu`.
RuleWriter& RuleWriter::clamp_mss() {
  constexpr std::uint32_t kFlagsAt = 13;
  constexpr std::uint32_t kMssOption = 2, kMssAt = 2, kMssSize = 2;
  compare_protocol(IPPROTO_TCP);
  load(NFT_PAYLOAD_TRANSPORT_HEADER, kFlagsAt, 1);
  bitwise(byte(2 | 4), 1);
  compare(Match::kIn, byte(2), 1);
  auto expression = begin_expression("rt");
  out_.put_be32(NFTA_RT_DREG, NFT_REG_1);
  out_.put_be32(NFTA_RT_KEY, NFT_RT_TCPMSS);
  end_expression(expression);
  expression = begin_expression("byteorder");
  out_.put_be32(NFTA_BYTEORDER_SREG, NFT_REG_1);
  out_.put_be32(NFTA_BYTEORDER_DREG, NFT_REG_1);
  out_.put_be32(NFTA_BYTEORDER_OP, NFT_BYTEORDER_HTON);
  out_.put_be32(NFTA_BYTEORDER_LEN, kMssSize);
  out_.put_be32(NFTA_BYTEORDER_SIZE, kMssSize);
  end_expression(expression);
  expression = begin_expression("exthdr");
  out_.put_be32(NFTA_EXTHDR_SREG, NFT_REG_1);
  out_.put_u8(NFTA_EXTHDR_TYPE, kMssOption);
  out_.put_be32(NFTA_EXTHDR_OFFSET, kMssAt);
  out_.put_be32(NFTA_EXTHDR_LEN, kMssSize);
  out_.put_be32(NFTA_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT);
  end_expression(expression);
  return *this;
}

Result<void> RuleWriter::end_batch(End end) {
  // The last request of the transaction is acknowledged after the commit; END itself only by newer kernels.
  out_.add_flags(NLM_F_ACK);
  const std::uint32_t last = last_;
  // Without an END the kernel takes all of it back.
  if (end == End::kCommit)
    out_.start<nfgenmsg>(NFNL_MSG_BATCH_END, 0, netlink_.next_sequence()).res_id =
        htons(NFNL_SUBSYS_NFTABLES);

  struct Outcome final : Netlink::Reader {
    void message(const nlmsghdr&) override {}
    void refused(std::uint32_t, int sys_errno) override {
      if (failure == 0) failure = sys_errno;
    }
    int failure = 0;
  } outcome;
  constexpr const char* kContext = "change the nf_tables table";
  FLT_TRY(netlink_.send(kContext));
  const auto received = netlink_.receive(kContext, first_, last, outcome);
  // A batch that is refused whole (no right, commit failed) may be answered for its first message alone.
  if (outcome.failure != 0) return netlink_error(kContext, outcome.failure);
  return received;
}

}  // namespace flannelette::kernel
