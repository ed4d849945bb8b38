// SPDX-License-Identifier: Apache-2.0
// VXLAN from peers only: whose address is in the set, through all that happens to it.
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

using overlay::Change;
using overlay::Entry;

constexpr Ip4 kComplete{};
constexpr Ip4 kStranger{0xc0000263};  // 192.0.2.99

/// A node that accepts VXLAN from peers only, with two of them, at rest.
struct Guarded {
  World world;
  SimNode& node = world.add(1);
  explicit Guarded(bool guards = true) {
    node.settings.vxlan_peers_only = guards;
    node.start();
    for (const unsigned third : {40u, 41u}) world.put_peer(third);
    REQUIRE(world.run_until([&] { return node.routes() == 2; }));
    world.advance(2'000);
    node.kernel.forget();
  }
  static std::set<Ip4> of(std::initializer_list<unsigned> peers) {
    std::set<Ip4> all{kComplete};
    for (const unsigned third : peers) all.insert(World::peer_ip(third));
    return all;
  }
  bool right() const { return node.kernel.senders == of({40, 41}); }
  /// Again within 30 ms, by so many requests, and nothing is written after that.
  void check_repaired(std::size_t changes) {
    CHECK_FALSE(right());
    CHECK(world.run_until([&] { return right(); }, 30));
    world.advance(2'000);
    CHECK(node.kernel.changes.size() == changes);
    node.kernel.forget();
    world.advance(60'000);
    CHECK(node.kernel.writes == 0);
  }
};

}  // namespace

TEST_SUITE("agent/peers only") {
  TEST_CASE("by default there is neither rule nor set") {
    Guarded g(false);
    CHECK(g.node.kernel.senders.empty());
    CHECK_FALSE(g.node.kernel.rules);
  }

  TEST_CASE(
      "who joins is in the set before its route, who leaves after it; a new address takes the old one's "
      "place") {
    Guarded g;
    CHECK(g.node.kernel.rules->peers_only == 8472);
    CHECK(g.right());
    const auto place = [&](Change::Op op, Entry::Kind kind) {
      for (std::size_t i = 0; i < g.node.kernel.changes.size(); ++i) {
        const Change& change = g.node.kernel.changes[i];
        if (change.op == op && change.entry.kind == kind) return static_cast<int>(i);
      }
      return -1;
    };
    g.world.put_peer(42);
    g.world.advance(100);
    CHECK(g.node.kernel.senders == g.of({40, 41, 42}));
    CHECK(place(Change::Op::kPut, Entry::Kind::kSender) == 0);
    g.node.kernel.forget();
    g.world.put_peer(42, 43);
    g.world.advance(100);
    CHECK(g.node.kernel.senders == g.of({40, 41, 43}));
    g.node.kernel.forget();
    g.world.remove_peer(42);
    g.world.advance(100);
    CHECK(g.right());
    CHECK(place(Change::Op::kRemove, Entry::Kind::kSender) > place(Change::Op::kRemove, Entry::Kind::kRoute));
    CHECK(place(Change::Op::kRemove, Entry::Kind::kRoute) >= 0);
  }

  TEST_CASE("a record that loses a conflict is not in the set, and enters it when it wins") {
    Guarded g;
    g.world.put("subnets/10.5.40.0-25",
                World::peer_value(44));  // overlaps, and is not of the network's length
    g.world.advance(100);
    CHECK(g.right());
    g.world.remove_peer(40);
    g.world.advance(100);
    CHECK(g.node.kernel.senders == g.of({41, 44}));
  }

  TEST_CASE("a restart finds the set as it is and writes nothing; who left meanwhile goes, who came enters") {
    Guarded g;
    g.node.restart();
    g.world.advance(2'000);
    CHECK(g.node.running());
    CHECK(g.node.kernel.writes == 0);
    CHECK(g.right());
    g.node.stop();
    g.world.remove_peer(40);
    g.world.put_peer(42);
    g.world.advance(1'000);
    g.node.start();
    g.world.advance(2'000);
    CHECK(g.node.kernel.senders == g.of({41, 42}));
  }

  TEST_CASE(
      "an address that another program takes out, or puts in, or the mark of completeness: repaired alone") {
    Guarded g;
    auto& senders = g.node.kernel.senders;
    senders.erase(World::peer_ip(41));
    g.node.kernel.touched(Entry::sender(World::peer_ip(41)), false);
    g.check_repaired(1);
    CHECK(g.node.log.has("it is repaired entry=sender address=172.31.0.41"));
    senders.insert(kStranger);
    g.node.kernel.touched(Entry::sender(kStranger), true);
    g.check_repaired(1);
    senders.erase(kComplete);
    g.node.kernel.touched(Entry::sender(kComplete), false);
    g.check_repaired(1);
    CHECK(g.node.kernel.dumps == 0);
  }

  TEST_CASE("an address taken out again and again: put in ten times, then once a minute, and named") {
    Guarded g;
    int out = 0;
    for (int i = 0; i < 600; ++i) {
      g.node.kernel.senders.erase(World::peer_ip(41));
      g.node.kernel.touched(Entry::sender(World::peer_ip(41)), false);
      g.world.advance(500);
      out += !g.right();
    }
    CHECK(out > 570);
    CHECK(out < 590);
    CHECK(g.node.log.count("another program keeps changing an entry of the overlay") == 1);
  }

  TEST_CASE("our rules are taken away, and the set with them: it is filled again, and complete at last") {
    Guarded g;
    g.node.kernel.rules.reset();
    g.node.kernel.senders.clear();
    g.node.kernel.rules_changed("nft", 4712);
    g.check_repaired(3);
  }

  TEST_CASE("the audit finds what nobody told of") {
    Guarded g;
    g.node.kernel.senders = {World::peer_ip(40), kStranger};
    g.world.advance(6 * 60'000);
    CHECK(g.right());
  }

  TEST_CASE("rules cannot be made: one error, and the peers are there all the same") {
    World world;
    SimNode& node = world.add(1);
    node.settings.vxlan_peers_only = true;
    node.kernel.fail(FakeKernel::Call::kApplyRules, Error{Code::kUnsupported, 0, "no nf_tables"}, -1);
    world.put_peer(40);
    node.start();
    REQUIRE(world.run_until([&] { return node.routes() == 1; }));
    world.advance(30 * 60'000);
    CHECK(node.log.count("cannot install the traffic rules") == 1);
    CHECK(node.kernel.senders.empty());
    node.kernel.heal();
    world.advance(2 * 60'000);
    CHECK(node.kernel.senders == Guarded::of({40}));
  }

  TEST_CASE("switched off at a restart: the rule goes with its set") {
    Guarded g;
    g.node.stop();
    g.node.settings.vxlan_peers_only = false;
    g.node.start();
    g.world.advance(2'000);
    CHECK_FALSE(g.node.kernel.rules);
    CHECK(g.node.kernel.senders.empty());
  }

  TEST_CASE(
      "DirectRouting: peers on link are in the set, too, since either end may change first; host-gw has "
      "none") {
    for (const bool vxlan : {true, false}) {
      World world(vxlan ? R"({"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","DirectRouting":true}})"
                        : R"({"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}})");
      SimNode& node = world.add(1);
      SimNode& other = world.add(2);
      node.settings.vxlan_peers_only = true;
      node.start();
      other.start();
      REQUIRE(world.run_until([&] { return node.running() && other.running(); }));
      world.advance(2'000);
      CHECK(node.kernel.routes.count({other.subnet(), 0}) == 1);
      CHECK(node.kernel.senders == (vxlan ? std::set<Ip4>{kComplete, other.address} : std::set<Ip4>{}));
      CHECK(node.kernel.fdb.empty());
    }
  }
}
