// SPDX-License-Identifier: Apache-2.0
// Addresses of servers, and how the kernel takes them.
#include "io/socket_address.hpp"

#include <cstring>

namespace flannelette::io {

socklen_t to_socket_address(const HostAddress& from, std::uint16_t port, SocketAddress& out) {
  out = {};
  if (from.ip.is_v4()) {
    out.in4.sin_family = AF_INET;
    out.in4.sin_port = htons(port);
    out.in4.sin_addr.s_addr = htonl(from.ip.v4().value);
    return sizeof out.in4;
  }
  out.in6.sin6_family = AF_INET6;
  out.in6.sin6_port = htons(port);
  out.in6.sin6_scope_id = from.scope;
  const Ip6 ip = from.ip.v6();
  std::memcpy(&out.in6.sin6_addr, ip.bytes.data(), ip.bytes.size());
  return sizeof out.in6;
}

HostAddress from_socket_address(const sockaddr* from) {
  if (from->sa_family == AF_INET) {
    sockaddr_in in4;
    std::memcpy(&in4, from, sizeof in4);
    return {Ip4{ntohl(in4.sin_addr.s_addr)}};
  }
  sockaddr_in6 in6;
  std::memcpy(&in6, from, sizeof in6);
  Ip6 ip;
  std::memcpy(ip.bytes.data(), &in6.sin6_addr, ip.bytes.size());
  return {Ip(ip), in6.sin6_scope_id};
}

}  // namespace flannelette::io
