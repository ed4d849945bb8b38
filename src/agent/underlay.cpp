// SPDX-License-Identifier: Apache-2.0
// The choice of the interface that carries the overlay.
#include "agent/underlay.hpp"

#include <algorithm>
#include <array>

#include "flannelette/base/fnv.hpp"
#include "flannelette/base/function_ref.hpp"
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

/// How well a link can carry the overlay.
enum class Grade : std::uint8_t {
  kAny,
  kUp,    ///< it is up and has an address that peers can reach
  kGood,  ///< and a carrier, and its address is more than a link-local one
};

/// The host, as far as the links are of a grade.
struct View {
  const HostNetwork& host;
  const UnderlayHints& hints;
  Grade grade = Grade::kAny;
  int only = 0;  ///< this link alone; 0: all

  bool takes(const Link& link) const;
};

/// The best address of those that are accepted; the one in use, if it is among them.
const Address* best_address(const View& view, FunctionRef<bool(const Address&)> accepts) {
  const Address* best = nullptr;
  for (const Address& address : view.host.addresses) {
    if (address.deprecated || !reachable(address.net.base) || !accepts(address)) continue;
    // A link-local one is used only until there is a better one.
    if (view.hints.in_use == address.net.base && rank(address) < 4) return &address;
    if (best == nullptr || (address.link_index == best->link_index && rank(address) < rank(*best)))
      best = &address;
  }
  return best;
}

const Address* best_address_on(const Link& link, const View& view) {
  return best_address(view, [&](const Address& a) { return a.link_index == link.index; });
}

bool View::takes(const Link& link) const {
  if (only != 0 && link.index != only) return false;
  if (grade == Grade::kAny) return true;
  if (!link.up || is_overlay(link)) return false;
  const Address* address = best_address_on(link, *this);
  return address != nullptr && (grade == Grade::kUp || (link.carrier && rank(*address) < 4));
}

/// The interface that was asked for, and its address where the setting determines one.
struct Match {
  const Link* link = nullptr;
  std::optional<Ip> address;
};

Match on_link(const View& view, int index, std::optional<Ip> address) {
  const Link* link = link_of(view.host, index);
  return link != nullptr && view.takes(*link) ? Match{link, address} : Match{};
}

Match by_name(const View& view, std::string_view wanted) {
  if (const auto ip = parse_ip4(wanted)) {
    const Address* address = address_of(view.host, *ip);
    return address == nullptr ? Match{} : on_link(view, address->link_index, *ip);
  }
  for (const Link& link : view.host.links) {
    if (link.name.view() == wanted && view.takes(link)) return {&link, std::nullopt};
  }
  return {};
}

/// Ignores loopback, the overlay itself and its pods, which are never meant.
Match by_regex(const View& view, std::string_view regex) {
  const UnderlayHints& hints = view.hints;
  Pattern pattern;
  if (!pattern.compile(regex)) return {};  // cli has refused bad ones
  const Address* address = best_address(view, [&](const Address& a) {
    const Link* link = link_of(view.host, a.link_index);
    const bool of_pods =
        hints.subnet && Net(*hints.subnet).contains(a.net.base) && hints.in_use != a.net.base;
    return link != nullptr && !is_overlay(*link) && !of_pods && pattern.found_in(text_of(a.net.base)) &&
           view.takes(*link);
  });
  if (address != nullptr) return {link_of(view.host, address->link_index), address->net.base};
  for (const Link& link : view.host.links) {
    if (is_overlay(link) || (link.loopback && best_address_on(link, view) == nullptr)) continue;
    if (pattern.found_in(link.name) && view.takes(link)) return {&link, std::nullopt};
  }
  return {};
}

Match explicit_match(const InterfaceSettings& settings, const View& view) {
  for (const auto& name : settings.names.items()) {
    if (const Match match = by_name(view, name); match.link != nullptr) return match;
  }
  for (const auto& regex : settings.regexes.items()) {
    if (const Match match = by_regex(view, regex); match.link != nullptr) return match;
  }
  if (view.host.reached) return on_link(view, view.host.reached->link_index, view.host.reached->source);
  return {};
}

