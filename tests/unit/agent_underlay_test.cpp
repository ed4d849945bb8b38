// SPDX-License-Identifier: Apache-2.0
// The choice of the underlay interface, by what the kernel shows.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "agent/underlay.hpp"
#include "unit/overlay_leases.hpp"

using namespace flannelette;
using namespace flannelette::agent;
using namespace flannelette::tests;

namespace {

/// A machine: lo, eth0 (192.168.7.2 and a link-local address), wan (203.0.113.5), wlan0 (no address), old
/// (down).
struct Machine {
  std::vector<kernel::Link> links{link(1, "lo"), link(2, "eth0"), link(3, "wan"), link(4, "wlan0"),
                                  link(5, "old")};
  std::vector<kernel::Address> addresses{address(1, "127.0.0.1/8"), address(2, "169.254.3.4/16"),
                                         address(2, "192.168.7.2/24"), address(3, "203.0.113.5/24"),
                                         address(5, "10.9.9.9/24")};
  std::vector<kernel::Route> routes{{2, ip("192.168.7.1"), 0, 0, {}}};
  std::optional<kernel::RouteAnswer> reached;
  InterfaceSettings settings;
  UnderlayHints hints;

  Machine() {
    links[0].loopback = true;
    links[2].mtu = 1492;
    links[4].up = false;
  }
  static kernel::Link link(int index, const char* name) {
    kernel::Link made;
    made.index = index;
    made.name = name;
    made.mtu = 1500;
    made.up = true;
    made.carrier = true;
    return made;
  }
  static kernel::Address address(int index, const char* net) {
    kernel::Address made;
    made.link_index = index;
    made.net = *parse_net4(net);
    return made;
  }
  UnderlayChoice choose() const {
    return choose_underlay(settings, {links, addresses, routes, reached}, hints);
  }
  Underlay chosen() const {
    const UnderlayChoice choice = choose();
    INFO(std::string(choice.missing));
    REQUIRE(choice.underlay);
    return *choice.underlay;
  }
  std::string missing() const {
    const UnderlayChoice choice = choose();
    CHECK(!choice.underlay);
    return choice.missing;
  }
};

}  // namespace

