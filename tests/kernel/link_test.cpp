// SPDX-License-Identifier: Apache-2.0
// Links and routes of the machine as a real kernel shows them.
#include "kernel/kernel_node.hpp"
#include "support/poll.hpp"

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

  TEST_CASE("a link has a carrier when it is up and its driver and lower link say so") {
    REQUIRE_MEANS(namespaces(), program("ip"));
    KernelNode n("klink4");
    ip("link add eth0 type veth peer name port0");
    ip("link add br0 type bridge");
    ip("link set eth0 master br0");
    const auto carrier = [&](std::string_view name) {
      struct Collect final : kernel::LinkVisitor {
        void link(const kernel::Link& l) override { all.push_back(l); }
        std::vector<kernel::Link> all;
      } links;
      REQUIRE(n.kernel.dump_links(links));
      for (const auto& link : links.all) {
        if (link.name.view() == name) return link.carrier;
      }
      return false;
    };
    // The kernel's link watch follows a change of a driver's carrier up to a second later, from link to link.
    const auto becomes = [&](bool wanted) {
      return wait_until(std::chrono::seconds(5),
                        [&] { return carrier("eth0") == wanted && carrier("br0") == wanted; });
    };
    CHECK(carrier("lo"));
    CHECK(becomes(false));
    for (const char* name : {"eth0", "br0"}) ip(std::string("link set ") + name + " up");
    CHECK(becomes(false));
    ip("link set port0 up");
    CHECK(becomes(true));
    ip("link set port0 down");
    CHECK(becomes(false));
  }

  TEST_CASE("default routes of table main with metric and MTU, others that have an MTU, and none of ours") {
    REQUIRE_MEANS(namespaces(), program("ip"));
    KernelNode n("klink2");
    struct Routes final : kernel::RouteVisitor {
      void route(const kernel::Route& route) override { all.push_back(route); }
      std::vector<kernel::Route> all;
    };
    const auto routes = [&] {
      Routes found;
      REQUIRE(n.kernel.dump_routes(found));
      return found.all;
    };
    CHECK(routes().empty());
    for (const char* name : {"eth0", "eth1"}) {
      ip(std::string("link add ") + name + " type bridge");
      ip(std::string("link set ") + name + " up");
    }
    const int eth0 = std::stoi(ip("-o link show eth0"));
    const int eth1 = std::stoi(ip("-o link show eth1"));
    ip("route add default dev eth0 table 100");
    ip("route add unreachable default metric 4000");
    ip("route add 10.9.0.0/16 dev eth0");
    ip("route add 10.8.0.0/16 dev eth0 mtu 1280 proto 70");
    CHECK(routes().empty());
    ip("route add default dev eth0 metric 100");
    REQUIRE(routes().size() == 1);
    CHECK(routes()[0].link_index == eth0);
    CHECK(routes()[0].metric == 100);
    CHECK(routes()[0].mtu == 0);
    CHECK(routes()[0].is_default());
    CHECK(routes()[0].gateway == Ip4{});
    ip("route add default dev eth1 metric 50");
    REQUIRE(routes().size() == 2);
    CHECK(routes()[0].link_index == eth1);
    CHECK(routes()[1].link_index == eth0);
    ip("address add 192.0.2.5/24 dev eth0");
    ip("route replace default via 192.0.2.1 dev eth0 mtu lock 1400");
    REQUIRE(routes().size() == 3);
    CHECK(routes()[0].gateway == ip4("192.0.2.1"));
    CHECK(routes()[0].mtu == 1400);
    ip("route add 10.7.0.0/16 dev eth1 mtu 1300");
    REQUIRE(routes().size() == 4);
    CHECK(routes()[3].mtu == 1300);
    CHECK_FALSE(routes()[3].is_default());
    CHECK(routes()[3].destination == net4("10.7.0.0/16"));
    ip("link add port0 type veth peer name port1");
    for (const char* name : {"port0", "port1"}) ip(std::string("link set ") + name + " up");
    ip("link set port0 master eth0");
    ip("address add 198.51.100.5/24 dev eth1");
    ip("route replace default nexthop via 192.0.2.1 dev eth0 nexthop via 198.51.100.1 dev eth1");
    CHECK(wait_until(std::chrono::seconds(5), [&] { return routes()[0].link_index == eth0; }));
    ip("link set port1 down");
    CHECK(wait_until(std::chrono::seconds(5), [&] { return routes()[0].link_index == eth1; }));
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

  TEST_CASE("what a link has carried is counted by the kernel, either way") {
    REQUIRE_MEANS(namespaces(), program("ip"), program("ping"));
    KernelNode n("klink4");
    const auto before = n.kernel.traffic(1);
    REQUIRE(before);
    output_of("ping -c 1 127.0.0.1");
    const auto after = n.kernel.traffic(1);
    REQUIRE(after);
    CHECK(after->received_packets - before->received_packets == 2);
    CHECK(after->sent_packets - before->sent_packets == 2);
    CHECK(after->sent_bytes - before->sent_bytes == 2 * 84);
    CHECK(after->received_bytes == after->sent_bytes);
    CHECK(after->dropped_packets == 0);
    CHECK_FALSE(n.kernel.traffic(4711));
  }
}
