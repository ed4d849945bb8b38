// SPDX-License-Identifier: Apache-2.0
// Who has bound a UDP port.
#pragma once

#include <cstdint>
#include <string_view>

#include "flannelette/base/files.hpp"
#include "flannelette/kernel/ports.hpp"

namespace flannelette::kernel {

/// A line of /proc/net/udp or udp6, if it is of a socket at this port.
UdpSocket parse_udp_socket(std::string_view line, std::uint16_t port);

/// By procfs. A socket of the kernel itself (another VXLAN device's) is listed there, too.
UdpSocket find_udp_socket(Files& files, std::uint16_t port);

}  // namespace flannelette::kernel