Match by_default_route(const View& view) {
  const kernel::Route* best = nullptr;
  Match match;
  for (const kernel::Route& route : view.host.routes) {
    if (!route.is_default() || (best != nullptr && best->metric <= route.metric)) continue;
    const Match found = on_link(view, route.link_index, std::nullopt);
    if (found.link == nullptr) continue;
    best = &route;
    match = found;
  }
  return match;
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
  const auto add_gateway = [&](const auto& route) {
    const Link* link = link_of(host, route.link_index);
    if (link != nullptr && !is_overlay(*link)) add(route.gateway, Kind::kGateway);
  };
  for (const kernel::Route& route : host.routes) {
    if (route.is_default()) add_gateway(route);
  }
  for (const kernel::RouteAnswer& route : host.to_registry) add_gateway(route);
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

struct RouteCollector final : kernel::RouteVisitor {
  PlainArray<kernel::Route> seen;
  void route(const kernel::Route& route) override {
    if (seen.size() < kMaxSeen) seen.append(route);
  }
};

/// Whether it is one of several that the operator put in order. The route to an address and the default route
/// are the kernel's choice, which all other packets follow at once.
bool ordered(const InterfaceSettings& settings) {
  return !settings.names.empty() || !settings.regexes.empty();
}

/// Why there is no match; nullptr: there is one, with its address.
const char* find_match(const InterfaceSettings& settings, const View& view, Match& match) {
  constexpr const char* kUnreachable =
      "peers reach no loopback, multicast or unspecified address; it cannot be the public one";
  const bool by_file = !settings.public_ip_file.empty();
  if (by_file && !view.hints.public_ip) return "the public IP file has no address yet";
  if (settings.public_ip && !reachable(*settings.public_ip)) return kUnreachable;
  if (ordered(settings) || settings.can_reach) {
    match = explicit_match(settings, view);
    if (match.link == nullptr) return "no interface here is the one asked for";
  } else if (settings.public_ip && !by_file) {
    const Address* address = address_of(view.host, *settings.public_ip);
    if (address == nullptr) {
      return "no interface has the public address; give the interface too if it is behind NAT";
    }
    match = on_link(view, address->link_index, *settings.public_ip);
  } else {
    if (std::ranges::none_of(view.host.routes, &kernel::Route::is_default))
      return "there is no default route; give the interface";
    match = by_default_route(view);
  }
  if (match.link == nullptr) return "the interface vanished while it was examined";
  if (is_overlay(*match.link)) return "a flannel device cannot carry the overlay";
  if (!match.address) {
    const Address* address = best_address_on(*match.link, view);
    if (address == nullptr) return "the interface has no IPv4 address that peers can reach";
    match.address = address->net.base;
  }
  if (!reachable(*match.address)) return kUnreachable;
  if (!match.link->up) return "the interface is down";
  return nullptr;
}

/// Whether what we send goes by a route to this destination.
bool counts(const Net& destination, const Ip& own, const UnderlayHints& hints) {
  const auto holds = [&](const Ip& ip) { return destination.contains(ip); };
  return holds(own) || std::ranges::any_of(hints.registry, holds) || destination.length == 0 ||
         (hints.peers != nullptr && hints.peers->has_public_ip_in(destination.v4()));
}

}  // namespace

UnderlayChoice choose_underlay(const InterfaceSettings& settings, const HostNetwork& host,
                               const UnderlayHints& hints) {
  UnderlayChoice choice;
  View view{host, hints};
  Match match;
  for (const Grade grade : {Grade::kGood, Grade::kUp, Grade::kAny}) {
    view.grade = grade;
    choice.missing = find_match(settings, view, match);
    if (choice.missing == nullptr) break;
  }
  if (choice.missing != nullptr) return choice;
  choice.missing = "";
  if (ordered(settings) && hints.in_use_link != 0 && hints.in_use_link != match.link->index) {
    view.only = hints.in_use_link;
    Match held;
    if (find_match(settings, view, held) == nullptr) {
      if (view.grade == Grade::kGood) choice.better = match.link->index;
      match = held;
    }
  }
  choice.carrier = match.link->carrier;
  Underlay& underlay = choice.underlay.emplace();
  underlay.link_index = match.link->index;
  underlay.name = match.link->name;
  underlay.mtu = match.link->mtu;
  underlay.address = *match.address;
  for (const kernel::Route& route : host.routes) {
    if (route.link_index != underlay.link_index || route.mtu == 0 || route.mtu >= underlay.mtu) continue;
    if (counts(route.destination, underlay.address, hints)) {
      underlay.mtu = route.mtu;
    } else {
      choice.lower_mtu = true;
    }
  }
  const auto& wanted = settings.public_ip_file.empty() ? settings.public_ip : hints.public_ip;
  underlay.public_ip = wanted ? Ip(*wanted) : underlay.address;
  choice.forwarded = address_of(host, underlay.public_ip) == nullptr;
  underlay.local = choice.forwarded ? underlay.address : underlay.public_ip;
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
  RouteCollector routes;
  FLT_TRY(kernel.dump_routes(routes));
  host.routes = routes.seen;
  std::array<kernel::RouteAnswer, UnderlayHints::kMaxServers> to_registry;
  std::size_t count = 0;
  Fnv1a path;
  for (const Ip& server : hints.registry) {
    const auto to = kernel.route_to(server);
    if (!to || !*to || count == to_registry.size()) continue;
    to_registry[count++] = **to;
    path.mix((*to)->source.v4().value);
  }
  host.to_registry = std::span(to_registry).first(count);
  UnderlayChoice choice = choose_underlay(settings, host, hints);
  if (count != 0) choice.registry_path = path.value();
  return choice;
}

}  // namespace flannelette::agent
