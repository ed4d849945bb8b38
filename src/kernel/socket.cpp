// SPDX-License-Identifier: Apache-2.0
// Opens a netlink socket.
#include "socket.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace flannelette::kernel {

Result<Socket> open_socket(int protocol, int flags, unsigned groups) {
  Socket socket(mnl_socket_open2(protocol, SOCK_CLOEXEC | flags));
  if (!socket) return last_error("netlink socket");
  if (mnl_socket_bind(socket.get(), groups, MNL_SOCKET_AUTOPID) != 0) return last_error("netlink bind");
  return socket;
}

}  // namespace flannelette::kernel
