// SPDX-License-Identifier: Apache-2.0
// What other programs do to entries, addresses and rules of a node, one thing at a time: how soon it is as it
// was.
#include <algorithm>
#include <thread>
#include <vector>

#include "support/means.hpp"
#include "system/damage.hpp"
#include "system/pings.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr int kRounds = 20;

/// How long it takes until `show` prints what it did before the damage; each round has a peer of its own.
void check_repaired(DamagedNode& n, const std::string& damage, const std::string& show,
                    int rounds = kRounds) {
  CAPTURE(damage);
  std::vector<long> took;
  for (int round = 0; round < rounds; ++round) {
    const int peer = DamagedNode::kFirst + round % DamagedNode::kPeers;
    const std::string before = n.on(show);
    n.on(DamagedNode::of_peer(damage, peer));
    const auto started = steady_clock::now();
    long ms = 0;
    for (; n.on(show) != before && ms < 5'000; std::this_thread::sleep_for(2ms))
      ms = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - started).count();
    REQUIRE_MESSAGE(ms < 5'000, n.on(show), "\n", before, n.a.log());
    took.push_back(ms);
    std::this_thread::sleep_for(60ms);
  }
  std::sort(took.begin(), took.end());
  MESSAGE(damage, ": median ", took[took.size() / 2], " ms, longest ", took.back(), " ms");
}

constexpr const char* kRoutes = "ip route show dev flannel.1";
constexpr const char* kNeighbours = "ip neigh show dev flannel.1 nud permanent | sort";
constexpr const char* kFdb = "bridge fdb show dev flannel.1 | sort";
constexpr const char* kRules = "nft list table ip flannelette || true";

#define NEEDS REQUIRE_MEANS(cluster_means(), means::program("nft"), means::program("bridge"))

}  // namespace

TEST_SUITE("system/damage") {
  TEST_CASE("a route is deleted, or changed to another gateway") {
    NEEDS;
    DamagedNode n;
    check_repaired(n, "ip route delete PEER/24", kRoutes);
    check_repaired(n, "ip route replace PEER/24 via 10.64.200.0 dev flannel.1 onlink", kRoutes);
    for (const char* with : {"mtu 1000", "src 172.30.0.11", "tos 0x10", "metric 5"})
      check_repaired(n, std::string("ip route replace PEER/24 via PEER dev flannel.1 onlink ") + with,
                     kRoutes, 3);
  }

  TEST_CASE("a neighbour is deleted, changed, or no longer permanent") {
    NEEDS;
    DamagedNode n;
    check_repaired(n, "ip neigh delete PEER dev flannel.1", kNeighbours);
    check_repaired(n, "ip neigh replace PEER lladdr 02:aa:00:00:00:01 dev flannel.1 nud permanent",
                   kNeighbours);
  }

  TEST_CASE("an FDB entry is deleted, or leads elsewhere, or there is a stranger's") {
    NEEDS;
    DamagedNode n;
    check_repaired(n, "bridge fdb delete MAC dev flannel.1 dst REMOTE", kFdb);
    check_repaired(n, "bridge fdb replace MAC dev flannel.1 dst 172.30.0.250 self permanent", kFdb);
    check_repaired(n, "bridge fdb replace MAC dev flannel.1 dst REMOTE port 4789 self permanent", kFdb, 5);
    check_repaired(n, "bridge fdb add STRANGER dev flannel.1 dst REMOTE vni 7 self permanent", kFdb, 5);
  }

  TEST_CASE("a nexthop object is deleted, with its route, or changed") {
    NEEDS;
    DamagedNode n;
    if (!n.has_objects()) return;
    check_repaired(n, "ip nexthop delete id ID", kRoutes);
    check_repaired(n, "ip nexthop replace id ID via 10.64.201.0 dev flannel.1 onlink", "ip nexthop | sort");
  }

  TEST_CASE("the address of the device is deleted, or a second one of Network is added") {
    NEEDS;
    DamagedNode n;
    const std::string show = "ip -4 -o address show dev flannel.1; ip route show dev flannel.1";
    for (int i = 0; i < 3; ++i) {  // ten times a minute is a fight, which each start forgets
      check_repaired(n, "ip address flush dev flannel.1", show, 7);
      CHECK(n.a.stop() == 0);
      n.start_a();
      REQUIRE(n.a.logs("ready"));
    }
    check_repaired(n, "ip address add 10.64.222.1/32 dev flannel.1", show, 3);
  }

  TEST_CASE("our table is deleted, flushed, or changed in one rule, while another program changes its own") {
    NEEDS;
    DamagedNode n;
    n.on("nft add table ip busy");
    for (int i = 0; i < 10; ++i) n.on("nft add chain ip busy c" + std::to_string(i));
    check_repaired(n, "nft delete table ip flannelette", kRules, 3);
    check_repaired(n, "nft flush ruleset", kRules, 3);
    check_repaired(
        n,
        "nft delete rule ip flannelette postrouting handle $(nft -a list chain ip flannelette postrouting | "
        "sed -n 's/.*# handle //p' | tail -1)",
        kRules, 3);
    CHECK(n.a.logs("another program changed our traffic rules; they are restored"));
  }

  TEST_CASE("pings go on after each damage to the entries of a peer: at most ten of 10 ms are lost") {
    NEEDS;
    DamagedNode n;
    n.a.add_pod();
    const std::string pod_b = n.b.add_pod();
    REQUIRE(pings(n.a.pod(), pod_b));
    const std::string base = n.b.subnet().substr(0, n.b.subnet().find('/'));
    const std::string mac = n.on("ip neigh show " + base + " dev flannel.1 | awk '{ print $3 }'");
    const std::string b_mac = mac.substr(0, mac.find('\n'));
    for (const std::string& damage :
         {"ip route delete " + base + "/24", "ip neigh delete " + base + " dev flannel.1",
          "bridge fdb delete " + b_mac + " dev flannel.1 dst " + n.b.address(),
          "bridge fdb replace " + b_mac + " dev flannel.1 dst 172.30.0.250 self permanent",
          "ip neigh replace " + base + " lladdr 02:aa:00:00:00:01 dev flannel.1 nud permanent",
          std::string("for p in $(ip route show dev flannel.1 | cut -d' ' -f1); do ip route delete $p; done"),
          std::string("ip address flush dev flannel.1")}) {
      CAPTURE(damage);
      Pings there(n.a.pod(), pod_b);
      std::this_thread::sleep_for(200ms);
      n.on(damage);
      std::this_thread::sleep_for(500ms);
      const std::string told = there.end();
      MESSAGE(damage, ": ", told.substr(0, told.find('\n')));
      CHECK_MESSAGE(there.lost() <= 10, told, n.a.log());
    }
  }
}
