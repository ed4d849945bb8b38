// SPDX-License-Identifier: Apache-2.0
// Damages of all kinds at random, several at once, with the agent killed at times. After each the node is as
// it was; in the end nothing else was touched.
//
//   FLANNELETTE_CHAOS       how many rounds (30; .ci/run 100, make soak 1,000)
//   FLANNELETTE_TEST_SEED   repeats a run
#include <csignal>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <iterator>

#include "support/means.hpp"
#include "support/rng.hpp"
#include "system/damage.hpp"
#include "system/pings.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

/// What two programs do to one thing, or to many, more than ten times a minute is a fight, which the agent
/// leaves alone for a while.
enum class Of { kPeer, kAll, kRules };
struct Damage {
  Of of;
  const char* command;
};
const Damage kDamages[] = {
    {Of::kPeer, "ip route delete PEER/24"},
    {Of::kPeer, "ip route replace PEER/24 via 10.64.200.0 dev flannel.1 onlink"},
    {Of::kPeer, "ip route append PEER/24 via 10.64.200.0 dev flannel.1 onlink metric 7"},
    {Of::kPeer, "ip route replace PEER/24 via PEER dev flannel.1 onlink mtu 1000"},
    {Of::kPeer, "ip route prepend PEER/24 via PEER dev flannel.1 onlink src 172.30.0.11"},
    {Of::kPeer, "ip route replace PEER/24 via PEER dev flannel.1 onlink tos 0x10"},
    {Of::kPeer, "ip neigh delete PEER dev flannel.1"},
    {Of::kPeer, "ip neigh replace PEER lladdr 02:aa:00:00:00:01 dev flannel.1 nud permanent"},
    {Of::kPeer, "ip neigh replace PEER lladdr MAC dev flannel.1 nud stale"},
    {Of::kPeer, "bridge fdb delete MAC dev flannel.1 dst REMOTE"},
    {Of::kPeer, "bridge fdb replace MAC dev flannel.1 dst 172.30.0.250 self permanent"},
    {Of::kPeer, "bridge fdb replace MAC dev flannel.1 dst REMOTE port 4789 self permanent"},
    {Of::kPeer, "bridge fdb append STRANGER dev flannel.1 dst 172.30.0.250 vni 7 self permanent"},
    {Of::kPeer, "ip nexthop delete id ID"},
    {Of::kPeer, "ip nexthop replace id ID via 10.64.201.0 dev flannel.1 onlink"},
    {Of::kPeer, "ip neigh replace STRAY lladdr 02:aa:00:00:00:02 dev flannel.1 nud permanent"},
    {Of::kPeer, "bridge fdb replace STRANGER dev flannel.1 dst 172.30.0.251 self permanent"},
    {Of::kPeer, "ip route replace ELSEWHERE via 10.64.200.0 dev flannel.1 onlink"},
    {Of::kAll, "for p in $(ip route show dev flannel.1 | cut -d' ' -f1); do ip route delete $p; done"},
    {Of::kAll, "ip neigh flush dev flannel.1 nud permanent"},
    {Of::kAll, "ip nexthop flush dev flannel.1"},
    {Of::kAll, "ip address flush dev flannel.1"},
    {Of::kAll, "ip link set flannel.1 down"},
    {Of::kAll, "ip link set flannel.1 down; ip link set flannel.1 up"},
    {Of::kAll, "ip link set flannel.1 address 02:aa:00:00:00:04"},
    {Of::kAll, "ip link set flannel.1 mtu 1300"},
    {Of::kAll, "ip link delete flannel.1"},
    {Of::kAll, "ip link set flannel.1 name flannel9"},
    {Of::kAll, "ip link set flannel.1 type vxlan id 1 local 172.30.0.99"},
    {Of::kAll, "ip address add 10.64.222.9/16 dev flannel.1"},
    {Of::kRules, "nft delete table ip flannelette"},
    {Of::kRules, "nft flush table ip flannelette"},
    {Of::kRules, "nft flush chain ip flannelette postrouting"},
};
constexpr std::size_t kMostPerMinute = 6;

int chaos_rounds() {
  const char* text = std::getenv("FLANNELETTE_CHAOS");
  return text != nullptr ? std::atoi(text) : 30;
}

/// What the overlay is, but for what a new device has anew: its index.
std::string state_of(const DamagedNode& n) {
  return n.on(
             "ip -d -o link show flannel.1 | sed 's/^[0-9]*//; s/ qlen.*//'; ip -4 -o address show dev "
             "flannel.1 | sed "
             "'s/^[0-9]*//'; ip route show dev flannel.1 | sort; ip neigh show dev flannel.1 nud permanent | "
             "sort; "
             "bridge fdb show dev flannel.1 | sort; ip nexthop show | sort; nft list table ip flannelette | "
             "sed 's/ counter packets.* bytes [0-9]*//'") +
         file_text(n.a.subnet_file());
}

