// SPDX-License-Identifier: Apache-2.0
// host-gw and DirectRouting with real packets: pods both ways, flips without loss, changes of backend.
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/cluster.hpp"

using namespace flannelette;
using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

std::string config_of(const std::string& backend) {
  return R"({"Network":"10.64.0.0/16","SubnetMin":"10.64.30.0","SubnetMax":"10.64.90.0","Backend":)" +
         backend + "}";
}
const std::string kVxlan = config_of(R"({"Type":"vxlan"})");
const std::string kDirect = config_of(R"({"Type":"vxlan","DirectRouting":true})");
const std::string kHostGw = config_of(R"({"Type":"host-gw"})");

/// Routes to other nodes' subnets by their own address.
std::string direct_routes(const Machine& machine) {
  return shell(machine.node(), "ip route show dev eth0 | grep 'via 172.30' | grep 10.64 || true");
}
bool joined(const Machine& machine, int peers) {
  return wait_until(
      20s, [&] { return !machine.subnet().empty() && count_lines(direct_routes(machine)) == peers; });
}
/// Everything that an agent leaves in the kernel.
std::string traces(const Machine& machine) {
  return shell(
      machine.node(),
      "set +e; ip route show | grep 10.64 | grep -v veth0; ip -o link show | grep -o 'flannel[^:]*'; "
      "ip nexthop show; ip neigh show nud permanent; true");
}
int sent(const std::string& result) {
  const std::size_t at = result.find(" packets transmitted");
  return at == result.npos ? 0 : std::atoi(result.c_str() + result.rfind('\n', at) + 1);
}

/// Two machines with pods, and a router beside them by which one may be sent to the other.
struct Pair {
  explicit Pair(const std::string& config) {
    etcd.configure(config);
    connect_to_bridge(etcd.node(), "br0", "to-router", router, "eth0");
    router.ip("address add 172.30.0.200/24 dev eth0");
    shell(router,
          "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv4/conf/all/send_redirects; "
          "echo 0 > /proc/sys/net/ipv4/conf/eth0/send_redirects");
  }
  void start() {
    for (Machine* machine : {&a, &b}) machine->start();
  }
  bool ping_both_ways() {
    return wait_until(5s, [&] { return pings(a.pod(), pod_b) && pings(b.pod(), pod_a); });
  }
  Etcd etcd;
  Node router{"router"};
  Machine a{etcd, 1};
  Machine b{etcd, 2};
  std::string pod_a, pod_b;
};

}  // namespace

