// SPDX-License-Identifier: Apache-2.0
// subnet.env, the file of the CNI plugin.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "flannelette/base/ip.hpp"
#include "flannelette/base/text.hpp"

/// subnet.env, the file by which the CNI plugin learns our subnet. Format and order are flanneld's.
namespace flannelette::overlay {

struct SubnetEnv {
  Net4 network;
  Net4 subnet;  ///< base is the subnet's address + 1
  std::uint32_t mtu = 0;
  bool ip_masq = false;
  bool operator==(const SubnetEnv&) const = default;
};

/// Room for what write() writes.
inline constexpr std::size_t kMaxSubnetEnv = 256;
/// Of the whole file, with the lines of other programs, as far as it is read.
inline constexpr std::size_t kMaxSubnetFile = 4096;

void write(Writer& out, const SubnetEnv& env);
/// The same, and behind it the lines of the text that do not assign one of flanneld's keys: other programs
/// (mk-docker-opts.sh -d) keep variables and comments there.
void write_with_foreign(Writer& out, const SubnetEnv& env, std::string_view before);
/// Those lines alone.
void write_foreign(Writer& out, std::string_view text);
/// True if the text has the lines of write(), each once and letter by letter, and no other value of a key of
/// flanneld's. What else it has does not matter.
bool holds(std::string_view text, const SubnetEnv& env);
/// The subnet (masked) that an earlier run, ours or flanneld's, wrote: dotenv syntax, quotes allowed.
/// nullopt: none readable.
std::optional<Net4> previous_subnet(std::string_view text);
/// The same of the network that it belongs to.
std::optional<Net4> previous_network(std::string_view text);

}  // namespace flannelette::overlay
