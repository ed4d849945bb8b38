// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "agent/underlay.hpp"

using namespace flannelette;
using namespace flannelette::agent;

namespace {

Ip4 ip(const char* text) { return parse_ip4(text).value(); }

/// A machine: lo, eth0 (192.168.7.2 and a link-local address), wan (203.0.113.5), wlan0 (no address), old
/// (down).
struct Machine {
  std::vector<kernel::Link> links{link(1, "lo"), link(2, "eth0"), link(3, "wan"), link(4, "wlan0"),
                                  link(5, "old")};
  std::vector<kernel::Address> addresses{address(1, "127.0.0.1/8"), address(2, "169.254.3.4/16"),
                                         address(2, "192.168.7.2/24"), address(3, "203.0.113.5/24"),
                                         address(5, "10.9.9.9/24")};
  std::optional<int> default_route = 2;
  std::optional<kernel::RouteAnswer> reached;
  InterfaceSettings settings;

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
    made.up = made.running = true;
    return made;
  }
  static kernel::Address address(int index, const char* net) {
    kernel::Address made;
    made.link_index = index;
    made.net = *parse_net4(net);
    made.permanent = true;
    return made;
  }
  UnderlayChoice choose() const {
    return choose_underlay(settings, {links, addresses, default_route, reached});
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
  TEST_CASE("nothing said: the interface of the default route, with its best address") {
    Machine machine;
    const Underlay got = machine.chosen();
    CHECK(got.link_index == 2);
    CHECK(got.name.view() == "eth0");
    CHECK(got.mtu == 1500);
    CHECK(got.address == ip("192.168.7.2"));
    CHECK(got.public_ip == ip("192.168.7.2"));
    CHECK(got.local == ip("192.168.7.2"));
  }

  TEST_CASE("nothing said and no default route: wait") {
    Machine machine;
    machine.default_route.reset();
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

  TEST_CASE("a regular expression that matches the address of a link that went away looks on") {
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
      "compat 9.21: a public address that this host does not have is told to peers and never used as "
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
      "of several addresses: not a deprecated one, one for the world before a link-local one, one that stays "
      "before a lease") {
    Machine machine;
    REQUIRE(machine.settings.names.add("wlan0"));
    CHECK(machine.missing() == "the interface has no IPv4 address");
    auto add = [&](const char* net) -> kernel::Address& {
      machine.addresses.push_back(Machine::address(4, net));
      return machine.addresses.back();
    };
    add("10.5.0.9/24").deprecated = true;
    CHECK(machine.missing() == "the interface has no IPv4 address");
    add("10.5.0.8/24").link_scope = true;
    CHECK(machine.chosen().address == ip("10.5.0.8"));
    add("10.5.0.7/24").permanent = false;
    CHECK(machine.chosen().address == ip("10.5.0.7"));
    add("10.5.0.6/24").secondary = true;
    CHECK(machine.chosen().address == ip("10.5.0.6"));
    add("10.5.0.5/24");
    CHECK(machine.chosen().address == ip("10.5.0.5"));
    add("10.5.0.4/24");
    CHECK(machine.chosen().address == ip("10.5.0.5"));
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
    machine.default_route = 77;
    CHECK(machine.missing() == "the interface went away while we looked");
  }
}
