// SPDX-License-Identifier: Apache-2.0
#include "bench/tables.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <vector>

namespace flannelette::bench {
namespace {

using Visit = std::function<void(const nlmsghdr&)>;

int netlink_socket(const tests::Node& node, const std::vector<int>& groups) {
  const int fd = node.inside([] { return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE); });
  const int on = 1;
  const int room = 8 << 20;
  setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  sockaddr_nl own{};  // what has no address of its own hears of no group
  own.nl_family = AF_NETLINK;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0)
    throw std::runtime_error("netlink: bind");
  for (const int group : groups) setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group);
  return fd;
}

template <class Header>
const nlattr* attribute(const nlmsghdr& message, int type) {
  // libmnl's own loop is C only.
  const auto* const end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(&message));
  const auto* attr = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(&message, sizeof(Header)));
  for (; mnl_attr_ok(attr, static_cast<int>(end - reinterpret_cast<const char*>(attr)));
       attr = mnl_attr_next(attr)) {
    if (mnl_attr_get_type(attr) == type) return attr;
  }
  return nullptr;
}

template <class Header>
std::uint32_t address_in(const nlmsghdr& message, int type) {
  const nlattr* const attr = attribute<Header>(message, type);
  return attr != nullptr && mnl_attr_get_payload_len(attr) == 4 ? ntohl(mnl_attr_get_u32(attr)) : 0;
}

template <class Header>
const Header& header_of(const nlmsghdr& message) {
  return *static_cast<const Header*>(mnl_nlmsg_get_payload(&message));
}

void dump(int fd, nlmsghdr& request, const Visit& visit) {
  request.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  if (send(fd, &request, request.nlmsg_len, 0) < 0) throw std::runtime_error("netlink: send");
  alignas(nlmsghdr) static char buffer[256 * 1024];
  for (;;) {
    int left = static_cast<int>(recv(fd, buffer, sizeof buffer, 0));
    if (left < 0) throw std::runtime_error(std::string("netlink: ") + strerror(errno));
    for (const auto* m = reinterpret_cast<const nlmsghdr*>(buffer); mnl_nlmsg_ok(m, left);
         m = mnl_nlmsg_next(m, &left)) {
      if (m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR) return;
      visit(*m);
    }
  }
}

}  // namespace

double now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

Tables::Tables(const tests::Node& node)
    : node_(node),
      netlink_(netlink_socket(node, {})),
      triestat_(node.inside([] { return open("/proc/thread-self/net/fib_triestat", O_RDONLY | O_CLOEXEC); })),
      others_(prefixes()) {}

int Tables::prefixes() const {
  char text[4096];
  const ssize_t size = pread(triestat_, text, sizeof text - 1, 0);
  if (size <= 0) return 0;
  text[size] = '\0';
  const char* const at = strstr(text, "Prefixes:");
  return at == nullptr ? 0 : atoi(at + strlen("Prefixes:"));
}

int Tables::count_routes(int device) const {
  alignas(nlmsghdr) char memory[256];
  nlmsghdr* const request = mnl_nlmsg_put_header(memory);
  request->nlmsg_type = RTM_GETROUTE;
  auto* const header = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)));
  header->rtm_family = AF_INET;
  header->rtm_table = RT_TABLE_MAIN;
  mnl_attr_put_u32(request, RTA_OIF, static_cast<std::uint32_t>(device));
  int routes = 0;
  dump(netlink_, *request, [&](const nlmsghdr& message) {
    const nlattr* const link = attribute<rtmsg>(message, RTA_OIF);
    if (header_of<rtmsg>(message).rtm_table == RT_TABLE_MAIN && link != nullptr &&
        mnl_attr_get_u32(link) == static_cast<std::uint32_t>(device)) {
      ++routes;
    }
  });
  return routes;
}

int Tables::count_neighbours(int device, int family) const {
  alignas(nlmsghdr) char memory[256];
  nlmsghdr* const request = mnl_nlmsg_put_header(memory);
  request->nlmsg_type = RTM_GETNEIGH;
  auto* const header = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ndmsg)));
  header->ndm_family = static_cast<unsigned char>(family);
  if (family == AF_BRIDGE) {
    header->ndm_ifindex = device;
  } else {
    mnl_attr_put_u32(request, NDA_IFINDEX, static_cast<std::uint32_t>(device));
  }
  int entries = 0;
  dump(netlink_, *request, [&](const nlmsghdr& message) {
    const auto& entry = header_of<ndmsg>(message);
    if (entry.ndm_ifindex == device && (entry.ndm_state & NUD_PERMANENT) != 0 &&
        address_in<ndmsg>(message, NDA_DST) != 0) {
      ++entries;
    }
  });
  return entries;
}

Tables::Counts Tables::count() const {
  const int device = static_cast<int>(node_.inside([] { return if_nametoindex("flannel.1"); }));
  if (device == 0) return {-1, -1, -1};
  return {count_routes(device), count_neighbours(device, AF_INET), count_neighbours(device, AF_BRIDGE)};
}

std::optional<double> Tables::wait(int peers, double limit) const {
  // The kernel's own count of prefixes is cheap and holds no lock that a writer needs. The tables themselves,
  // whose reading takes a while, are read once it says that all is there (one prefix is the device's own
  // address), or that nothing moves. It walks all prefixes: with pauses of less than 1 us a prefix the
  // looking would cost more time the more peers there are.
  const timespec pause{0, std::clamp(peers * 1000L, 200'000L, 50'000'000L)};
  const double end = now() + limit;
  for (int before = -1;;) {
    const int seen = prefixes();
    const double time = now();
    if ((seen == others_ + 1 + peers || seen == before) && count().all(peers)) return time;
    if (time > end) return std::nullopt;
    before = seen == before ? -1 : seen;
    nanosleep(&pause, nullptr);
  }
}

Arrivals::Arrivals(const tests::Node& node)
    : netlink_(netlink_socket(node, {RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE})) {}

std::optional<double> Arrivals::wait(int peer, double limit) {
  const auto number = static_cast<std::uint32_t>(peer);
  const std::uint32_t subnet = 0x0a000000u + number * 256;
  const std::uint32_t remote = 0xac1f0000u + number;
  bool neighbour = false;
  bool fdb = false;
  bool route = false;
  const double end = now() + limit;
  alignas(nlmsghdr) char buffer[64 * 1024];
  for (;;) {
    pollfd ready{netlink_, POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(std::max(0.0, end - now()) * 1e3)) <= 0) return std::nullopt;
    int left = static_cast<int>(recv(netlink_, buffer, sizeof buffer, 0));
    if (left < 0) continue;  // it overflowed: what was lost will be missed at the end of `limit`
    for (const auto* m = reinterpret_cast<const nlmsghdr*>(buffer); mnl_nlmsg_ok(m, left);
         m = mnl_nlmsg_next(m, &left)) {
      if (m->nlmsg_type == RTM_NEWNEIGH) {
        const std::uint32_t to = address_in<ndmsg>(*m, NDA_DST);
        if (header_of<ndmsg>(*m).ndm_family == AF_INET && to == subnet) neighbour = true;
        if (header_of<ndmsg>(*m).ndm_family == AF_BRIDGE && to == remote) fdb = true;
      }
      if (m->nlmsg_type == RTM_NEWROUTE && address_in<rtmsg>(*m, RTA_DST) == subnet) route = true;
    }
    if (neighbour && fdb && route) return now();
  }
}

}  // namespace flannelette::bench
