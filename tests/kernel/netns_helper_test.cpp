// SPDX-License-Identifier: Apache-2.0
// The namespaces that the kernel and system tiers stand on.
#include <doctest/doctest.h>

#include "support/means.hpp"
#include "support/netns.hpp"
#include "support/poll.hpp"
#include "support/process.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

TEST_SUITE("tests/netns") {
  TEST_CASE("two nodes on a bridge reach each other and not the machine's network") {
    REQUIRE_MEANS(namespaces(), program("ip"), program("ping"));
    const Node hub("nshub");
    const Node a("nsa");
    const Node b("nsb");
    add_bridge(hub, "br0");
    connect_to_bridge(hub, "br0", "p1", a, "eth0");
    connect_to_bridge(hub, "br0", "p2", b, "eth0");
    a.ip("address add 192.0.2.1/24 dev eth0");
    b.ip("address add 192.0.2.2/24 dev eth0");
    const Outcome ping = run({.args = words("ping -c 1 -W 5 192.0.2.2"), .netns = "nsa"});
    CHECK_MESSAGE(ping.status == 0, ping.output);
    CHECK(run({.args = words("ip route show default"), .netns = "nsa"}).output.empty());
  }

  TEST_CASE("an action inside a node sees its devices, and the thread comes back") {
    REQUIRE_MEANS(namespaces(), program("ip"));
    const Node node("nsc");
    node.ip("link add only-here type bridge");
    CHECK(node.inside([] { return ip("-o link show dev only-here"); }).find("only-here") !=
          std::string::npos);
    CHECK_THROWS(ip("-o link show dev only-here"));
  }

  TEST_CASE("a deleted node takes its devices along") {
    REQUIRE_MEANS(namespaces(), program("ip"));
    const Node left("nsd");
    {
      const Node right("nse");
      connect(left, "v0", right, "v1");
    }
    // The kernel takes a namespace down in its own time.
    CHECK(wait_until(10s, [&left] { return left.ip("-o link show type veth").empty(); }));
    CHECK_THROWS(Node("nsd"));  // names are not shared silently
  }

  TEST_CASE("the kernel can make VXLAN devices") { REQUIRE_MEANS(link_kind("type vxlan id 1 dstport 8472")); }
}
