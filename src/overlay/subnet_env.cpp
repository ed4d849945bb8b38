// SPDX-License-Identifier: Apache-2.0
#include "flannelette/overlay/subnet_env.hpp"

namespace flannelette::overlay {
namespace {

constexpr std::string_view kBlanks = " \t\r\v\f";

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// The value of a dotenv assignment: quoted up to the closing quote, else up to a comment.
std::string_view unquote(std::string_view value) {
  if (!value.empty() && (value[0] == '"' || value[0] == '\'')) {
    const std::size_t end = value.find(value[0], 1);
    return end == value.npos ? std::string_view{} : trim(value.substr(1, end - 1));
  }
  return trim(value.substr(0, value.find('#')));
}

}  // namespace

void write(Writer& out, const SubnetEnv& env) {
  out.put("FLANNEL_NETWORK=");
  write(out, env.network);
  out.put("\nFLANNEL_SUBNET=");
  write(out, env.subnet);
  out.put("\nFLANNEL_MTU=").put_unsigned(env.mtu);
  out.put("\nFLANNEL_IPMASQ=").put(env.ip_masq ? "true" : "false").put('\n');
}

std::optional<Net4> previous_subnet(std::string_view text) {
  std::optional<Net4> found;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = trim(text.substr(0, end));
    text = end == text.npos ? std::string_view{} : text.substr(end + 1);

    constexpr std::string_view kExport = "export ";
    if (line.substr(0, kExport.size()) == kExport) line = trim(line.substr(kExport.size()));
    const std::size_t equals = line.find('=');
    if (equals == line.npos || trim(line.substr(0, equals)) != "FLANNEL_SUBNET") continue;
    // The last assignment counts. A list of several subnets is no IPv4 prefix, and so counts as none, as for
    // flanneld.
    const std::optional<Net4> net = parse_net4(unquote(trim(line.substr(equals + 1))));
    found = net ? std::optional(net->masked()) : std::nullopt;
  }
  return found;
}

}  // namespace flannelette::overlay
