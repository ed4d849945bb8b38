// SPDX-License-Identifier: Apache-2.0
#include "agent/underlay.hpp"

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

/// Lower is better: an address for the world before a link-local one, one that stays before one that may go.
int rank(const Address& address) {
  return (address.link_scope || is_link_local(address.net.base) ? 4 : 0) + (address.permanent ? 0 : 2) +
         (address.secondary ? 1 : 0);
}

const Address* best_address(const Surroundings& here, int link_index) {
  const Address* best = nullptr;
  for (const Address& address : here.addresses) {
    if (address.link_index != link_index || address.deprecated || !is_unicast(address.net.base)) continue;
    if (best == nullptr || rank(address) < rank(*best)) best = &address;
  }
  return best;
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

Hit by_regex(const Surroundings& here, std::string_view regex) {
  Pattern pattern;
  if (!pattern.compile(regex)) return {};  // cli has refused bad ones
  for (const Address& address : here.addresses) {
    if (!pattern.found_in(text_of(address.net.base))) continue;
    if (const Link* link = link_of(here, address.link_index)) return {link, address.net.base};
  }
  for (const Link& link : here.links) {
    if (pattern.found_in(link.name)) return {&link, std::nullopt};
  }
  return {};
}

Hit explicit_hit(const InterfaceSettings& settings, const Surroundings& here) {
  for (const auto& name : settings.names.items()) {
    if (const Hit hit = by_name(here, name); hit.link != nullptr) return hit;
  }
  for (const auto& regex : settings.regexes.items()) {
    if (const Hit hit = by_regex(here, regex); hit.link != nullptr) return hit;
  }
  if (here.reached) return {link_of(here, here.reached->link_index), here.reached->source};
  return {};
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

UnderlayChoice choose_underlay(const InterfaceSettings& settings, const Surroundings& here) {
  Hit hit;
  if (!settings.names.empty() || !settings.regexes.empty() || settings.can_reach) {
    hit = explicit_hit(settings, here);
    if (hit.link == nullptr) return {std::nullopt, "no interface here is the one asked for"};
  } else if (settings.public_ip) {
    const Address* address = address_of(here, *settings.public_ip);
    if (address == nullptr) {
      return {std::nullopt,
              "no interface has the public address; give the interface too if it is behind NAT"};
    }
    hit = {link_of(here, address->link_index), *settings.public_ip};
  } else {
    if (!here.default_route_link) return {std::nullopt, "there is no default route; give the interface"};
    hit.link = link_of(here, *here.default_route_link);
  }
  if (hit.link == nullptr) return {std::nullopt, "the interface went away while we looked"};
  if (!hit.address) {
    const Address* address = best_address(here, hit.link->index);
    if (address == nullptr) return {std::nullopt, "the interface has no IPv4 address"};
    hit.address = address->net.base;
  }
  if (!hit.link->up) return {std::nullopt, "the interface is down"};

  Underlay underlay;
  underlay.link_index = hit.link->index;
  underlay.name = hit.link->name;
  underlay.mtu = hit.link->mtu;
  underlay.address = *hit.address;
  underlay.public_ip = settings.public_ip.value_or(*hit.address);
  underlay.local = address_of(here, underlay.public_ip) != nullptr ? underlay.public_ip : underlay.address;
  return {underlay, ""};
}

Result<UnderlayChoice> find_underlay(const InterfaceSettings& settings, kernel::Kernel& kernel) {
  LinkCollector links;
  FLT_TRY(kernel.dump_links(links));
  AddressCollector addresses;
  FLT_TRY(kernel.dump_addresses(addresses));
  Surroundings here{links.seen, addresses.seen, std::nullopt, std::nullopt};
  if (settings.can_reach) {
    auto answer = kernel.route_to(*settings.can_reach);
    if (!answer) return answer.error();
    here.reached = *answer;
  }
  auto link = kernel.default_route_link();
  if (!link) return link.error();
  here.default_route_link = *link;
  return choose_underlay(settings, here);
}

}  // namespace flannelette::agent
