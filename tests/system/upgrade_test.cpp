// SPDX-License-Identifier: Apache-2.0
// Another program in the place of the one that ran, without a packet lost: a newer one, the same after a
// crash, ours after flanneld, flanneld after ours.
#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/pings.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

TEST_SUITE("system/upgrade") {
  TEST_CASE(
      "the program is stopped, replaced by another file and started: no packet is lost, all is as it was") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    const TempDir files;
    const std::string installed = files.file("flannelette");
    const char* earlier = std::getenv("FLANNELETTE_BEFORE");
    must_run({.args = {"cp", earlier != nullptr ? earlier : binary(), installed}});
    Machine a(etcd, 1), b(etcd, 2);
    a.start({"--ip-masq"}, installed);
    b.start({"--ip-masq"});
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE_MESSAGE(b.joined(1), b.log());
    const Pinging pinging(a, b);
    const std::string before = overlay_of(a);
    for (int i = 0; i < 20; ++i) {
      CHECK(a.stop() == 0);
      CHECK(overlay_of(a) == before);
      must_run({.args = {"cp", binary(), installed + ".new"}});
      must_run({.args = {"mv", installed + ".new", installed}});
      a.start({"--ip-masq"}, installed);
      REQUIRE_MESSAGE(a.logs("ready"), a.log());
      CHECK(overlay_of(a) == before);
    }
  }

  TEST_CASE("killed at any time and started: no packet is lost, all is as it was") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1), b(etcd, 2);
    a.start({"--ip-masq"});
    b.start({"--ip-masq"});
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE_MESSAGE(b.joined(1), b.log());
    const Pinging pinging(a, b);
    REQUIRE(a.logs("ready"));
    const std::string before = overlay_of(a);
    for (int i = 0; i < 30; ++i) {
      const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(5 * i);
      CHECK(wait_until(1s, [&] { return std::chrono::steady_clock::now() > until; }));
      a.agent().signal(SIGKILL);
      a.agent().wait(5s);
      a.start({"--ip-masq"});
    }
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK(overlay_of(a) == before);
  }
}

/// A real flanneld is no package of Debian's: this runs with the suite that needs real programs by hand.
TEST_SUITE("kube") {
  TEST_CASE("ours takes over from a flanneld that was stopped, and hands back: no packet is lost") {
    REQUIRE_MEANS(cluster_means(), flanneld_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    etcd.put(kSubnetKeys + "10.64.101.0-24", peer_value("172.30.0.101", "02:00:00:00:01:01"));
    Machine a(etcd, 1), b(etcd, 2);
    const std::vector<std::string> options = {"--iface=eth0", "--ip-masq"};
    a.start(options, flanneld());
    REQUIRE_MESSAGE(a.joined(1), a.log());
    b.start(options, flanneld());
    REQUIRE_MESSAGE(a.joined(2), a.log());
    REQUIRE_MESSAGE(b.joined(2), b.log());
    const std::string subnet = a.subnet(), mac = a.device("link/ether"), index = index_of(a);
    const auto same = [&] {
      CHECK(index_of(a) == index);
      CHECK(a.device("link/ether") == mac);
      CHECK(a.device("dev") == "eth0");  // flanneld's, bound to its NIC
      CHECK(a.subnet() == subnet);
      CHECK(count_lines(a.routes()) == 2);
      CHECK(count_lines(a.neighbours()) == 2);
      CHECK(count_lines(a.fdb()) == 2);
    };
    const Pinging pinging(a, b);
    const std::string of_flanneld = overlay_of(a);
    a.stop();
    a.start(options);
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    same();
    CHECK_FALSE(contains(a.log(), "recreating"));
    // A peer that comes and one that goes are ours to follow.
    etcd.put(kSubnetKeys + "10.64.102.0-24", peer_value("172.30.0.102", "02:00:00:00:01:02"));
    CHECK(wait_until(5s, [&] { return contains(a.routes(), "10.64.102.0/24 nhid"); }));
    etcd.ctl({"del", kSubnetKeys + "10.64.101.0-24"});
    etcd.put(kSubnetKeys + "10.64.101.0-24", peer_value("172.30.0.101", "02:00:00:00:01:01"));
    etcd.ctl({"del", kSubnetKeys + "10.64.102.0-24"});
    CHECK(wait_until(5s, [&] { return contains(a.routes(), "10.64.101.0/24 nhid"); }));
    CHECK(a.stop() == 0);

    // Back, as README.md has it.
    a.start(options, flanneld());
    REQUIRE_MESSAGE(a.logs("flannel is ready"), a.log());
    CHECK(wait_until(5s, [&] { return count_of(a.log(), "Received Subnet Event") == 2; }));
    must_run(a.command({binary(), "cleanup", "--for-flanneld"}));
    same();
    CHECK(wait_until(5s, [&] { return overlay_of(a) == of_flanneld; }));
    CHECK(overlay_of(a) == of_flanneld);
  }
}