TEST_SUITE("agent/underlay") {
  TEST_CASE("no setting: the interface of the default route, with its best address") {
    Machine machine;
    const Underlay got = machine.chosen();
    CHECK(got.link_index == 2);
    CHECK(got.name.view() == "eth0");
    CHECK(got.mtu == 1500);
    CHECK(got.address == ip("192.168.7.2"));
    CHECK(got.public_ip == ip("192.168.7.2"));
    CHECK(got.local == ip("192.168.7.2"));
  }

  TEST_CASE("no setting and no default route: wait") {
    Machine machine;
    machine.routes.clear();
    CHECK(machine.missing() == "there is no default route; give the interface");
  }

  TEST_CASE("a name chooses the interface, an address of one chooses that very address") {
    Machine machine;
    REQUIRE(machine.settings.names.add("wan"));
    CHECK(machine.chosen().address == ip("203.0.113.5"));
    CHECK(machine.chosen().mtu == 1492);
    machine.settings.names.clear();
    REQUIRE(machine.settings.names.add("169.254.3.4"));
    CHECK(machine.chosen().address == ip("169.254.3.4"));
    CHECK(machine.chosen().name.view() == "eth0");
  }

  TEST_CASE("the first name that is here wins; regular expressions come after all names") {
    Machine machine;
    REQUIRE(machine.settings.regexes.add("^eth"));
    REQUIRE(machine.settings.names.add("nowhere0"));
    REQUIRE(machine.settings.names.add("wan"));
    CHECK(machine.chosen().name.view() == "wan");
    machine.settings.names.clear();
    CHECK(machine.chosen().name.view() == "eth0");
  }

  TEST_CASE("a regular expression is matched against addresses before names") {
    Machine machine;
    REQUIRE(machine.settings.regexes.add("^203\\.|^eth0$"));
    CHECK(machine.chosen().name.view() == "wan");
    CHECK(machine.chosen().address == ip("203.0.113.5"));
    machine.settings.regexes.clear();
    REQUIRE(machine.settings.regexes.add("^203\\.1\\.|^eth\\d$"));
    CHECK(machine.chosen().name.view() == "eth0");
  }

  TEST_CASE("a regular expression that matches the address of a link that went away is passed over") {
    Machine machine;
    machine.addresses.insert(machine.addresses.begin(), Machine::address(77, "10.9.9.9/24"));
    machine.links[4].up = true;
    REQUIRE(machine.settings.regexes.add("^10\\.9\\.|^wan$"));
    CHECK(machine.chosen().name.view() == "old");
    machine.addresses.pop_back();
    CHECK(machine.chosen().name.view() == "wan");
    CHECK(machine.chosen().address == ip("203.0.113.5"));
  }

  TEST_CASE("what was asked for and is not here is waited for: no falling through to the default route") {
    Machine machine;
    SUBCASE("name") { REQUIRE(machine.settings.names.add("nowhere0")); }
    SUBCASE("address") { REQUIRE(machine.settings.names.add("10.1.1.1")); }
    SUBCASE("regex") { REQUIRE(machine.settings.regexes.add("^tun")); }
    SUBCASE("no route to what is to be reached") { machine.settings.can_reach = ip("10.1.1.1"); }
    CHECK(machine.missing() == "no interface here is the one asked for");
  }

  TEST_CASE("the interface that reaches an address, with the source that the kernel would take") {
    Machine machine;
    machine.settings.can_reach = ip("8.8.8.8");
    machine.reached = kernel::RouteAnswer{3, ip("203.0.113.5"), ip("203.0.113.1")};
    const Underlay got = machine.chosen();
    CHECK(got.name.view() == "wan");
    CHECK(got.address == ip("203.0.113.5"));
  }

  TEST_CASE("a public address alone chooses the interface that has it") {
    Machine machine;
    machine.settings.public_ip = ip("203.0.113.5");
    CHECK(machine.chosen().name.view() == "wan");
    machine.settings.public_ip = ip("198.51.100.1");
    CHECK(machine.missing() ==
          "no interface has the public address; give the interface too if it is behind NAT");
  }

  TEST_CASE(
      "compat 9.21: a public address that this host does not have is published and never used as "
      "source") {
    Machine machine;
    REQUIRE(machine.settings.names.add("eth0"));
    machine.settings.public_ip = ip("198.51.100.1");
    Underlay got = machine.chosen();
    CHECK(got.public_ip == ip("198.51.100.1"));
    CHECK(got.address == ip("192.168.7.2"));
    CHECK(got.local == ip("192.168.7.2"));
    // If another interface has it, it is a good source.
    machine.settings.public_ip = ip("203.0.113.5");
    got = machine.chosen();
    CHECK(got.name.view() == "eth0");
    CHECK(got.local == ip("203.0.113.5"));
  }

  TEST_CASE(
      "of several addresses: not a deprecated one, one for the world before a link-local one, a real prefix "
      "before a /32, else as the kernel has them") {
    Machine machine;
    REQUIRE(machine.settings.names.add("wlan0"));
    CHECK(machine.missing() == "the interface has no IPv4 address that peers can reach");
    auto add = [&](const char* net) -> kernel::Address& {
      machine.addresses.push_back(Machine::address(4, net));
      return machine.addresses.back();
    };
    add("10.5.0.9/24").deprecated = true;
    CHECK(machine.missing() == "the interface has no IPv4 address that peers can reach");
    add("10.5.0.8/24").link_scope = true;
    CHECK(machine.chosen().address == ip("10.5.0.8"));
    add("10.5.0.7/32");
    CHECK(machine.chosen().address == ip("10.5.0.7"));
    add("10.5.0.6/24").secondary = true;
    CHECK(machine.chosen().address == ip("10.5.0.6"));
    add("10.5.0.5/24");
    CHECK(machine.chosen().address == ip("10.5.0.5"));
    add("10.5.0.4/24");
    CHECK(machine.chosen().address == ip("10.5.0.5"));
  }

  TEST_CASE("the address in use stays as long as it is there; a link-local one gives way to a better one") {
    Machine machine;
    machine.addresses.push_back(Machine::address(2, "192.168.7.100/32"));
    machine.hints.in_use = ip("192.168.7.100");
    SUBCASE("by the default route") {}
    SUBCASE("by name") { REQUIRE(machine.settings.names.add("eth0")); }
    SUBCASE("by a regular expression for addresses") { REQUIRE(machine.settings.regexes.add("^192\\.168")); }
    SUBCASE("by a regular expression for names") { REQUIRE(machine.settings.regexes.add("^eth")); }
    CHECK(machine.chosen().address == ip("192.168.7.100"));
    machine.addresses.pop_back();
    CHECK(machine.chosen().address == ip("192.168.7.2"));
    machine.hints.in_use = ip("169.254.3.4");
    CHECK(machine.chosen().address == ip("192.168.7.2"));
  }

  TEST_CASE("a regular expression passes over loopback, flannel's devices and our pods") {
    Machine machine;
    machine.links.push_back(Machine::link(6, "flannel.1"));
    machine.links.push_back(Machine::link(7, "cni0"));
    machine.addresses.insert(machine.addresses.begin(), Machine::address(6, "192.168.8.0/32"));
    machine.addresses.insert(machine.addresses.begin(), Machine::address(7, "10.244.3.1/24"));
    machine.hints.subnet = parse_net4("10.244.3.0/24");
    SUBCASE("by address") { REQUIRE(machine.settings.regexes.add("^1(0\\.244|27|92)\\.")); }
    SUBCASE("by name") { REQUIRE(machine.settings.regexes.add("^(lo|flannel|eth)")); }
    CHECK(machine.chosen().public_ip == ip("192.168.7.2"));
  }

  TEST_CASE("a loopback interface may carry the overlay by an address that is routed to it") {
    Machine machine;
    machine.addresses.push_back(Machine::address(1, "198.51.100.7/32"));
    SUBCASE("by name") { REQUIRE(machine.settings.names.add("lo")); }
    SUBCASE("by a regular expression") { REQUIRE(machine.settings.regexes.add("^lo$")); }
    CHECK(machine.chosen().public_ip == ip("198.51.100.7"));
  }

  TEST_CASE("a PublicIP that no peer can reach is refused however it was found") {
    Machine machine;
    const std::string unreachable =
        "peers reach no loopback, multicast or unspecified address; it cannot be the public one";
    SUBCASE("--iface=ADDRESS") {
      REQUIRE(machine.settings.names.add("127.0.0.1"));
      CHECK(machine.missing() == unreachable);
    }
    SUBCASE("--iface=lo") {
      REQUIRE(machine.settings.names.add("lo"));
      CHECK(machine.missing() == "the interface has no IPv4 address that peers can reach");
    }
    SUBCASE("a regular expression that matches nothing else") {
      REQUIRE(machine.settings.regexes.add("^127\\.|^lo"));
      CHECK(machine.missing() == "no interface here is the one asked for");
    }
    SUBCASE("--iface-can-reach") {
      machine.settings.can_reach = ip("127.0.0.1");
      machine.reached = kernel::RouteAnswer{1, ip("127.0.0.1"), {}};
      CHECK(machine.missing() == unreachable);
    }
    SUBCASE("--public-ip") {
      for (const char* wrong : {"127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"}) {
        machine.settings.public_ip = ip(wrong);
        CHECK(machine.missing() == unreachable);
      }
    }
    SUBCASE("a flannel device by name") {
      machine.links.push_back(Machine::link(6, "flannel.1"));
      machine.addresses.push_back(Machine::address(6, "10.244.3.0/32"));
      REQUIRE(machine.settings.names.add("flannel.1"));
      CHECK(machine.missing() == "a flannel device cannot carry the overlay");
    }
  }

  TEST_CASE("an interface that is down is waited for") {
    Machine machine;
    REQUIRE(machine.settings.names.add("old"));
    CHECK(machine.missing() == "the interface is down");
    machine.links[4].up = true;
    CHECK(machine.chosen().address == ip("10.9.9.9"));
  }

  TEST_CASE("a link that goes away between the two dumps is no choice") {
    Machine machine;
    machine.routes[0].link_index = 77;
    CHECK(machine.missing() == "the interface vanished while it was examined");
  }

  TEST_CASE("of interfaces in order, the first that is up and has a carrier and a good address is taken") {
    Machine machine;
    SUBCASE("names") {
      REQUIRE(machine.settings.names.add("eth0"));
      REQUIRE(machine.settings.names.add("wan"));
    }
    SUBCASE("a name, then an address") {
      REQUIRE(machine.settings.names.add("eth0"));
      REQUIRE(machine.settings.names.add("203.0.113.5"));
    }
    SUBCASE("regular expressions") {
      REQUIRE(machine.settings.regexes.add("^eth0$"));
      REQUIRE(machine.settings.regexes.add("^wan$"));
    }
    SUBCASE("one regular expression for two names") { REQUIRE(machine.settings.regexes.add("^(wan|eth0)$")); }
    SUBCASE("one regular expression for two addresses") {
      REQUIRE(machine.settings.regexes.add("^192\\.168|^203\\."));
    }
    SUBCASE("a name, then what leads to an address") {
      REQUIRE(machine.settings.names.add("eth0"));
      machine.settings.can_reach = ip("8.8.8.8");
      machine.reached = kernel::RouteAnswer{3, ip("203.0.113.5"), ip("203.0.113.1")};
    }
    REQUIRE(machine.chosen().name.view() == "eth0");
    const auto links = machine.links;
    const auto addresses = machine.addresses;
    machine.links[1].up = false;
    CHECK(machine.chosen().address == ip("203.0.113.5"));
    machine.links = links;
    machine.links[1].carrier = false;
    CHECK(machine.chosen().address == ip("203.0.113.5"));
    CHECK(machine.choose().carrier);
    machine.links = links;
    std::erase_if(machine.addresses, [](const auto& a) { return a.link_index == 2; });
    CHECK(machine.chosen().address == ip("203.0.113.5"));
    machine.addresses.push_back(Machine::address(2, "169.254.3.4/16"));  // DHCP failed
    CHECK(machine.chosen().address == ip("203.0.113.5"));
    machine.addresses = addresses;
    machine.links.erase(machine.links.begin() + 1);
    CHECK(machine.chosen().address == ip("203.0.113.5"));
  }

  TEST_CASE("no interface has a carrier: the first that is up and has an address, so that pods can start") {
    Machine machine;
    for (const char* name : {"old", "wlan0", "eth0", "wan"}) REQUIRE(machine.settings.names.add(name));
    for (auto& link : machine.links) link.carrier = false;
    CHECK(machine.chosen().name.view() == "eth0");
    CHECK_FALSE(machine.choose().carrier);
    machine.hints.in_use_link = 3;
    CHECK(machine.chosen().name.view() == "wan");
    CHECK(machine.choose().better == 0);
  }

  TEST_CASE("the link in use stays while it is usable, and the one that goes before it is named") {
    Machine machine;
    REQUIRE(machine.settings.names.add("eth0"));
    REQUIRE(machine.settings.names.add("wan"));
    machine.hints.in_use_link = 3;
    CHECK(machine.chosen().name.view() == "wan");
    CHECK(machine.choose().better == 2);
    machine.links[1].carrier = false;
    CHECK(machine.choose().better == 0);
    machine.links[1].carrier = true;
    machine.links[2].carrier = false;
    CHECK(machine.chosen().name.view() == "eth0");
    machine.hints.in_use_link = 77;  // it is gone
    CHECK(machine.chosen().name.view() == "eth0");
    CHECK(machine.choose().better == 0);
  }

  TEST_CASE("the default route of the lowest metric is followed at once, past links that cannot be used") {
    Machine machine;
    machine.routes[0].metric = 100;
    machine.routes.push_back({3, ip("203.0.113.1"), 700, 0, {}});
    machine.hints.in_use_link = 3;
    CHECK(machine.chosen().name.view() == "eth0");
    CHECK(machine.choose().better == 0);
    machine.routes[1].metric = 50;
    CHECK(machine.chosen().name.view() == "wan");
    machine.links[2].carrier = false;
    CHECK(machine.chosen().name.view() == "eth0");
    machine.links[1].carrier = false;
    CHECK(machine.chosen().name.view() == "wan");
  }

  TEST_CASE("the gateways of all default routes are protected") {
    Machine machine;
    machine.routes.push_back({3, ip("203.0.113.1"), 700, 0, {}});
    machine.hints.network = *parse_net4("203.0.113.0/24");
    CHECK(machine.choose().protected_addresses.in(*parse_net4("203.0.113.1/32")) != nullptr);
  }

  TEST_CASE("the MTU is that of the link, or of a route through it where that is smaller") {
    Machine machine;
    CHECK(machine.chosen().mtu == 1500);
    machine.routes.push_back({3, {}, 0, 1280, *parse_net4("192.168.0.0/16")});  // through another link
    CHECK(machine.chosen().mtu == 1500);
    machine.routes[0].mtu = 1400;
    CHECK(machine.chosen().mtu == 1400);
    CHECK_FALSE(machine.choose().lower_mtu);
    machine.routes.push_back({2, {}, 0, 1300, *parse_net4("192.168.7.0/24")});
    CHECK(machine.chosen().mtu == 1300);
    machine.links[1].mtu = 1298;
    CHECK(machine.chosen().mtu == 1298);
  }

  TEST_CASE("the MTU of a route that leads to nobody does not count; to the registry or to a peer it does") {
    Machine machine;
    machine.routes.push_back({2, {}, 0, 1300, *parse_net4("172.30.0.0/24")});
    CHECK(machine.chosen().mtu == 1500);
    CHECK(machine.choose().lower_mtu);
    const Ip server = ip("172.30.0.200");
    machine.hints.registry = {&server, 1};
    CHECK(machine.chosen().mtu == 1300);
    machine.hints.registry = {};
    overlay::LeaseTable peers;
    peers.set_local(local_node());
    machine.hints.peers = &peers;
    overlay::LeaseRecord far = lease("10.64.6.0-24", 6);
    far.value.public_ip = ip("172.30.1.6");
    peers.upsert(far);
    CHECK(machine.chosen().mtu == 1500);
    peers.upsert(lease("10.64.5.0-24", 5));
    CHECK(machine.chosen().mtu == 1300);
    CHECK_FALSE(machine.choose().lower_mtu);
  }

  TEST_CASE("the public address of a file is published, and chooses no interface") {
    Machine machine;
    REQUIRE(machine.settings.public_ip_file.assign("/run/public-ip"));
    CHECK(machine.missing() == "the public IP file has no address yet");
    machine.hints.public_ip = ip("198.51.100.1");
    SUBCASE("alone") {}
    SUBCASE("before public-ip") { machine.settings.public_ip = ip("203.0.113.5"); }
    CHECK(machine.chosen().name.view() == "eth0");
    CHECK(machine.chosen().public_ip == ip("198.51.100.1"));
    CHECK(machine.chosen().local == ip("192.168.7.2"));
    CHECK(machine.choose().forwarded);
    machine.hints.public_ip = ip("203.0.113.5");
    CHECK(machine.chosen().local == ip("203.0.113.5"));
    CHECK_FALSE(machine.choose().forwarded);
  }
}
