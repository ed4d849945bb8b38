// SPDX-License-Identifier: Apache-2.0
// The filter of the socket for notifications, as a program of classic BPF.
#include "notification_filter.hpp"

#include <linux/filter.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <bit>
#include <span>

#include "nexthop.hpp"
#include "nftables.hpp"

namespace flannelette::kernel {
namespace {

constexpr bool kBig = std::endian::native == std::endian::big;

/// Lines of the program that are jumped to.
enum Line : std::uint8_t {
  kRoute = 5,
  kDestination = 18,
  kProtocol = 32,
  kNeighbour = 35,
  kSetting = 39,
  kNexthop = 47,
  kPass = 56,
  kDrop = 57,
};

constexpr sock_filter line(unsigned code, std::uint32_t k) {
  return {static_cast<std::uint16_t>(code), 0, 0, k};
}
/// The jump on line `at`, if what was loaded is equal to (kEqual), at least, or greater than k, to `yes`.
enum : unsigned { kEqual = BPF_JEQ, kAtLeast = BPF_JGE, kGreater = BPF_JGT };
constexpr sock_filter jump(int at, unsigned test, std::uint32_t k, int yes, int no) {
  return {static_cast<std::uint16_t>(BPF_JMP | test | BPF_K), static_cast<std::uint8_t>(yes - at - 1),
          static_cast<std::uint8_t>(no - at - 1), k};
}
constexpr sock_filter byte_at(std::size_t offset) {
  return line(BPF_LD | BPF_B | BPF_ABS, static_cast<std::uint32_t>(offset));
}
constexpr sock_filter word_at(std::size_t offset) {
  return line(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
constexpr std::uint32_t attributes_after(std::size_t header) {
  return static_cast<std::uint32_t>(NLMSG_HDRLEN + NLMSG_ALIGN(header));
}
// An attribute of this type: three lines leave its offset, 0 if there is none.
constexpr sock_filter attribute_type(std::uint32_t type) { return line(BPF_LDX | BPF_W | BPF_IMM, type); }
constexpr sock_filter attributes_at(std::uint32_t offset) { return line(BPF_LD | BPF_W | BPF_IMM, offset); }
constexpr sock_filter kFindAttribute =
    line(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_NLATTR));
constexpr sock_filter kUseOffset = line(BPF_MISC | BPF_TAX, 0);
constexpr sock_filter kValue = line(BPF_LD | BPF_W | BPF_IND, NLA_HDRLEN);
constexpr sock_filter masked(std::uint32_t mask) { return line(BPF_ALU | BPF_AND | BPF_K, mask); }

/// Words are loaded as big endian. 0 is nobody's port, nor a link.
std::uint32_t native(std::uint32_t value) { return value == 0 ? UINT32_MAX : htonl(value); }
/// A network that is not known (its mask is 0) has no routes.
std::uint32_t base_of(Net4 net) { return net.length == 0 ? 1 : net.base.value; }

constexpr auto kTypeAt = offsetof(nlmsghdr, nlmsg_type) + kBig;  // the lower byte: all types fit
constexpr auto kPortAt = offsetof(nlmsghdr, nlmsg_pid);
constexpr std::uint32_t kIdRange = NexthopIds::kFirst >> 24;  // and the next one
static_assert(DirectNexthopIds::kFirst >> 24 == kIdRange + 1 && kIdRange % 2 == 0);

bool attach_filter(int fd, std::span<sock_filter> program) {
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0;
}

bool attach(int fd, const Site& site, std::uint32_t own, std::uint32_t device, std::uint32_t underlay) {
  sock_filter program[] = {
      byte_at(kTypeAt),
      jump(1, kAtLeast, RTM_NEWNEXTHOP, kNexthop, 2),
      jump(2, kAtLeast, RTM_NEWNETCONF, kSetting, 3),
      jump(3, kAtLeast, RTM_NEWNEIGH, kNeighbour, 4),
      jump(4, kAtLeast, RTM_NEWROUTE, kRoute, kPass),
      word_at(kPortAt),  // kRoute:
      jump(6, kEqual, own, kDrop, 7),
      byte_at(NLMSG_HDRLEN + offsetof(rtmsg, rtm_table)),
      jump(8, kEqual, RT_TABLE_MAIN, 9, kDrop),
      byte_at(NLMSG_HDRLEN + offsetof(rtmsg, rtm_dst_len)),
      jump(10, kEqual, 0, kPass, 11),
      attribute_type(RTA_OIF),
      attributes_at(attributes_after(sizeof(rtmsg))),
      kFindAttribute,
      jump(14, kEqual, 0, kDestination, 15),
      kUseOffset,
      kValue,
      jump(17, kEqual, device, kPass, kDestination),
      attribute_type(RTA_DST),  // kDestination:
      attributes_at(attributes_after(sizeof(rtmsg))),
      kFindAttribute,
      kUseOffset,
      kValue,
      masked(site.network.mask()),
      jump(24, kEqual, base_of(site.network), kPass, 25),
      kValue,
      masked(site.former.mask()),
      jump(27, kEqual, base_of(site.former), kPass, 28),
      attribute_type(RTA_METRICS),  // an MTU may count
      attributes_at(attributes_after(sizeof(rtmsg))),
      kFindAttribute,
      jump(31, kEqual, 0, site.direct ? kProtocol : kDrop, kProtocol),
      byte_at(NLMSG_HDRLEN + offsetof(rtmsg, rtm_protocol)),  // kProtocol: not of a routing daemon
      jump(33, kEqual, RTPROT_DHCP, kPass, 34),
      jump(34, kGreater, RTPROT_STATIC, kDrop, kPass),
      word_at(kPortAt),  // kNeighbour:
      jump(36, kEqual, own, kDrop, 37),
      word_at(NLMSG_HDRLEN + offsetof(ndmsg, ndm_ifindex)),
      jump(38, kEqual, device, kPass, kDrop),
      attribute_type(NETCONFA_IFINDEX),  // kSetting:
      attributes_at(attributes_after(sizeof(netconfmsg))),
      kFindAttribute,
      kUseOffset,
      kValue,
      jump(44, kEqual, static_cast<std::uint32_t>(NETCONFA_IFINDEX_ALL), kPass, 45),
      jump(45, kEqual, device, kPass, 46),
      jump(46, kEqual, underlay, kPass, kDrop),
      word_at(kPortAt),  // kNexthop:
      jump(48, kEqual, own, kDrop, 49),
      attribute_type(NHA_ID),
      attributes_at(attributes_after(sizeof(nhmsg))),
      kFindAttribute,
      kUseOffset,
      line(BPF_LD | BPF_B | BPF_IND, NLA_HDRLEN + (kBig ? 0 : 3)),
      masked(0xfe),
      jump(55, kEqual, kIdRange, kPass, kDrop),
      line(BPF_RET | BPF_K, UINT32_MAX),
      line(BPF_RET | BPF_K, 0),
  };
  static_assert(std::size(program) == kDrop + 1);
  return attach_filter(fd, program);
}

}  // namespace

bool filter_notifications(int fd, const Site& site, std::uint32_t own_port) {
  return attach(fd, site, native(own_port), native(static_cast<std::uint32_t>(site.device)),
                native(static_cast<std::uint32_t>(site.underlay)));
}

bool filter_rule_notifications(int fd, std::uint32_t own_port) {
  enum : std::uint8_t { kOfSet = 6, kPassed = 14, kDropped = 15 };
  const auto type = [](int message) { return htons(nft::type(message)); };
  sock_filter program[] = {
      word_at(kPortAt),
      jump(1, kEqual, native(own_port), kDropped, 2),
      line(BPF_LD | BPF_H | BPF_ABS, offsetof(nlmsghdr, nlmsg_type)),
      jump(3, kEqual, type(NFT_MSG_NEWGEN), kPassed, 4),
      jump(4, kEqual, type(NFT_MSG_NEWSETELEM), kOfSet, 5),
      jump(5, kEqual, type(NFT_MSG_DELSETELEM), kOfSet, kDropped),
      attribute_type(NFTA_SET_ELEM_LIST_TABLE),  // kOfSet: its table begins like one of ours
      attributes_at(attributes_after(sizeof(nfgenmsg))),
      kFindAttribute,
      kUseOffset,
      kValue,
      jump(11, kEqual, 0x666c616e, 12, kDropped),  // "flan"
      line(BPF_LD | BPF_W | BPF_IND, NLA_HDRLEN + 4),
      jump(13, kEqual, 0x6e656c65, kPassed, kDropped),  // "nele"
      line(BPF_RET | BPF_K, UINT32_MAX),
      line(BPF_RET | BPF_K, 0),
  };
  static_assert(std::size(program) == kDropped + 1);
  return attach_filter(fd, program);
}

}  // namespace flannelette::kernel
