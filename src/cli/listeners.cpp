// SPDX-License-Identifier: Apache-2.0
// Settings of listeners, read.
#include "cli/listeners.hpp"

namespace flannelette::cli {

std::string_view set_port(std::uint16_t& out, std::string_view value) {
  std::uint64_t port = 0;
  if (!parse_unsigned(value, port) || port > 65535) return "a port from 0 to 65535 is expected";
  out = static_cast<std::uint16_t>(port);
  return {};
}

std::string_view set_listener_ip(Ip& out, std::string_view value) {
  const auto ip = parse_ip(value);
  if (!ip) return "an address is expected";
  out = *ip;
  return {};
}

std::string_view set_listen(ServingSettings& serving, std::string_view value) {
  serving.listen_port = 0;
  if (value.empty()) return {};
  const auto url = to_text<io::Endpoint::kMaxHost>([&](Writer& out) { out.put("http://").put(value); });
  const auto place = io::parse_endpoint(url, 0);
  if (!place || place->port == 0 || !set_listener_ip(serving.listen_ip, place->host).empty())
    return "an address and a port are expected, as 127.0.0.1:9100";
  serving.listen_port = place->port;
  return {};
}

}  // namespace flannelette::cli
