// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "flannelette/base/ip.hpp"

namespace flannelette::io {

/// An address without its port, in the form that crosses the pipe from the child.
struct Address {
  std::array<std::uint8_t, 16> bytes{};  ///< network byte order; IPv4 in the first four
  std::uint32_t scope = 0;               ///< interface index of a link-local IPv6 address
  std::uint8_t v6 = 0;
  friend bool operator==(const Address&, const Address&) = default;
};

/// Dotted IPv4, or IPv6 without brackets.
std::optional<Address> parse_address(std::string_view text);
/// The IPv4 address that packets go to, also of one mapped into IPv6; nullopt: it is an IPv6 address.
std::optional<Ip4> ip4_of(const Address& address);

}  // namespace flannelette::io
