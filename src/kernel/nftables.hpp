// SPDX-License-Identifier: Apache-2.0
// Constants and helpers of nf_tables messages.
#pragma once

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <cerrno>

#include "netlink.hpp"

/// What nf_tables messages have in common. All integers in them are in network byte order.
namespace flannelette::kernel::nft {

// From linux/netfilter.h and linux/netfilter/nf_nat.h, which cannot stand beside musl's netinet/in.h.
inline constexpr std::uint8_t kFamilyInet = 1;   ///< NFPROTO_INET
inline constexpr std::uint8_t kFamilyIpv4 = 2;   ///< NFPROTO_IPV4
inline constexpr std::uint8_t kFamilyIpv6 = 10;  ///< NFPROTO_IPV6
inline constexpr std::uint32_t kHookInput = 1;
inline constexpr std::uint32_t kHookForward = 2;
inline constexpr std::uint32_t kHookPostrouting = 4;
inline constexpr std::int32_t kDrop = 0;
inline constexpr std::int32_t kAccept = 1;
inline constexpr std::int32_t kReturn = NFT_RETURN;
inline constexpr std::uint32_t kAddressType = 7;       ///< what nft calls ipv4_addr
inline constexpr std::uint32_t kRandomFully = 1 << 4;  ///< NF_NAT_RANGE_PROTO_RANDOM_FULLY

constexpr std::uint16_t type(int message) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message);
}

/// Begins the only request of an exchange.
inline void request(Netlink& netlink, int message, std::uint8_t family) {
  netlink.request<nfgenmsg>(type(message)).nfgen_family = family;
}

/// The kernel has no nf_tables at all (or refuses to load it): no table of ours can be there either.
inline bool absent(const Error& error) {
  return error.code == Code::kUnsupported || error.sys_errno == EINVAL;
}

}  // namespace flannelette::kernel::nft
