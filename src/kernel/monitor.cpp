// SPDX-License-Identifier: Apache-2.0
#include "monitor.hpp"

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "message.hpp"

namespace flannelette::kernel {
namespace {

/// Notifications read in one wake-up; what is left makes the next one.
constexpr int kMaxReads = 256;

/// Wi-Fi drivers announce each scan as a link change; nothing that we look at changes with it.
bool is_scan(const nlmsghdr& message) {
  return message.nlmsg_type == RTM_NEWLINK && attributes_of<ifinfomsg>(message).has(IFLA_WIRELESS);
}

}  // namespace

Result<void> Monitor::open() {
  Result<Socket> opened = open_socket(NETLINK_ROUTE, SOCK_NONBLOCK, RTMGRP_LINK | RTMGRP_IPV4_IFADDR);
  if (!opened) return opened.error();
  source_.unwatch();
  socket_ = std::move(*opened);
  return source_.watch(mnl_socket_get_fd(socket_.get()), EPOLLIN);
}

void Monitor::on_ready(std::uint32_t) {
  if (drain() && doorbell_) doorbell_();
}

bool Monitor::drain() {
  bool rings = false;
  for (int i = 0; i < kMaxReads; ++i) {
    alignas(nlmsghdr) std::byte bytes[4096];
    sockaddr_nl from{};
    socklen_t from_size = sizeof from;
    const ssize_t got = ::recvfrom(mnl_socket_get_fd(socket_.get()), bytes, sizeof bytes, MSG_TRUNC,
                                   reinterpret_cast<sockaddr*>(&from), &from_size);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == ENOBUFS) {
        rings = went_down_ = true;
        continue;
      }
      break;
    }
    if (from.nl_pid != 0) continue;
    if (static_cast<std::size_t>(got) > sizeof bytes) {
      rings = true;
      continue;
    }
    std::span<const std::byte> rest(bytes, static_cast<std::size_t>(got));
    while (const nlmsghdr* message = take_message(rest)) {
      if (!is_scan(*message)) rings = true;
      note(*message);
    }
  }
  return rings;
}

void Monitor::note(const nlmsghdr& message) {
  const auto* header = header_of<ifinfomsg>(message);
  if (message.nlmsg_type != RTM_NEWLINK || header == nullptr || header->ifi_index != index_) return;
  const bool up = (header->ifi_flags & IFF_UP) != 0;
  went_down_ = went_down_ || (up_ && !up);  // not when it is new, which is down too
  up_ = up;
}

bool Monitor::went_down(int index, bool up) {
  if (std::exchange(index_, index) != index) {
    up_ = up;
    went_down_ = false;
  }
  return std::exchange(went_down_, false);
}

}  // namespace flannelette::kernel
