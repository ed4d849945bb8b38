// SPDX-License-Identifier: Apache-2.0
// The cluster's network config.
#pragma once

#include <cstdint>
#include <string_view>

#include "flannelette/base/ip.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/overlay/lease.hpp"

/// The cluster's network config, `<prefix>/config` in the registry. Keys, defaults and rules as flanneld's
/// documentation and behaviour give them; where the two differ (an absent Backend) the documentation wins.
namespace flannelette::overlay {

struct NetworkConfig {
  static constexpr std::size_t kMaxText = 16 * 1024;  ///< a longer config is refused
  static constexpr std::uint8_t kMaxSubnetLen = 30;
  static constexpr std::uint16_t kDefaultPort =
      8472;  ///< the kernel's default, which flanneld relies on; given explicitly by us

  Net4 network;
  std::uint8_t subnet_len = 24;               ///< 0: of any length, as the registry gives them
  Ip4 subnet_min;                             ///< first subnet's address
  Ip4 subnet_max;                             ///< last subnet's address, inclusive
  BackendType backend = BackendType::kVxlan;  ///< a built-in one
  bool direct = false;                        ///< routes to peers may lead through the underlay's link
  std::uint32_t vni = 1;                      ///< 0..2^24-1
  std::uint16_t port = kDefaultPort;
  std::uint32_t mtu = 0;  ///< of the underlay, as flanneld means it; 0: the interface's
  bool learning = false;
  bool gbp = false;
  bool backend_absent = false;  ///< no Backend key: vxlan for us, udp for flanneld
  bool nftables = false;        ///< EnableNFTables, kept for `status`; our rules are nf_tables always
  bool operator==(const NetworkConfig&) const = default;

  /// Whether it is one of the subnets that nodes get: of the configured length, in SubnetMin..SubnetMax.
  bool has_subnet(Net4 subnet) const {
    const bool length = subnet_len != 0 ? subnet.length == subnet_len
                                        : subnet.length > network.length && subnet.length <= kMaxSubnetLen;
    return length && subnet.aligned() && subnet.base >= subnet_min && subnet.base <= subnet_max;
  }
};

/// Why a config is refused: `key` names the JSON key ("Backend.DirectRouting", "SubnetLen", "" for the
/// document), `why` is what is wrong and what is expected. Both static.
struct ConfigProblem {
  const char* key = "";
  const char* why = "";
  std::uint64_t offset = 0;  ///< byte of broken JSON, else 0
  bool unsupported = false;  ///< well-formed, but something that this program does not build yet
  bool changed = false;      ///< nothing is wrong, but it is not what we started with
};

/// Who says which subnet a node gets.
enum class SubnetsFrom : std::uint8_t {
  kNodes,     ///< each chooses one by SubnetLen, SubnetMin and SubnetMax
  kRegistry,  ///< those three mean nothing, and are not checked
};

/// Parses and checks. JSON is read as Go reads it: names match in any letter case, later duplicates win,
/// unknown keys are ignored, integers must be plain. kInvalid or kUnsupported with `problem` filled in;
/// `config` is untouched then.
Result<void> parse_config(std::string_view json, NetworkConfig& config, ConfigProblem& problem,
                          SubnetsFrom subnets = SubnetsFrom::kNodes);

}  // namespace flannelette::overlay