constexpr const char* kRulesWithHandles =
    "nft -a list table ip flannelette | sed 's/ counter packets.* bytes [0-9]*//'";

/// All that is not the overlay.
std::string others(const DamagedNode& n) {
  return n.on(
      "ip -o link show | grep -v flannel | sed 's/ qlen.*//'; ip -o address show | grep -v flannel | sed "
      "'s/valid.*//'; "
      "ip route show table all | grep -v flannel | grep -v 'dev lo' | sort; ip rule show; "
      "ip neigh show nud permanent | grep -v flannel; nft list tables | grep -v flannelette; nft list table "
      "ip busy; "
      "sysctl -a 2>/dev/null | grep '^net\\.ipv[46]\\.\\(conf\\|neigh\\|ip_\\|route\\)' | grep -v flannel");
}

std::ptrdiff_t descriptors(DamagedNode& n) {
  const std::filesystem::directory_iterator all("/proc/" + std::to_string(n.a.agent().pid()) + "/fd");
  return std::distance(begin(all), end(all));
}

struct Budget {
  std::deque<steady_clock::time_point> used;
  bool take() {
    const auto now = steady_clock::now();
    while (!used.empty() && now - used.front() > 61s) used.pop_front();
    if (used.size() >= kMostPerMinute) return false;
    used.push_back(now);
    return true;
  }
};

}  // namespace

TEST_SUITE("system/chaos") {
  TEST_CASE("damages at random: after each round all is as it was, and nothing else was ever touched") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"), means::program("bridge"));
    Rng rng;
    DamagedNode n;
    if (!n.has_objects()) return;
    n.on("nft 'table ip busy { chain c { type filter hook forward priority 5; accept; }; }'");
    n.on(
        "ip route add 10.98.0.0/16 via 172.30.0.1; ip neigh add 172.30.0.77 lladdr 02:bb:00:00:00:01 dev "
        "eth0 nud "
        "permanent; ip rule add from 10.97.0.0/16 table 97; ip link add pod9 type bridge; ip link set pod9 "
        "up");
    REQUIRE(wait_until(10s, [&] { return !contains(n.on("ip -6 address"), "tentative"); }));
    const std::string whole = state_of(n), rest = others(n);
    const std::ptrdiff_t open_before = descriptors(n);
    Budget all, rules;
    int killed = 0;
    for (int round = 0; round < chaos_rounds(); ++round) {
      std::string made;
      const bool kill = rng.one_in(10);
      const std::uint64_t count = 1 + rng.below(4);
      for (std::uint64_t i = 0; i < count; ++i) {
        const Damage& damage = kDamages[rng.below(std::size(kDamages))];
        if (damage.of == Of::kAll && !all.take()) continue;
        if (damage.of == Of::kRules && !rules.take()) continue;
        const int peer = DamagedNode::kFirst + static_cast<int>(rng.below(DamagedNode::kPeers));
        const std::string command = DamagedNode::of_peer(damage.command, peer);
        if (kill && i == count / 2) {
          n.a.agent().signal(SIGKILL);
          n.a.agent().wait(5s);
          ++killed;
        }
        made += command + "\n";
        n.on("{ " + command + "; } 2>/dev/null || true");  // what it is about may be gone already
      }
      if (!n.a.running()) n.start_a();
      CAPTURE(round);
      CAPTURE(made);
      const auto started = steady_clock::now();
      std::string now;
      const bool repaired = wait_until(10s, [&] {
        try {
          now = state_of(n);
        } catch (const std::runtime_error& error) {
          now = error.what();
        }
        return now == whole;
      });
      REQUIRE_MESSAGE(repaired, "is:\n", now, "\nwas:\n", whole, n.a.log());
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - started);
      if (took > 2s) MESSAGE(round, ": ", took.count(), " ms after ", made);
    }
    CHECK(descriptors(n) <= open_before + 1);  // the connection for requests may be there, or not
    // Once more from the start: nothing is written.
    CHECK(n.a.stop() == 0);
    const std::string rules_before = n.on(kRulesWithHandles);
    Process monitor(
        {.args = {"ip", "monitor", "link", "address", "route", "nexthop", "neigh", "dev", "flannel.1"},
         .netns = n.a.node().name()});
    n.start_a();
    REQUIRE(n.a.logs("ready"));
    CHECK(wait_until(2s, [&] { return state_of(n) == whole; }));
    CHECK(n.on(kRulesWithHandles) == rules_before);
    CHECK_MESSAGE(monitor.output().empty(), monitor.output());
    n.on("ip neigh delete 10.64.101.0 dev flannel.1");
    CHECK(wait_until(2s, [&] { return !monitor.output().empty(); }));  // it does listen
    CHECK(wait_until(2s, [&] { return state_of(n) == whole; }));
    CHECK(difference(rest, others(n)) == "");
    MESSAGE(chaos_rounds(), " rounds, the agent was killed ", killed, " times, ", count_lines(n.a.log()),
            " lines of log");
  }
}
