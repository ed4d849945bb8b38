// SPDX-License-Identifier: Apache-2.0
#include "io/address.hpp"

#include "flannelette/base/ip.hpp"

namespace flannelette::io {

std::optional<Address> parse_address(std::string_view text) {
  Address address;
  if (const std::optional<Ip4> ip = parse_ip4(text)) {
    for (unsigned i = 0; i < 4; ++i) address.bytes[i] = static_cast<std::uint8_t>(ip->value >> (24 - 8 * i));
    return address;
  }
  if (const std::optional<Ip6> ip = parse_ip6(text)) {
    address.bytes = ip->bytes;
    address.v6 = 1;
    return address;
  }
  return std::nullopt;
}

}  // namespace flannelette::io
