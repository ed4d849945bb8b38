// SPDX-License-Identifier: Apache-2.0
// The choice of the interface that carries the overlay.
#include "agent/underlay.hpp"

#include <array>

#include "flannelette/base/pattern.hpp"
#include "flannelette/base/plain_array.hpp"

namespace flannelette::agent {
namespace {

using kernel::Address;
using kernel::Link;

/// More than any machine has; further ones are ignored.
constexpr std::size_t kMaxSeen = 8192;

const Link* link_of(const HostNetwork& host, int index) {
  for (const Link& link : host.links) {
    if (link.index == index) return &link;
  }
  return nullptr;
}

const Address* address_of(const HostNetwork& host, const Ip& ip) {
  for (const Address& address : host.addresses) {
    if (address.net.base == ip) return &address;
  }
  return nullptr;
}

/// A device of this program, or of flanneld: it cannot carry the overlay.
bool is_overlay(const Link& link) { return link.name.view().starts_with("flannel."); }

bool reachable(const Ip& ip) { return is_unicast(ip) && !is_loopback(ip); }

/// Lower is better, equals keep the kernel's order: an address for the world before a link-local one, one
/// with a real prefix before a /32, which is virtual (keepalived, kube-vip) wherever there is another.
int rank(const Address& address) {
  return (address.link_scope || is_link_local(address.net.base) ? 4 : 0) +
         (address.net.length == (address.net.is_v4() ? 32 : 128) ? 2 : 0) + (address.secondary ? 1 : 0);
}

/// The best address of those that are accepted; the one in use, if it is among them.
template <class Accepts>
const Address* best_address(const HostNetwork& host, const UnderlayHints& hints, Accepts accepts) {
  const Address* best = nullptr;
  for (const Address& address : host.addresses) {
    if (address.deprecated || !reachable(address.net.base) || !accepts(address)) continue;
    // A link-local one is used only until there is a better one.
    if (hints.in_use == address.net.base && rank(address) < 4) return &address;
    if (best == nullptr || (address.link_index == best->link_index && rank(address) < rank(*best)))
      best = &address;
  }
  return best;
}

const Address* best_address_on(const Link& link, const HostNetwork& host, const UnderlayHints& hints) {
  return best_address(host, hints, [&](const Address& a) { return a.link_index == link.index; });
}

/// The interface that was asked for, and its address where the setting determines one.
struct Match {
  const Link* link = nullptr;
  std::optional<Ip> address;
};

Match by_name(const HostNetwork& host, std::string_view wanted) {
  if (const auto ip = parse_ip4(wanted)) {
    const Address* address = address_of(host, *ip);
    return address == nullptr ? Match{} : Match{link_of(host, address->link_index), *ip};
  }
  for (const Link& link : host.links) {
    if (link.name.view() == wanted) return {&link, std::nullopt};
  }
  return {};
}

/// Ignores loopback, the overlay itself and its pods, which are never meant.
Match by_regex(const HostNetwork& host, const UnderlayHints& hints, std::string_view regex) {
  Pattern pattern;
  if (!pattern.compile(regex)) return {};  // cli has refused bad ones
  const Address* address = best_address(host, hints, [&](const Address& a) {
    const Link* link = link_of(host, a.link_index);
    const bool of_pods =
        hints.subnet && Net(*hints.subnet).contains(a.net.base) && hints.in_use != a.net.base;
    return link != nullptr && !is_overlay(*link) && !of_pods && pattern.found_in(text_of(a.net.base));
  });
  if (address != nullptr) return {link_of(host, address->link_index), address->net.base};
  for (const Link& link : host.links) {
    if (is_overlay(link) || (link.loopback && best_address_on(link, host, hints) == nullptr)) continue;
    if (pattern.found_in(link.name)) return {&link, std::nullopt};
  }
  return {};
}

Match explicit_match(const InterfaceSettings& settings, const HostNetwork& host, const UnderlayHints& hints) {
  for (const auto& name : settings.names.items()) {
    if (const Match match = by_name(host, name); match.link != nullptr) return match;
  }
  for (const auto& regex : settings.regexes.items()) {
    if (const Match match = by_regex(host, hints, regex); match.link != nullptr) return match;
  }
  if (host.reached) return {link_of(host, host.reached->link_index), host.reached->source};
  return {};
}

/// The addresses that the chosen underlay depends on.
void protect(UnderlayChoice& choice, const HostNetwork& host, const UnderlayHints& hints) {
  using Kind = overlay::ProtectedAddress::Kind;
  overlay::ProtectedAddresses& list = choice.protected_addresses;
  const Net network = hints.network;
  const auto add = [&](const Ip& ip, Kind kind) {
    if (network.contains(ip)) list.add(ip.v4(), kind);
  };
  const int underlay = choice.underlay->link_index;
  for (const Address& address : host.addresses) {
    if (address.link_index == underlay) add(address.net.base, Kind::kUnderlay);
  }
  add(choice.underlay->public_ip, Kind::kUnderlay);
  for (const kernel::RouteAnswer& route : host.routes) {
    const Link* link = link_of(host, route.link_index);
    if (link != nullptr && !is_overlay(*link)) add(route.gateway, Kind::kGateway);
  }
  for (const Ip& server : hints.registry) add(server, Kind::kRegistry);
  if (network.length == 0) return;
  for (const Address& address : host.addresses) {
    const Link* link = link_of(host, address.link_index);
    if (link == nullptr || is_overlay(*link)) continue;
    if (address.link_index != underlay) {
      if (hints.subnet && Net(*hints.subnet).contains(address.net)) continue;  // of our pods
      add(address.net.base, Kind::kHost);
    }
    if (!choice.overlap && network.overlaps(address.net)) choice.overlap = address;
  }
}

struct LinkCollector final : kernel::LinkVisitor {
  PlainArray<Link> seen;
  void link(const Link& link) override {
    if (seen.size() < kMaxSeen) seen.append(link);
  }
};
struct AddressCollector final : kernel::AddressVisitor {
  PlainArray<Address> seen;
  void address(const Address& address) override {
    if (seen.size() < kMaxSeen) seen.append(address);
  }
};

/// Why there is no match; nullptr: there is one, with its address.
const char* find_match(const InterfaceSettings& settings, const HostNetwork& host, const UnderlayHints& hints,
                       Match& match) {
  constexpr const char* kUnreachable =
      "peers reach no loopback, multicast or unspecified address; it cannot be the public one";
  if (settings.public_ip && !reachable(*settings.public_ip)) return kUnreachable;
  if (!settings.names.empty() || !settings.regexes.empty() || settings.can_reach) {
    match = explicit_match(settings, host, hints);
    if (match.link == nullptr) return "no interface here is the one asked for";
  } else if (settings.public_ip) {
    const Address* address = address_of(host, *settings.public_ip);
    if (address == nullptr) {
      return "no interface has the public address; give the interface too if it is behind NAT";
    }
    match = {link_of(host, address->link_index), *settings.public_ip};
  } else {
    if (!host.default_route) return "there is no default route; give the interface";
    match.link = link_of(host, host.default_route->link_index);
  }
  if (match.link == nullptr) return "the interface vanished while it was examined";
  if (is_overlay(*match.link)) return "a flannel device cannot carry the overlay";
  if (!match.address) {
    const Address* address = best_address_on(*match.link, host, hints);
    if (address == nullptr) return "the interface has no IPv4 address that peers can reach";
    match.address = address->net.base;
  }
  if (!reachable(*match.address)) return kUnreachable;
  if (!match.link->up) return "the interface is down";
  return nullptr;
}

}  // namespace

UnderlayChoice choose_underlay(const InterfaceSettings& settings, const HostNetwork& host,
                               const UnderlayHints& hints) {
  UnderlayChoice choice;
  Match match;
  if (const char* missing = find_match(settings, host, hints, match)) {
    choice.missing = missing;
    return choice;
  }
  Underlay& underlay = choice.underlay.emplace();
  underlay.link_index = match.link->index;
  underlay.name = match.link->name;
  underlay.mtu = match.link->mtu;
  underlay.address = *match.address;
  underlay.public_ip = settings.public_ip ? Ip(*settings.public_ip) : *match.address;
  underlay.local = address_of(host, underlay.public_ip) != nullptr ? underlay.public_ip : underlay.address;
  const Address* own = address_of(host, underlay.address);
  if (own != nullptr && own->net.is_v4() && own->net.length <= 30) {
    underlay.broadcast = own->net.v4().last();
  }
  protect(choice, host, hints);
  return choice;
}

Result<UnderlayChoice> find_underlay(const InterfaceSettings& settings, kernel::Links& kernel,
                                     const UnderlayHints& hints) {
  LinkCollector links;
  FLT_TRY(kernel.dump_links(links));
  AddressCollector addresses;
  FLT_TRY(kernel.dump_addresses(addresses));
  HostNetwork host;
  host.links = links.seen;
  host.addresses = addresses.seen;
  if (settings.can_reach) {
    auto answer = kernel.route_to(*settings.can_reach);
    if (!answer) return answer.error();
    host.reached = *answer;
  }
  auto route = kernel.default_route();
  if (!route) return route.error();
  host.default_route = *route;
  std::array<kernel::RouteAnswer, UnderlayHints::kMaxServers + 1> routes;
  std::size_t count = 0;
  if (*route) routes[count++] = **route;
  for (const Ip& server : hints.registry) {
    const auto to = kernel.route_to(server);
    if (to && *to && count < routes.size()) routes[count++] = **to;
  }
  host.routes = std::span(routes).first(count);
  return choose_underlay(settings, host, hints);
}

}  // namespace flannelette::agent
