// SPDX-License-Identifier: Apache-2.0
// The owner of a netlink socket.
#pragma once

#include <libmnl/libmnl.h>

#include <memory>

#include "flannelette/base/result.hpp"

namespace flannelette::kernel {

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
/// A netlink socket that is closed with its owner.
using Socket = std::unique_ptr<mnl_socket, CloseSocket>;

/// A bound one that no child inherits. `protocol` is NETLINK_ROUTE, ...; `flags` are of socket(2)'s type;
/// `groups` are the RTMGRP_* that it is to hear.
Result<Socket> open_socket(int protocol, int flags = 0, unsigned groups = 0);

}  // namespace flannelette::kernel
