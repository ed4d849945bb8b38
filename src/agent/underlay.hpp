// SPDX-License-Identifier: Apache-2.0
// The interface that carries the overlay.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "flannelette/agent/settings.hpp"
#include "flannelette/base/ip.hpp"
#include "flannelette/kernel/ports.hpp"
#include "flannelette/overlay/lease_table.hpp"
#include "flannelette/overlay/protected.hpp"

/// Which interface carries the overlay, and what our address is there: a pure function of what the kernel
/// shows.
namespace flannelette::agent {

struct Underlay {
  int link_index = 0;
  kernel::InterfaceName name;
  std::uint32_t mtu = 0;  ///< of the link, or of a route that counts where that is smaller
  Ip address;             ///< ours on the interface
  Ip public_ip;           ///< what peers send to
  Ip local;       ///< outer source of our packets: public_ip if some interface here has it, else `address`
  Ip4 broadcast;  ///< of the IPv4 prefix that `address` is in; 0.0.0.0: it has none
  bool operator==(const Underlay&) const = default;
};

/// The network of this host, as the kernel shows it, in its order.
struct HostNetwork {
  std::span<const kernel::Link> links;
  std::span<const kernel::Address> addresses;
  std::span<const kernel::Route> routes;
  std::optional<kernel::RouteAnswer> reached;  ///< answer for InterfaceSettings::can_reach, if that was asked
  std::span<const kernel::RouteAnswer> to_registry{};  ///< to its servers
};

/// What this node knows of itself.
struct UnderlayHints {
  static constexpr std::size_t kMaxServers = 24;  ///< endpoints, and names that change their address
  std::optional<Ip> in_use{};                     ///< our address so far: it stays as long as it is there
  int in_use_link = 0;                            ///< stays as long as it is usable; 0: the best one is taken
  std::optional<Ip4> public_ip{};                 ///< what InterfaceSettings::public_ip_file has
  Net4 network{};                                 ///< of the overlay; 0.0.0.0/0: not known yet
  std::optional<Net4> subnet{};                   ///< ours
  std::span<const Ip> registry{};                 ///< addresses of its servers, as far as known
  const overlay::LeaseTable* peers = nullptr;     ///< as far as known; nullptr: there are none
};

/// The choice, or why there is none yet (static text: "no interface here is the one asked for", ...).
struct UnderlayChoice {
  std::optional<Underlay> underlay{};
  const char* missing = "";
  /// The link that would be chosen, were it not for UnderlayHints::in_use_link; 0: none.
  int better = 0;
  bool carrier = false;    ///< of the link that is chosen
  bool forwarded = false;  ///< the public address is none of this host
  bool lower_mtu = false;  ///< a route that does not count has a lower MTU: it may count for a new peer
  /// Digest of the addresses that we speak to the registry's servers from; 0: no route leads there.
  std::uint64_t registry_path = 0;
  /// With `underlay`: those in Network, all but kHost as long as that is not known.
  overlay::ProtectedAddresses protected_addresses{};
  /// A connected prefix that overlaps Network, and is neither ours nor within our subnet.
  std::optional<kernel::Address> overlap{};
};

/// The MTU of a route counts if it leads through the link and is a default route, or to our address there, a
/// server of the registry or a peer.
UnderlayChoice choose_underlay(const InterfaceSettings& settings, const HostNetwork& host,
                               const UnderlayHints& hints = {});

/// Asks the kernel and chooses.
Result<UnderlayChoice> find_underlay(const InterfaceSettings& settings, kernel::Links& kernel,
                                     const UnderlayHints& hints);

}  // namespace flannelette::agent
