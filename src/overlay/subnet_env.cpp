// SPDX-License-Identifier: Apache-2.0
// subnet.env, written and read.
#include "flannelette/overlay/subnet_env.hpp"

#include <algorithm>
#include <iterator>

namespace flannelette::overlay {
namespace {

constexpr std::string_view kNetwork = "FLANNEL_NETWORK";
constexpr std::string_view kSubnet = "FLANNEL_SUBNET";
/// What flanneld writes; of IPv6 we write nothing, and what a flanneld left of it is not true any more.
constexpr std::string_view kKeys[] = {
    kNetwork, kSubnet, "FLANNEL_MTU", "FLANNEL_IPMASQ", "FLANNEL_IPV6_NETWORK", "FLANNEL_IPV6_SUBNET"};
constexpr int kWritten = 4;

/// The first line, which it takes off the text.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text = end == text.npos ? std::string_view{} : text.substr(end + 1);
  return line;
}

/// Of a dotenv assignment; empty if the line is none.
std::string_view key_of(std::string_view line) {
  const std::size_t equals = line.find('=');
  if (equals == line.npos) return {};
  std::string_view key = trimmed(line.substr(0, equals));
  constexpr std::string_view kExport = "export ";
  if (key.starts_with(kExport)) key = trimmed(key.substr(kExport.size()));
  return key;
}

bool is_ours(std::string_view line) {
  const std::string_view key = key_of(line);
  return !key.empty() && std::ranges::find(kKeys, key) != std::end(kKeys);
}

/// The value of a dotenv assignment: quoted up to the closing quote, else up to a comment.
std::string_view unquote(std::string_view value) {
  if (!value.empty() && (value[0] == '"' || value[0] == '\'')) {
    const std::size_t end = value.find(value[0], 1);
    return end == value.npos ? std::string_view{} : trimmed(value.substr(1, end - 1));
  }
  return trimmed(value.substr(0, value.find('#')));
}

/// The last assignment counts. A list of several subnets is no IPv4 prefix, and so counts as none, as for
/// flanneld.
std::optional<Net4> net_of(std::string_view key, std::string_view text) {
  std::optional<Net4> found;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (key_of(line) != key) continue;
    const std::optional<Net4> net = parse_net4(unquote(trimmed(line.substr(line.find('=') + 1))));
    found = net ? std::optional(net->masked()) : std::nullopt;
  }
  return found;
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

void write_foreign(Writer& out, std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (!is_ours(line)) out.put(line).put('\n');
  }
}

void write_with_foreign(Writer& out, const SubnetEnv& env, std::string_view before) {
  write(out, env);
  write_foreign(out, before);
}

bool holds(std::string_view text, const SubnetEnv& env) {
  const auto ours = to_text<kMaxSubnetEnv>([&](Writer& out) { write(out, env); });
  int right = 0;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (!is_ours(line)) continue;
    bool written = false;
    for (std::string_view rest = ours; !rest.empty();) written = take_line(rest) == line || written;
    if (!written) return false;
    ++right;
  }
  return right == kWritten;
}

std::optional<Net4> previous_subnet(std::string_view text) { return net_of(kSubnet, text); }
std::optional<Net4> previous_network(std::string_view text) { return net_of(kNetwork, text); }

}  // namespace flannelette::overlay
