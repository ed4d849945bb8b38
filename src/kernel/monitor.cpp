// SPDX-License-Identifier: Apache-2.0
// Sockets of notifications: what they say, and when the doorbell rings.
#include "flannelette/kernel/monitor.hpp"

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

#include "nftables.hpp"
#include "notification_filter.hpp"
#include "vxlan_device.hpp"

namespace flannelette::kernel {
namespace {

/// Notifications read in one wake-up; what is left makes the next one.
constexpr int kMaxReads = 256;

/// Wi-Fi drivers announce each scan as a link change; nothing that we read changes with it.
bool is_scan(const nlmsghdr& message) {
  return message.nlmsg_type == RTM_NEWLINK && attributes_of<ifinfomsg>(message).has(IFLA_WIRELESS);
}

/// A VXLAN device went down. A new one is announced as down, too, but with all flags as changed.
bool vxlan_went_down(const nlmsghdr& message) {
  const auto* header = header_of<ifinfomsg>(message);
  return message.nlmsg_type == RTM_NEWLINK && header != nullptr && (header->ifi_flags & IFF_UP) == 0 &&
         (header->ifi_change & IFF_UP) != 0 && header->ifi_change != UINT32_MAX &&
         attributes_of<ifinfomsg>(message).nested(IFLA_LINKINFO).text(IFLA_INFO_KIND) == kVxlanKind;
}

/// Reads what has come, `visit` for each message of the kernel; true if some were lost.
bool drain(const Socket& socket, Netlink::Visit visit) {
  bool lost = false;
  for (int i = 0; i < kMaxReads; ++i) {
    alignas(nlmsghdr) std::byte bytes[4096];
    sockaddr_nl from{};
    socklen_t from_size = sizeof from;
    const ssize_t got = ::recvfrom(mnl_socket_get_fd(socket.get()), bytes, sizeof bytes, MSG_TRUNC,
                                   reinterpret_cast<sockaddr*>(&from), &from_size);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno != ENOBUFS) break;
      lost = true;
      continue;
    }
    if (from.nl_pid != 0) continue;
    if (static_cast<std::size_t>(got) > sizeof bytes) {
      lost = true;
      continue;
    }
    std::span<const std::byte> rest(bytes, static_cast<std::size_t>(got));
    while (const nlmsghdr* message = take_message(rest)) visit(*message);
  }
  return lost;
}

}  // namespace

struct Monitor::Impl {
  Impl(io::Loop& loop, const NetlinkKernel& own_kernel)
      : own(own_kernel),
        links_source(loop, io::Source::Handler::to<&Impl::on_links>(this)),
        rules_source(loop, io::Source::Handler::to<&Impl::on_rules>(this)) {}

  Result<void> open();
  void open_rules();
  void follow(const Site& site) const;
  void on_links(std::uint32_t events);
  void on_rules(std::uint32_t events);
  void ring_if_caused(const Ring& ring) const {
    if (ring.causes != 0 && doorbell) doorbell(ring);
  }

  const NetlinkKernel& own;
  Socket links;
  Socket rules;
  io::Source links_source;  ///< after the sockets: unregistered before they are closed
  io::Source rules_source;
  Delegate<void(const Ring&)> doorbell;
  std::uint32_t times_down = 0;
};

Monitor::Monitor(io::Loop& loop, const NetlinkKernel& own) : impl_(new Impl(loop, own)) {}
Monitor::~Monitor() = default;
Result<void> Monitor::open() { return impl_->open(); }
void Monitor::set_doorbell(Delegate<void(const Ring&)> doorbell) { impl_->doorbell = doorbell; }
void Monitor::follow(const Site& site) { impl_->follow(site); }
std::uint32_t Monitor::times_down() const { return impl_->times_down; }

Result<void> Monitor::Impl::open() {
  Result<Socket> opened = open_socket(NETLINK_ROUTE, SOCK_NONBLOCK, RTMGRP_LINK | RTMGRP_IPV4_IFADDR);
  if (!opened) return opened.error();
  links_source.unwatch();
  links = std::move(*opened);
  const int fd = mnl_socket_get_fd(links.get());
  if (filter_notifications(fd, {}, own.route_port())) {
    const int group = RTNLGRP_IPV4_ROUTE;
    (void)::setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group);
  }
  open_rules();
  return links_source.watch(fd, EPOLLIN);
}

/// Best effort: without it, the audit inspects the rules.
void Monitor::Impl::open_rules() {
  // A transaction of thousands of rules is announced rule by rule, and its end once: only that shall wake us.
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(nlmsghdr, nlmsg_type)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(nft::type(NFT_MSG_NEWGEN)), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  Result<Socket> opened = open_socket(NETLINK_NETFILTER, SOCK_NONBLOCK, 1u << (NFNLGRP_NFTABLES - 1));
  if (!opened) return;
  const int fd = mnl_socket_get_fd(opened->get());
  if (!attach_filter(fd, program)) return;
  rules_source.unwatch();
  rules = std::move(*opened);
  (void)rules_source.watch(fd, EPOLLIN);
}

/// Best effort: without it, the audit finds what has changed.
void Monitor::Impl::follow(const Site& site) const {
  (void)filter_notifications(mnl_socket_get_fd(links.get()), site, own.route_port());
}

void Monitor::Impl::on_links(std::uint32_t) {
  Ring ring;
  const bool lost = drain(links, [&](const nlmsghdr& message) {
    // The types of links, addresses and routes are four each, from RTM_BASE on.
    constexpr Cause kCauses[] = {Cause::kLinks, Cause::kAddresses, Cause::kRoutes};
    const std::size_t kind = (message.nlmsg_type - RTM_BASE) / 4u;
    if (!is_scan(message)) ring.add(kCauses[kind < std::size(kCauses) ? kind : 0]);
    if (vxlan_went_down(message)) ++times_down;
  });
  if (lost) {
    ++times_down;
    for (const Cause cause : {Cause::kLinks, Cause::kAddresses, Cause::kRoutes, Cause::kLost})
      ring.add(cause);
  }
  ring_if_caused(ring);
}

void Monitor::Impl::on_rules(std::uint32_t) {
  Ring ring;
  const bool lost = drain(rules, [&](const nlmsghdr& message) {
    if (message.nlmsg_type != nft::type(NFT_MSG_NEWGEN) || message.nlmsg_pid == own.nftables_port()) return;
    const auto attributes = attributes_of<nfgenmsg>(message);
    ring.program = attributes.text(NFTA_GEN_PROC_NAME);
    ring.pid = attributes.be32(NFTA_GEN_PROC_PID).value_or(0);
    ring.add(Cause::kRules);
  });
  if (lost) {
    ring.program.clear();
    for (const Cause cause : {Cause::kRules, Cause::kLost}) ring.add(cause);
  }
  ring_if_caused(ring);
}

}  // namespace flannelette::kernel
