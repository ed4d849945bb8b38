// SPDX-License-Identifier: Apache-2.0
// The choice of the interface that carries the overlay.
#include "agent/underlay.hpp"

#include <array>
#include <vector>

#include "flannelette/base/pattern.hpp"

namespace flannelette::agent {
namespace {

using kernel::Address;
using kernel::Link;

/// More than any machine has; what is beyond is not looked at.
constexpr std::size_t kMaxSeen = 8192;

const Link* link_of(const Surroundings& here, int index) {
  for (const Link& link : here.links) {
    if (link.index == index) return &link;
  }
  return nullptr;
}

const Address* address_of(const Surroundings& here, Ip4 ip) {
  for (const Address& address : here.addresses) {
    if (address.net.base == ip) return &address;
  }
  return nullptr;
}

/// A device of this program, or of flanneld: it cannot carry the overlay.
bool is_overlay(const Link& link) { return link.name.view().starts_with("flannel."); }

bool reachable(Ip4 ip) { return is_unicast(ip) && !is_loopback(ip); }

/// Lower is better, equals keep the kernel's order: an address for the world before a link-local one, one
/// with a real prefix before a /32, which is virtual (keepalived, kube-vip) wherever there is another.
int rank(const Address& address) {
  return (address.link_scope || is_link_local(address.net.base) ? 4 : 0) +
         (address.net.length == 32 ? 2 : 0) + (address.secondary ? 1 : 0);
}

/// The best address that may be taken; the one in use, if it is among them.
template <class MayBe>
const Address* best_address(const Surroundings& here, const Known& known, MayBe may_be) {
  const Address* best = nullptr;
  for (const Address& address : here.addresses) {
    if (address.deprecated || !reachable(address.net.base) || !may_be(address)) continue;
    // A link-local one was for want of a better.
    if (known.in_use == address.net.base && rank(address) < 4) return &address;
    if (best == nullptr || (address.link_index == best->link_index && rank(address) < rank(*best)))
      best = &address;
  }
  return best;
}

const Address* best_address_on(const Link& link, const Surroundings& here, const Known& known) {
  return best_address(here, known, [&](const Address& a) { return a.link_index == link.index; });
}

/// A hit: the interface, and its address where the way it was found fixes one.
struct Hit {
  const Link* link = nullptr;
  std::optional<Ip4> address;
};

Hit by_name(const Surroundings& here, std::string_view wanted) {
  if (const auto ip = parse_ip4(wanted)) {
    const Address* address = address_of(here, *ip);
    return address == nullptr ? Hit{} : Hit{link_of(here, address->link_index), *ip};
  }
  for (const Link& link : here.links) {
    if (link.name.view() == wanted) return {&link, std::nullopt};
  }
  return {};
}

/// Passes over what nobody means: loopback, the overlay itself, its pods.
Hit by_regex(const Surroundings& here, const Known& known, std::string_view regex) {
  Pattern pattern;
  if (!pattern.compile(regex)) return {};  // cli has refused bad ones
  const Address* address = best_address(here, known, [&](const Address& a) {
    const Link* link = link_of(here, a.link_index);
    const bool of_pods = known.subnet && known.subnet->contains(a.net.base) && known.in_use != a.net.base;
    return link != nullptr && !is_overlay(*link) && !of_pods && pattern.found_in(text_of(a.net.base));
  });
  if (address != nullptr) return {link_of(here, address->link_index), address->net.base};
  for (const Link& link : here.links) {
    if (is_overlay(link) || (link.loopback && best_address_on(link, here, known) == nullptr)) continue;
    if (pattern.found_in(link.name)) return {&link, std::nullopt};
  }
  return {};
}

Hit explicit_hit(const InterfaceSettings& settings, const Surroundings& here, const Known& known) {
  for (const auto& name : settings.names.items()) {
    if (const Hit hit = by_name(here, name); hit.link != nullptr) return hit;
  }
  for (const auto& regex : settings.regexes.items()) {
    if (const Hit hit = by_regex(here, known, regex); hit.link != nullptr) return hit;
  }
  if (here.reached) return {link_of(here, here.reached->link_index), here.reached->source};
  return {};
}

/// What the chosen underlay stands on.
void protect(UnderlayChoice& choice, const Surroundings& here, const Known& known) {
  using Kind = overlay::ProtectedAddress::Kind;
  overlay::ProtectedAddresses& list = choice.protected_addresses;
  const auto add = [&](Ip4 ip, Kind kind) {
    if (known.network.contains(ip)) list.add(ip, kind);
  };
  const int underlay = choice.underlay->link_index;
  for (const Address& address : here.addresses) {
    if (address.link_index == underlay) add(address.net.base, Kind::kUnderlay);
  }
  add(choice.underlay->public_ip, Kind::kUnderlay);
  for (const kernel::RouteAnswer& route : here.ways) {
    const Link* link = link_of(here, route.link_index);
    if (link != nullptr && !is_overlay(*link)) add(route.gateway, Kind::kGateway);
  }
  for (const Ip4 server : known.registry) add(server, Kind::kRegistry);
  if (known.network.length == 0) return;
  for (const Address& address : here.addresses) {
    const Link* link = link_of(here, address.link_index);
    if (link == nullptr || is_overlay(*link)) continue;
    if (address.link_index != underlay) {
      if (known.subnet && known.subnet->contains(address.net)) continue;  // of our pods
      add(address.net.base, Kind::kHost);
    }
    if (!choice.overlap && known.network.overlaps(address.net)) choice.overlap = address;
  }
}

struct LinkCollector final : kernel::LinkVisitor {
  std::vector<Link> seen;
  void link(const Link& link) override {
    if (seen.size() < kMaxSeen) seen.push_back(link);
  }
};
struct AddressCollector final : kernel::AddressVisitor {
  std::vector<Address> seen;
  void address(const Address& address) override {
    if (seen.size() < kMaxSeen) seen.push_back(address);
  }
};

}  // namespace

UnderlayChoice choose_underlay(const InterfaceSettings& settings, const Surroundings& here,
                               const Known& known) {
  const auto missing = [](const char* why) { return UnderlayChoice{.missing = why}; };
  constexpr const char* kUnreachable =
      "peers reach no loopback, multicast or unspecified address; it cannot be the public one";
  if (settings.public_ip && !reachable(*settings.public_ip)) return missing(kUnreachable);
  Hit hit;
  if (!settings.names.empty() || !settings.regexes.empty() || settings.can_reach) {
    hit = explicit_hit(settings, here, known);
    if (hit.link == nullptr) return missing("no interface here is the one asked for");
  } else if (settings.public_ip) {
    const Address* address = address_of(here, *settings.public_ip);
    if (address == nullptr) {
      return missing("no interface has the public address; give the interface too if it is behind NAT");
    }
    hit = {link_of(here, address->link_index), *settings.public_ip};
  } else {
    if (!here.default_route) return missing("there is no default route; give the interface");
    hit.link = link_of(here, here.default_route->link_index);
  }
  if (hit.link == nullptr) return missing("the interface went away while we looked");
  if (is_overlay(*hit.link)) return missing("a flannel device cannot carry the overlay");
  if (!hit.address) {
    const Address* address = best_address_on(*hit.link, here, known);
    if (address == nullptr) return missing("the interface has no IPv4 address that peers can reach");
    hit.address = address->net.base;
  }
  if (!reachable(*hit.address)) return missing(kUnreachable);
  if (!hit.link->up) return missing("the interface is down");

  UnderlayChoice choice;
  Underlay& underlay = choice.underlay.emplace();
  underlay.link_index = hit.link->index;
  underlay.name = hit.link->name;
  underlay.mtu = hit.link->mtu;
  underlay.address = *hit.address;
  underlay.public_ip = settings.public_ip.value_or(*hit.address);
  underlay.local = address_of(here, underlay.public_ip) != nullptr ? underlay.public_ip : underlay.address;
  if (const Address* address = address_of(here, underlay.address);
      address != nullptr && address->net.length <= 30) {
    underlay.broadcast = address->net.last();
  }
  protect(choice, here, known);
  return choice;
}

Result<UnderlayChoice> find_underlay(const InterfaceSettings& settings, kernel::Kernel& kernel,
                                     const Known& known) {
  LinkCollector links;
  FLT_TRY(kernel.dump_links(links));
  AddressCollector addresses;
  FLT_TRY(kernel.dump_addresses(addresses));
  Surroundings here{links.seen, addresses.seen, std::nullopt, std::nullopt, {}};
  if (settings.can_reach) {
    auto answer = kernel.route_to(*settings.can_reach);
    if (!answer) return answer.error();
    here.reached = *answer;
  }
  auto route = kernel.default_route();
  if (!route) return route.error();
  here.default_route = *route;
  std::array<kernel::RouteAnswer, Known::kMaxServers + 1> ways;
  std::size_t count = 0;
  if (*route) ways[count++] = **route;
  for (const Ip4 server : known.registry) {
    if (const auto way = kernel.route_to(server); way && *way && count < ways.size()) ways[count++] = **way;
  }
  here.ways = std::span(ways).first(count);
  return choose_underlay(settings, here, known);
}

}  // namespace flannelette::agent
