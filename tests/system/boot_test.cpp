// SPDX-License-Identifier: Apache-2.0
// A node that starts while etcd is away.
#include <doctest/doctest.h>

#include <csignal>
#include <filesystem>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/cluster.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

/// What a power cut leaves: the disk.
void lose_power(Machine& machine) {
  machine.agent().signal(SIGKILL);
  machine.agent().wait(5s);
  machine.node().ip("link delete flannel.1");
  shell(machine.node(), "nft flush ruleset");
  std::filesystem::remove(machine.subnet_file());
}

}  // namespace

TEST_SUITE("system/boot") {
  TEST_CASE(
      "etcd is down at boot: after a reboot pods reach each other within 3 seconds, and all is verified "
      "later") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1), b(etcd, 2);
    a.start({"--ip-masq"});
    b.start({"--ip-masq"});
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE_MESSAGE(b.joined(1), b.log());
    a.add_pod();
    b.add_pod();
    const std::string pod_b = host_in(b.subnet(), 2);
    REQUIRE(wait_until(5s, [&] { return pings(a.pod(), pod_b); }));
    const std::string subnet = a.subnet(), mac = a.device("link/ether"), routes = a.routes();
    REQUIRE(wait_until(10s, [&] { return !file_text(a.state_dir() + "/peers").empty(); }));

    etcd.stop();
    lose_power(a);
    REQUIRE_FALSE(pings(a.pod(), pod_b));
    a.start({"--ip-masq"});
    CHECK_MESSAGE(wait_until(3s, [&] { return pings(a.pod(), pod_b); }), a.log());
    CHECK(a.subnet() == subnet);
    CHECK(a.device("link/ether") == mac);
    CHECK(a.routes() == routes);
    CHECK(contains(shell(a.node(), "nft list table ip flannelette"), "masquerade"));
    CHECK(a.logs("degraded"));

    // While a is degraded b goes and a new node comes; both are known when etcd is back.
    etcd.start();
    CHECK(a.logs("no longer degraded"));
    CHECK(a.subnet() == subnet);
    Machine c(etcd, 3);
    c.start();
    REQUIRE_MESSAGE(c.joined(2), c.log());
    CHECK(a.joined(2));
    CHECK(pings(a.pod(), pod_b));
  }

  TEST_CASE("a peer that went while a node slept is taken out once etcd is heard again") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    etcd.put(kSubnetKeys + "10.64.101.0-24", peer_value("172.30.0.101", "02:00:00:00:01:01"));
    etcd.put(kSubnetKeys + "10.64.102.0-24", peer_value("172.30.0.102", "02:00:00:00:01:02"));
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(2), a.log());
    REQUIRE(wait_until(10s, [&] { return !file_text(a.state_dir() + "/peers").empty(); }));
    etcd.ctl({"del", kSubnetKeys + "10.64.101.0-24"});
    lose_power(a);
    etcd.stop();
    a.start();
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK(contains(a.routes(), "10.64.102.0/24"));  // the other one, too, if that was all it had time to keep
    etcd.start();
    REQUIRE(a.logs("no longer degraded"));
    CHECK(wait_until(5s, [&] { return count_lines(a.routes()) == 1; }));
    CHECK(contains(a.routes(), "10.64.102.0/24"));
  }

  TEST_CASE("without state files a node waits for etcd, says so once, and joins by itself") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    etcd.stop();
    Machine a(etcd, 1);
    a.start();
    REQUIRE(a.logs("registry request failed"));
    CHECK(wait_until(5s, [&] { return count_of(a.log(), "registry request failed") >= 1; }));
    CHECK(a.subnet().empty());
    etcd.start();
    CHECK_MESSAGE(a.joined(0), a.log());
    CHECK_FALSE(contains(a.log(), "degraded"));
  }
}
