// SPDX-License-Identifier: Apache-2.0
// Where a stream goes, and its URL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"

namespace flannelette::io {

/// Where a stream goes: a name or a literal address, and whether TLS is spoken there.
struct Endpoint {
  static constexpr std::size_t kMaxHost = 253;
  bool tls = false;
  Text<kMaxHost> host;  ///< DNS name, IPv4 or IPv6 literal (without brackets)
  std::uint16_t port = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// "http://host:port" or "https://[v6]:port", an optional trailing slash; a missing port is `default_port`.
/// Errors say what is wrong with it.
Result<Endpoint> parse_endpoint(std::string_view url, std::uint16_t default_port);
/// The form that parse_endpoint reads.
void write(Writer& out, const Endpoint& endpoint);

/// Whether others can read what is sent there: it is not encrypted, and leaves this machine.
bool travels_openly(const Endpoint& endpoint);

}  // namespace flannelette::io
