// SPDX-License-Identifier: Apache-2.0
// Sockets of notifications: what they say, and when the doorbell rings.
#include "flannelette/kernel/monitor.hpp"

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "entries.hpp"
#include "netlink_kernel_impl.hpp"
#include "nftables.hpp"
#include "notification_filter.hpp"
#include "senders.hpp"
#include "vxlan_device.hpp"

namespace flannelette::kernel {
namespace {

/// Notifications read in one wake-up; what is left makes the next one.
constexpr int kMaxReads = 256;
constexpr int kReceiveQueue = 1024 * 1024;

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

/// Whether this is the next of our own changes that the kernel announces: in the order in which it made them,
/// and nothing where it had nothing to change.
bool take_own(const Touched& touched, std::span<const overlay::Change>& changes) {
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const overlay::Change& change = changes[i];
    const overlay::Entry& entry = change.entry;
    const bool puts = change.op == overlay::Change::Op::kPut;
    if (entry.kind != touched.entry.kind || puts != touched.present) continue;
    const bool same = entry.kind == overlay::Entry::Kind::kFdb
                          ? entry.mac == touched.entry.mac && (!puts || entry.via == touched.entry.via)
                          : entry.net.base == touched.entry.net.base;
    if (!same) continue;
    changes = changes.subspan(i + 1);
    return true;
  }
  return false;
}

}  // namespace

struct Monitor::Impl final : WriteObserver {
  Impl(io::Loop& loop, NetlinkKernel::Impl& own_kernel)
      : own(own_kernel),
        links_source(loop, io::Source::Handler::to<&Impl::on_links>(this)),
        rules_source(loop, io::Source::Handler::to<&Impl::on_rules>(this)),
        found(loop, Delegate<void()>::to<&Impl::ring_found>(this)) {
    own.batch.set_observer(this);
  }
  ~Impl() { own.batch.set_observer(nullptr); }

  Result<void> open();
  void open_rules();
  void follow(const Site& site);
  void written(std::span<const overlay::Change> changes) override;
  void read_links(std::span<const overlay::Change> changes);
  void on_message(const nlmsghdr& message, std::span<const overlay::Change>& changes);
  void on_links(std::uint32_t events);
  void on_rules(std::uint32_t events);
  void ring_if_caused(const Ring& what) const {
    if (what.causes != 0 && doorbell) doorbell(what);
  }
  void ring_found() { ring_if_caused(std::exchange(ring, Ring{})); }

  NetlinkKernel::Impl& own;
  Site site;
  Ring ring;  ///< of what was read of links and entries
  Socket links;
  Socket rules;
  io::Source links_source;  ///< after the sockets: unregistered before they are closed
  io::Source rules_source;
  io::Timer found;  ///< rings for what was read during a batch
  Delegate<void(const Ring&)> doorbell;
  std::uint32_t times_down = 0;
};

Monitor::Monitor(io::Loop& loop, const NetlinkKernel& own) : impl_(new Impl(loop, *own.impl_)) {}
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
  // A queue for what others do at once, as far as we may; it takes memory only while it is full.
  const int queue = kReceiveQueue;
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &queue, sizeof queue) != 0)
    (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &queue, sizeof queue);
  if (filter_notifications(fd, site, own.route.port())) {
    // Best effort: what an older kernel does not have, the audit finds.
    for (const int group : {RTNLGRP_IPV4_ROUTE, RTNLGRP_NEIGH, RTNLGRP_NEXTHOP, RTNLGRP_IPV4_NETCONF})
      (void)::setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group);
  }
  open_rules();
  return links_source.watch(fd, EPOLLIN);
}

/// Best effort: without it, the audit inspects the rules.
void Monitor::Impl::open_rules() {
  (void)own.netfilter.open();  // its port, which the filter needs
  Result<Socket> opened = open_socket(NETLINK_NETFILTER, SOCK_NONBLOCK, 1u << (NFNLGRP_NFTABLES - 1));
  if (!opened) return;
  const int fd = mnl_socket_get_fd(opened->get());
  if (!filter_rule_notifications(fd, own.netfilter.port())) return;
  rules_source.unwatch();
  rules = std::move(*opened);
  (void)rules_source.watch(fd, EPOLLIN);
}

