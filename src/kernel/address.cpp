// SPDX-License-Identifier: Apache-2.0
// IPv4 addresses of links: reading them, and making one the only one of our device.
#include "address.hpp"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cerrno>

namespace flannelette::kernel {
namespace {

constexpr int kMaxRounds = 8;

Result<void> each_address(Netlink& netlink, int index, FunctionRef<void(const FoundAddress&)> visit) {
  auto& request = netlink.request<ifaddrmsg>(RTM_GETADDR);
  request.ifa_family = AF_INET;
  request.ifa_index = static_cast<std::uint32_t>(index);
  return netlink.dump("list addresses", [&](const nlmsghdr& message) {
    const auto found = read_address(message);
    if (found && (index == 0 || found->address.link_index == index)) visit(*found);
  });
}

/// What names an address in a request. The kernel compares the length only where the peer is given too.
struct Named {
  Net4 net;
  Ip4 peer;
};

Result<void> write_address(Netlink& netlink, std::uint16_t type, std::uint16_t flags, int index,
                           const Named& address) {
  auto& request = netlink.request<ifaddrmsg>(type, flags);
  request.ifa_family = AF_INET;
  request.ifa_prefixlen = address.net.length;
  request.ifa_scope = RT_SCOPE_UNIVERSE;
  request.ifa_index = static_cast<std::uint32_t>(index);
  netlink.out().put_ip4(IFA_LOCAL, address.net.base);
  netlink.out().put_ip4(IFA_ADDRESS, address.peer);
  return netlink.run(type == RTM_NEWADDR ? "add the device's address" : "delete an address of the device");
}

}  // namespace

std::optional<FoundAddress> read_address(const nlmsghdr& message) {
  const auto* header = header_of<ifaddrmsg>(message);
  if (message.nlmsg_type != RTM_NEWADDR || header == nullptr || header->ifa_family != AF_INET ||
      header->ifa_prefixlen > 32) {
    return std::nullopt;
  }
  const auto attributes = attributes_of<ifaddrmsg>(message);
  Address address;
  address.link_index = static_cast<int>(header->ifa_index);
  // IFA_ADDRESS is the peer's on a point-to-point link; IFA_LOCAL is ours always.
  const Ip4 peer = attributes.ip4(IFA_ADDRESS, Ip4{});
  const Ip4 local = attributes.ip4(IFA_LOCAL, peer);
  address.net = Net4{local, header->ifa_prefixlen};
  const std::uint32_t flags = attributes.u32(IFA_FLAGS, header->ifa_flags);
  address.secondary = (flags & IFA_F_SECONDARY) != 0;
  address.deprecated = (flags & IFA_F_DEPRECATED) != 0;
  address.link_scope = header->ifa_scope >= RT_SCOPE_LINK;
  return FoundAddress{address, attributes.ip4(IFA_ADDRESS, local)};
}

Result<void> dump_addresses(Netlink& netlink, int index, AddressVisitor& visitor) {
  return each_address(netlink, index, [&](const FoundAddress& found) { visitor.address(found.address); });
}

Result<bool> set_device_address(Netlink& netlink, int index, Ip4 address, Net4 network) {
  const Named wanted{{address, 32}, address};
  // Deleting a primary address deletes its secondaries too, and ours can be one (of `X peer address/32`):
  // list them again afterwards.
  bool written = false;
  for (int round = 0; round < kMaxRounds; ++round) {
    bool present = false;
    std::array<Named, 16> wrong;  // should there be more, the next round takes them
    std::size_t count = 0;
    FLT_TRY(each_address(netlink, index, [&](const FoundAddress& found) {
      const Net4 net = found.address.net.v4();
      if (net == wanted.net && found.peer == wanted.peer) {
        present = true;
      } else if (network.contains(net.base) && count < wrong.size()) {
        wrong[count++] = {net, found.peer};
      }
    }));
    written = written || !present;
    if (!present) FLT_TRY(write_address(netlink, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, wanted));
    if (count == 0) return written;
    written = true;
    for (std::size_t i = 0; i < count; ++i) {
      const auto deleted = write_address(netlink, RTM_DELADDR, 0, index, wrong[i]);
      if (!deleted && deleted.error().sys_errno != EADDRNOTAVAIL) return deleted.error();
    }
  }
  return Error{Code::kConflict, 0, "another program keeps adding addresses to the device"};
}

}  // namespace flannelette::kernel