TEST_SUITE("system/host-gw") {
  TEST_CASE(
      "nodes route to each other's pods by their addresses, without a device; what is lost comes back at "
      "once") {
    REQUIRE_MEANS(cluster_means());
    Pair p(kHostGw);
    p.start();
    REQUIRE_MESSAGE(joined(p.a, 1), p.a.log());
    REQUIRE_MESSAGE(joined(p.b, 1), p.b.log());
    p.pod_a = p.a.add_pod();
    p.pod_b = p.b.add_pod();
    REQUIRE(p.ping_both_ways());
    CHECK(p.etcd.lease(lease_name(p.a.subnet())) ==
          R"({"PublicIP":"172.30.0.11","PublicIPv6":null,"BackendType":"host-gw"})");
    CHECK(contains(file_text(p.a.subnet_file()), "FLANNEL_MTU=1500\n"));
    CHECK_FALSE(contains(p.a.node().ip("link show"), "flannel"));
    CHECK(contains(p.a.node().ip("nexthop show"), "via 172.30.0.12 dev eth0 scope link proto 70"));

    p.a.node().ip("route delete " + p.b.subnet());  // as a network manager does when it restarts
    CHECK(wait_until(3s, [&] { return count_lines(direct_routes(p.a)) == 1; }));
    p.a.node().ip("link set eth0 down");
    CHECK(direct_routes(p.a).empty());
    p.a.node().ip("link set eth0 up");
    p.a.node().ip("route add default via 172.30.0.1");
    CHECK(wait_until(3s, [&] { return count_lines(direct_routes(p.a)) == 1; }));
    REQUIRE(p.ping_both_ways());

    const std::string before = traces(p.a);
    CHECK(p.a.stop() == 0);
    CHECK(traces(p.a) == before);
    REQUIRE(p.ping_both_ways());
    p.a.start();
    REQUIRE_MESSAGE(p.a.logs("ready"), p.a.log());
    CHECK(traces(p.a) == before);
    CHECK(contains(p.a.log(), "kind=kept"));

    // A peer that is not on link: named, and there when it is.
    p.etcd.put(kSubnetKeys + "10.64.7.0-24",
               R"({"PublicIP":"192.0.2.7","PublicIPv6":null,"BackendType":"host-gw"})");
    REQUIRE(p.a.logs("the peer is not on our link"));
    p.a.node().ip("address add 192.0.2.1/24 dev eth0");
    CHECK(wait_until(3s, [&] { return contains(p.a.node().ip("route show dev eth0"), "10.64.7.0/24"); }));
  }

  TEST_CASE("nexthop-objects = off: plain routes") {
    REQUIRE_MEANS(cluster_means());
    Pair p(kHostGw);
    p.a.add_etc("/etc/flannelette.ini", "[node]\nnexthop-objects = off\n");
    p.start();
    REQUIRE_MESSAGE(joined(p.a, 1), p.a.log());
    CHECK(p.a.node().ip("nexthop show").empty());
    CHECK(contains(direct_routes(p.a), "via 172.30.0.12 proto 70"));
  }

  TEST_CASE("DirectRouting: a peer that becomes far and near again loses no packet, with rp_filter 0 and 2") {
    REQUIRE_MEANS(cluster_means());
    Pair p(kDirect);
    p.start();
    REQUIRE_MESSAGE(joined(p.a, 1), p.a.log());
    REQUIRE_MESSAGE(joined(p.b, 1), p.b.log());
    p.pod_a = p.a.add_pod();
    p.pod_b = p.b.add_pod();
    const auto leads = [&](const char* device) {
      return wait_until(3s, [&] { return contains(p.a.node().ip("route get " + p.pod_b), device); });
    };
    for (const char* mode : {"0", "2"}) {
      for (const Machine* machine : {&p.a, &p.b}) {
        for (const char* link : {"all", "eth0", "flannel.1"}) {
          shell(machine->node(),
                std::string("echo ") + mode + " > /proc/sys/net/ipv4/conf/" + link + "/rp_filter");
        }
      }
      REQUIRE(p.ping_both_ways());
      Process there({.args = words("ping -i 0.01 -w 6 -q " + p.pod_b), .netns = p.a.pod().name()});
      Process back({.args = words("ping -i 0.01 -w 6 -q " + p.pod_a), .netns = p.b.pod().name()});
      for (int i = 0; i < 3; ++i) {
        p.a.node().ip("route add 172.30.0.12/32 via 172.30.0.200 dev eth0");
        REQUIRE(leads("dev flannel.1"));
        CHECK(count_lines(p.a.neighbours()) == 1);
        p.a.node().ip("route delete 172.30.0.12/32");
        REQUIRE(leads("via 172.30.0.12 dev eth0"));
      }
      for (Process* ping : {&there, &back}) {
        ping->wait(10s);
        const std::string result = ping->output();
        CHECK_MESSAGE(contains(result, " 0% packet loss"), result);
        CHECK_MESSAGE(sent(result) > 100, result);
      }
    }
    CHECK(wait_until(2s, [&] { return p.a.neighbours().empty(); }));
    CHECK_FALSE(contains(p.a.fdb(), "172.30.0.12"));
    CHECK(count_lines(p.a.node().ip("nexthop show")) == 1);
    CHECK_FALSE(contains(p.a.log(), "rp_filter"));
    shell(p.b.node(),
          "echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter; echo 1 > /proc/sys/net/ipv4/conf/eth0/rp_filter");
    p.b.node().ip("link set flannel.1 down");
    CHECK(p.b.logs("a strict rp_filter (1) drops packets"));
  }

  TEST_CASE(
      "compat 9.30: the backend changes, agents restarted one by one: nothing of the one before is left") {
    REQUIRE_MEANS(cluster_means());
    Pair p(kVxlan);
    p.start();
    REQUIRE(p.a.joined(1));
    REQUIRE(p.b.joined(1));
    p.pod_a = p.a.add_pod();
    p.pod_b = p.b.add_pod();
    REQUIRE(p.ping_both_ways());
    const auto restart = [&](Machine& machine) {
      CHECK(machine.stop() == 0);
      machine.start();
      REQUIRE_MESSAGE(machine.logs("ready"), machine.log());
    };
    const auto vxlan = [](const Machine& m) {
      return count_lines(m.node().ip("route show")) >= 2 && contains(m.routes(), "onlink");
    };
    p.etcd.configure(kHostGw);
    restart(p.a);
    CHECK_FALSE(contains(p.a.node().ip("link show"), "flannel"));  // compat 3.6: alone of its kind
    CHECK(traces(p.a).empty());
    restart(p.b);
    REQUIRE_MESSAGE(joined(p.a, 1), p.a.log());
    REQUIRE_MESSAGE(joined(p.b, 1), p.b.log());
    CHECK(count_lines(traces(p.a)) == 2);  // route and object
    CHECK(p.ping_both_ways());

    p.etcd.configure(kDirect);
    restart(p.a);
    restart(p.b);
    REQUIRE(wait_until(10s, [&] { return count_lines(direct_routes(p.a)) == 1 && p.ping_both_ways(); }));
    CHECK(p.a.neighbours().empty());

    p.etcd.configure(kVxlan);
    restart(p.a);
    REQUIRE(wait_until(5s, [&] { return vxlan(p.a) && direct_routes(p.a).empty(); }));
    CHECK(p.ping_both_ways());  // compat 3.6: with and without DirectRouting all reach all
    restart(p.b);
    REQUIRE(wait_until(5s, [&] { return vxlan(p.b) && direct_routes(p.b).empty(); }));
    CHECK(p.ping_both_ways());
    CHECK(count_lines(traces(p.a)) == 4);  // route, device, object, neighbour
  }
}
