// SPDX-License-Identifier: Apache-2.0
// Addresses of servers, and how the kernel takes them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

#include "flannelette/base/ip.hpp"

namespace flannelette::io {

/// An address without its port, in the form that crosses the pipe from the resolver's child.
struct HostAddress {
  Ip ip;
  std::uint32_t scope = 0;  ///< interface index of a link-local IPv6 address
  friend bool operator==(const HostAddress&, const HostAddress&) = default;
};

union SocketAddress {
  sockaddr any;
  sockaddr_in in4;
  sockaddr_in6 in6;
};

/// How much of `out` is the address. IPv4 is AF_INET, also where it was mapped into IPv6.
socklen_t to_socket_address(const HostAddress& from, std::uint16_t port, SocketAddress& out);
/// Of AF_INET or AF_INET6.
HostAddress from_socket_address(const sockaddr* from);

}  // namespace flannelette::io
