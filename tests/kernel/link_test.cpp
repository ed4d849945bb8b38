// SPDX-License-Identifier: Apache-2.0
// Links and routes of the machine as a real kernel shows them.
#include "kernel/kernel_node.hpp"

using namespace flannelette;
using namespace flannelette::tests;

TEST_SUITE("kernel/link") {
  TEST_CASE("links are listed with name, MTU and state") {
    REQUIRE_MEANS(namespaces(), program("ip"));
    KernelNode n("klink1");
    ip("link add eth0 mtu 1400 type veth peer name eth1");
    ip("link set eth0 up");
    struct Collect final : kernel::LinkVisitor {
      void link(const kernel::Link& l) override { all.push_back(l); }
      std::vector<kernel::Link> all;
    } c;
    REQUIRE(n.kernel.dump_links(c));
    const auto find = [&](const char* name) {
      auto at =
          std::find_if(c.all.begin(), c.all.end(), [&](const auto& l) { return l.name.view() == name; });
      REQUIRE(at != c.all.end());
      return *at;
    };
    CHECK(find("lo").loopback);
    CHECK(find("lo").up);
    CHECK(find("eth0").mtu == 1400);
    CHECK(find("eth0").up);
    CHECK_FALSE(find("eth0").loopback);
    CHECK_FALSE(find("eth1").up);
  }

  TEST_CASE("the default route's link is that of the lowest metric in table main") {
    REQUIRE_MEANS(namespaces(), program("ip"));
    KernelNode n("klink2");
    auto none = n.kernel.default_route();
    REQUIRE(none);
    CHECK_FALSE(*none);
    for (const char* name : {"eth0", "eth1"}) {
      ip(std::string("link add ") + name + " type bridge");
      ip(std::string("link set ") + name + " up");
    }
    const int eth0 = std::stoi(ip("-o link show eth0"));
    const int eth1 = std::stoi(ip("-o link show eth1"));
    ip("route add default dev eth0 table 100");
    CHECK_FALSE(*n.kernel.default_route());
    ip("route add unreachable default metric 4000");
    CHECK_FALSE(*n.kernel.default_route());
    ip("route add default dev eth0 metric 100");
    CHECK((*n.kernel.default_route())->link_index == eth0);
    ip("route add default dev eth1 metric 50");
    CHECK((*n.kernel.default_route())->link_index == eth1);
    ip("route add default dev eth0");
    CHECK((*n.kernel.default_route())->link_index == eth0);
    CHECK((*n.kernel.default_route())->gateway == Ip4{});
    ip("address add 192.0.2.5/24 dev eth0");
    ip("route replace default via 192.0.2.1 dev eth0");
    CHECK((*n.kernel.default_route())->gateway == ip4("192.0.2.1"));
  }

  TEST_CASE("a route look-up answers link, source and gateway, or that there is none") {
    REQUIRE_MEANS(namespaces(), program("ip"));
    KernelNode n("klink3");
    auto none = n.kernel.route_to(ip4("198.51.100.1"));
    REQUIRE(none);
    CHECK_FALSE(*none);
    ip("link add eth0 type bridge");
    ip("link set eth0 up");
    ip("address add 192.0.2.1/24 dev eth0");
    ip("route add default via 192.0.2.254");
    const int eth0 = std::stoi(ip("-o link show eth0"));
    auto far = n.kernel.route_to(ip4("198.51.100.1"));
    REQUIRE((far && *far));
    CHECK((*far)->link_index == eth0);
    CHECK((*far)->source == ip4("192.0.2.1"));
    CHECK((*far)->gateway == ip4("192.0.2.254"));
    auto near = n.kernel.route_to(ip4("192.0.2.77"));
    REQUIRE((near && *near));
    CHECK((*near)->gateway == Ip4{});
    for (const char* kind : {"blackhole", "unreachable", "prohibit"}) {
      ip(std::string("route replace ") + kind + " 198.51.100.1/32");
      auto blocked = n.kernel.route_to(ip4("198.51.100.1"));
      REQUIRE(blocked);
      CHECK_FALSE(*blocked);
    }
  }
}
