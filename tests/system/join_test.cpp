// SPDX-License-Identifier: Apache-2.0
// The main job on real packets: nodes join, pods reach each other, and what stands in kernel and registry is
// what flanneld would put.
#include <doctest/doctest.h>

#include <csignal>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/cluster.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

TEST_SUITE("system/join") {
  TEST_CASE("three nodes join, and every pod reaches every other") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1), b(etcd, 2), c(etcd, 3);
    Machine* all[] = {&a, &b, &c};
    for (Machine* m : all) m->start();
    for (Machine* m : all) REQUIRE_MESSAGE(m->joined(2), m->log());
    for (Machine* m : all) m->add_pod();
    for (Machine* from : all) {
      for (Machine* to : all) {
        if (from != to)
          CHECK_MESSAGE(pings(from->pod(), host_in(to->subnet(), 2)), from->address(), " -> ", to->address());
      }
    }
    CHECK(etcd.leases().size() == 3);
  }

  TEST_CASE("the device, the entries of a peer and the record are as flanneld makes them") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1), b(etcd, 2);
    const std::string links_before = b.node().ip("-o link show");
    a.start();
    REQUIRE_MESSAGE(a.joined(0), a.log());
    b.start();
    REQUIRE_MESSAGE(b.joined(1), b.log());
    REQUIRE_MESSAGE(a.joined(1), a.log());

    CHECK(b.device("id") == "1");
    CHECK(b.device("local") == "172.30.0.12");
    CHECK(b.device("dstport") == "8472");
    CHECK(b.device("mtu") == "1450");
    const std::string link = b.node().ip("-d link show flannel.1");
    CHECK_MESSAGE(link.find("nolearning") != std::string::npos, link);
    CHECK_MESSAGE(link.find(" dev eth0") == std::string::npos, link);  // not bound: it outlives its NIC
    CHECK(b.node().ip("-4 -o addr show dev flannel.1").find(host_in(b.subnet(), 0) + "/32") !=
          std::string::npos);

    const std::string base = host_in(a.subnet(), 0);
    const std::string mac = a.device("link/ether");
    CHECK(b.routes().rfind(a.subnet() + " nhid ", 0) == 0);  // the one thing that is ours alone
    CHECK(contains(b.routes(), " via " + base + " "));
    CHECK(b.routes().find("onlink") != std::string::npos);
    CHECK(count_lines(b.routes()) == 1);
    CHECK(b.neighbours().find(base + " lladdr " + mac + " PERMANENT") != std::string::npos);
    CHECK(count_lines(b.neighbours()) == 1);
    CHECK(b.fdb().find(mac + " dst 172.30.0.11 self permanent") != std::string::npos);
    CHECK(count_lines(b.fdb()) == 1);

    CHECK(etcd.lease(lease_name(a.subnet())) == peer_value("172.30.0.11", mac));
    CHECK(b.node().ip("-o link show type vxlan").find("flannel.1") != std::string::npos);
    CHECK(count_lines(b.node().ip("-o link show")) == count_lines(links_before) + 1);
  }

  TEST_CASE("a node that leaves is taken out everywhere, one that changes is followed") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(0), a.log());
    const std::string key = kSubnetKeys + "10.64.200.0-24";
    etcd.put(key, peer_value("172.30.0.90", "02:00:00:00:00:01"));
    REQUIRE_MESSAGE(a.joined(1), a.log());
    etcd.put(key, peer_value("172.30.0.91", "02:00:00:00:00:02"));
    CHECK(wait_until(5s, [&] { return a.fdb() == "02:00:00:00:00:02 dst 172.30.0.91 self permanent\n"; }));
    CHECK(a.neighbours().find("02:00:00:00:00:02") != std::string::npos);
    etcd.ctl({"del", key});
    CHECK(wait_until(5s, [&] { return a.routes().empty() && a.neighbours().empty() && a.fdb().empty(); }));
  }

  TEST_CASE("SIGTERM ends the agent with 0 within a second and leaves the data plane up") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1), b(etcd, 2);
    a.start();
    b.start();
    REQUIRE(a.joined(1));
    REQUIRE(b.joined(1));
    a.add_pod();
    b.add_pod();
    const std::string before = a.routes() + a.neighbours() + a.fdb() + a.node().ip("link show flannel.1");
    a.agent().signal(SIGTERM);
    CHECK(a.agent().wait(1s) == 0);
    CHECK(a.routes() + a.neighbours() + a.fdb() + a.node().ip("link show flannel.1") == before);
    CHECK(pings(a.pod(), host_in(b.subnet(), 2)));
    CHECK(etcd.leases().size() == 2);
  }
}
