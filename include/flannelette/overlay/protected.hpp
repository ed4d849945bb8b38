// SPDX-License-Identifier: Apache-2.0
// Addresses that must never be routed into the overlay.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "flannelette/base/ip.hpp"

/// Addresses that must never be routed into the overlay, because the overlay itself depends on them.
namespace flannelette::overlay {

struct ProtectedAddress {
  enum class Kind : std::uint8_t {
    kUnderlay,  ///< ours on the underlay interface, or what peers send to
    kGateway,   ///< on the way to the registry and to peers
    kRegistry,  ///< a server of the registry
    kHost,  ///< ours on any other interface. The pods' bridge is one, so that a subnet of our own may hold
            ///< it
  };
  Ip4 ip;
  Kind kind = Kind::kUnderlay;
  bool operator==(const ProtectedAddress&) const = default;
};
/// For the log: "our gateway".
std::string_view name(ProtectedAddress::Kind kind);

/// A handful of them. What is beyond kMax is dropped: add the important ones first.
class ProtectedAddresses {
 public:
  static constexpr std::size_t kMax = 32;

  /// One that is there already keeps its kind; 0.0.0.0 is none.
  void add(Ip4 ip, ProtectedAddress::Kind kind);
  /// The first one in this subnet, which makes it no subnet of a peer; nullptr: there is none.
  const ProtectedAddress* in(Net4 subnet) const { return in(subnet, count_); }
  /// The same for a subnet that may become ours: kHost does no harm.
  const ProtectedAddress* in_own(Net4 subnet) const { return in(subnet, essential_); }
  const ProtectedAddress* begin() const { return items_.data(); }
  const ProtectedAddress* end() const { return items_.data() + count_; }
  bool operator==(const ProtectedAddresses&) const = default;

 private:
  const ProtectedAddress* in(Net4 subnet, std::size_t count) const;

  std::array<ProtectedAddress, kMax> items_{};
  std::size_t count_ = 0;
  std::size_t essential_ = 0;  ///< those before the first kHost
};

}  // namespace flannelette::overlay
