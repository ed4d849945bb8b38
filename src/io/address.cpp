// SPDX-License-Identifier: Apache-2.0
#include "io/address.hpp"

#include <algorithm>

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

std::optional<Ip4> ip4_of(const Address& address) {
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  const std::uint8_t* bytes = address.bytes.data();
  if (address.v6) {
    if (!std::equal(kMapped.begin(), kMapped.end(), bytes)) return std::nullopt;
    bytes += kMapped.size();
  }
  Ip4 ip;
  for (int i = 0; i < 4; ++i) ip.value = ip.value << 8 | bytes[i];
  return ip;
}

}  // namespace flannelette::io
