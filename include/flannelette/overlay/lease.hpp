// SPDX-License-Identifier: Apache-2.0
// A lease as the registry holds it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "flannelette/base/ip.hpp"
#include "flannelette/base/text.hpp"

/// A lease as the registry holds it: the key names the subnet, the value says who has it.
namespace flannelette::overlay {

/// "10.5.52.0-24", or "10.5.52.0-24&fd00:64:0:4f::-64" of a dual-stack node. The text after
/// "<prefix>/subnets/".
struct LeaseKey {
  static constexpr std::size_t kMaxText = 64;

  Net4 subnet;  ///< as written: host bits are not cleared (such a record is invalid, but has an identity)
  std::optional<Net6> subnet6;
  auto operator<=>(const LeaseKey&) const = default;
};

/// Exact form only: nothing before or after, decimal length without leading zero, IPv4 length <= 32, IPv6
/// length <= 128. nullopt: a foreign key, to be skipped.
std::optional<LeaseKey> parse_lease_key(std::string_view text);
void write(Writer& out, const LeaseKey& key);

enum class BackendType : std::uint8_t {
  kNone,   ///< no BackendType: what flanneld's udp and alloc backends write
  kOther,  ///< wireguard, extension, an unknown one
  // Those that are built in, in the order of overlay/backend.cpp, which saved records rely on:
  kVxlan,
  kHostGw,
};

/// Of its text, which flannel compares exactly.
BackendType backend_type_of(std::string_view text);

struct LeaseValue {
  static constexpr std::size_t kMaxText = 1024;  ///< of a value that we write

  Ip public_ip = Ip4{};  ///< 0.0.0.0 if absent
  BackendType backend = BackendType::kNone;
  bool has_vxlan = false;  ///< BackendData was an object with a MAC
  std::optional<std::uint32_t> vni;
  Mac mac;
  bool operator==(const LeaseValue&) const = default;
};

/// Reads a value as flanneld's JSON decoder does (any letter case, extra keys, MAC with dashes), and stricter
/// where flanneld crashes or misbehaves: nullopt if it is not JSON, not an object, or a field has the wrong
/// type. `null` and `{}` are a value without data.
std::optional<LeaseValue> parse_lease_value(std::string_view json);
/// Byte for byte what flanneld writes for this backend, a built-in one, over IPv4.
void write(Writer& out, const LeaseValue& value);

/// One key-value pair of the registry that is a lease.
struct LeaseRecord {
  LeaseKey key;
  LeaseValue value;
  bool readable = true;  ///< false: the value could not be parsed; the subnet counts as taken all the same
  /// Ages as the registry counts them, greater is later: when the key was made, and when it was last written.
  std::int64_t created = 0;
  std::int64_t modified = 0;
  std::int64_t lease = 0;  ///< 0: no lease, a reservation
};

}  // namespace flannelette::overlay