/// Best effort: without it, the audit finds what has changed.
void Monitor::Impl::follow(const Site& next) {
  site = next;
  (void)filter_notifications(mnl_socket_get_fd(links.get()), site, own.route.port());
}

void Monitor::Impl::on_links(std::uint32_t) {
  read_links({});
  ring_found();
}

/// FDB entries, and neighbours that go, are announced without a port id, so that ours are told from others'
/// by content, message by message: ten thousand would overflow the queue. Who is rung would call the kernel,
/// so that comes later.
void Monitor::Impl::written(std::span<const overlay::Change> changes) {
  read_links(changes);
  if (ring.causes != 0) found.arm_in(0);
}

/// `changes`: what we have just changed ourselves.
void Monitor::Impl::read_links(std::span<const overlay::Change> changes) {
  const bool lost = drain(links, [&](const nlmsghdr& message) { on_message(message, changes); });
  if (!lost) return;
  ++times_down;
  ring.many = true;
  for (const Cause cause :
       {Cause::kLinks, Cause::kAddresses, Cause::kRoutes, Cause::kEntries, Cause::kSysctls, Cause::kLost})
    ring.add(cause);
}

void Monitor::Impl::on_message(const nlmsghdr& message, std::span<const overlay::Change>& changes) {
  switch (message.nlmsg_type & ~3) {  // the types of one kind are four, from RTM_NEW... on
    case RTM_NEWLINK:
      if (!is_scan(message)) ring.add(Cause::kLinks);
      if (vxlan_went_down(message)) ++times_down;
      return;
    case RTM_NEWADDR:
      ring.add(Cause::kAddresses);
      if (const auto* header = header_of<ifaddrmsg>(message);
          message.nlmsg_type == RTM_DELADDR && header != nullptr && site.device != 0 &&
          static_cast<int>(header->ifa_index) == site.device)
        ++times_down;  // with its last address routes go, too
      return;
    case RTM_NEWNETCONF: return ring.add(Cause::kSysctls);
    default: break;
  }
  const auto touched = read_touched(message, site, own.nexthops);
  const auto* route = (message.nlmsg_type & ~3) == RTM_NEWROUTE ? header_of<rtmsg>(message) : nullptr;
  // What passed the filter and is no entry of ours decides on the underlay, or who is on link.
  if (route != nullptr && (route->rtm_dst_len == 0 || !touched)) ring.add(Cause::kRoutes);
  if (!touched) return;
  if (message.nlmsg_pid == 0 && take_own(*touched, changes)) return;
  ring.add(*touched);
}

void Monitor::Impl::on_rules(std::uint32_t) {
  Ring rung;
  const bool lost = drain(rules, [&](const nlmsghdr& message) {
    if (message.nlmsg_pid == own.netfilter.port()) return;
    if (message.nlmsg_type != nft::type(NFT_MSG_NEWGEN)) {
      if (!site.senders) return;
      const bool present = message.nlmsg_type == nft::type(NFT_MSG_NEWSETELEM);
      return read_senders(message, *site.senders, [&](const overlay::Entry& entry) {
        rung.add(Touched{.entry = entry, .present = present, .port = message.nlmsg_pid});
      });
    }
    const auto attributes = attributes_of<nfgenmsg>(message);
    rung.program = attributes.text(NFTA_GEN_PROC_NAME);
    rung.pid = attributes.be32(NFTA_GEN_PROC_PID).value_or(0);
    rung.add(Cause::kRules);
  });
  if (lost) {
    rung.program.clear();
    rung.many = site.senders.has_value();
    for (const Cause cause : {Cause::kRules, Cause::kEntries, Cause::kLost}) rung.add(cause);
  }
  ring_if_caused(rung);
}

}  // namespace flannelette::kernel
