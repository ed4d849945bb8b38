// SPDX-License-Identifier: Apache-2.0
// What other programs do to single entries, to our rules and to sysctls, and how it is repaired.
#include "agent/repairs.hpp"
#include "agent/dataplane.hpp"
#include "agent/entry_sync.hpp"
#include "sim/resting_node.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

using overlay::Change;
using overlay::Entry;

Net4 net(const char* text) { return parse_net4(text).value(); }

struct Node : RestingNode {
  Node() : RestingNode({40, 41, 42}, 2'000), whole(node.entries()) { forget(); }
  void forget() { node.kernel.forget(); }
  int index() const { return node.device()->index; }
  Mac mac_of(unsigned third) { return node.kernel.neighbours.at({index(), subnet(third).base}).mac; }
  Entry route(unsigned third) const { return Entry::route(subnet(third), subnet(third).base); }

  // What another program does.
  void delete_neighbour(unsigned third) {
    const Mac mac = mac_of(third);
    node.kernel.neighbours.erase({index(), subnet(third).base});
    node.kernel.touched(Entry::neighbour(Net4{subnet(third).base, 32}, mac), false);
  }
  void put_fdb(unsigned third, Ip4 remote) {
    node.kernel.fdb[{index(), mac_of(third)}].remote = remote;
    node.kernel.touched(Entry::fdb(mac_of(third), remote), true);
  }
  void delete_fdb(unsigned third) {
    node.kernel.fdb.erase({index(), mac_of(third)});
    node.kernel.touched(Entry::fdb(mac_of(third), World::peer_ip(third)), false);
  }
  /// Repaired in 20 ms, by so many requests, without a list of all.
  void check_repaired(std::size_t writes) {
    CHECK(node.entries() != whole);
    REQUIRE(world.run_until([&] { return node.entries() == whole; }, 25));
    world.advance(3'000);
    CHECK(node.entries() == whole);
    CHECK(node.kernel.changes.size() == writes);
    CHECK(node.kernel.dumps == 0);
    forget();
  }
  const std::string whole;
};

}  // namespace

TEST_SUITE("agent/repairs") {
  TEST_CASE("a route that is deleted or changed is put again, alone") {
    Node n;
    n.delete_route(41);
    n.check_repaired(1);
    n.node.kernel.routes[{n.subnet(41), 0}].gateway = ip("10.5.99.0");
    n.node.kernel.touched(Entry::route(n.subnet(41), ip("10.5.99.0")), true);
    n.check_repaired(1);
    CHECK(n.node.log.count("another program changed an entry of the overlay; it is repaired") == 2);
  }

  TEST_CASE("a neighbour that is deleted or changed is put again, alone") {
    Node n;
    n.delete_neighbour(40);
    n.check_repaired(1);
    n.node.kernel.neighbours[{n.index(), n.subnet(40).base}] = {mac(0x77), true};
    n.node.kernel.touched(Entry::neighbour(Net4{n.subnet(40).base, 32}, mac(0x77)), true);
    n.check_repaired(1);
    Entry learnt = Entry::neighbour(Net4{n.subnet(40).base, 32}, n.mac_of(40));
    learnt.permanent = false;
    n.node.kernel.neighbours[{n.index(), n.subnet(40).base}].permanent = false;
    n.node.kernel.touched(learnt, true);
    n.world.advance(100);
    CHECK(n.node.kernel.neighbours[{n.index(), n.subnet(40).base}].permanent);
    CHECK(n.node.kernel.changes.size() == 1);
  }

  TEST_CASE("an FDB entry that is deleted, or gets another remote, port, VNI or link, is as it was") {
    Node n;
    n.delete_fdb(42);
    n.check_repaired(1);
    for (const Ip4 remote : {ip("192.0.2.9"), Ip4{}}) {
      n.put_fdb(42, remote);
      n.check_repaired(1);
    }
    n.node.kernel.fdb[{n.index(), n.mac_of(42)}].remote = Ip4{};  // without a word: the audit finds it
    n.world.advance(300'000);
    CHECK(n.node.entries() == n.whole);
  }

  TEST_CASE("what nobody wants on our device is removed; what the kernel learns itself stays") {
    Node n;
    n.node.kernel.routes[{net("10.9.0.0/16"), 0}] = {n.index(), ip("10.5.40.0"), true, 3};
    n.node.kernel.touched(Entry::route(net("10.9.0.0/16"), ip("10.5.40.0")), true);
    n.check_repaired(1);
    n.node.kernel.neighbours[{n.index(), ip("10.5.200.0")}] = {mac(0x88), true};
    n.node.kernel.touched(Entry::neighbour(Net4{ip("10.5.200.0"), 32}, mac(0x88)), true);
    n.check_repaired(1);
    for (const Ip4 remote : {ip("192.0.2.9"), Ip4{}}) {
      n.node.kernel.fdb[{n.index(), mac(0x8a)}] = {remote};
      n.node.kernel.touched(Entry::fdb(mac(0x8a), remote), true);
      n.check_repaired(1);
    }
    Entry learnt = Entry::neighbour(Net4{ip("10.5.201.0"), 32}, mac(0x89));
    learnt.permanent = false;
    n.node.kernel.neighbours[{n.index(), ip("10.5.201.0")}] = {mac(0x89), false};
    n.node.kernel.touched(learnt, true);
    n.world.advance(3'000);
    CHECK(n.node.kernel.writes == 0);
  }

  TEST_CASE("a nexthop object that goes takes its route along without a word: both are put again") {
    Node n;
    n.node.kernel.routes.erase({n.subnet(41), 0});
    n.node.kernel.touched(Entry::nexthop(Net4{n.subnet(41).base, 32}, n.subnet(41).base), false);
    n.check_repaired(1);
  }

  TEST_CASE("several entries at once are repaired in one batch; what is told of twice is put once") {
    Node n;
    n.delete_route(40);
    n.delete_route(41);
    n.delete_neighbour(41);
    n.node.kernel.touched(Entry::neighbour(Net4{n.subnet(41).base, 32}, Mac{}), false);
    n.check_repaired(3);
  }

  TEST_CASE("a change that is as wanted, or undone in time, needs nothing") {
    Node n;
    n.node.kernel.touched(n.route(40), true);
    n.node.kernel.touched(n.route(40), false);
    n.node.kernel.touched(n.route(40), true);
    n.node.kernel.touched(Entry::route(net("10.5.77.0/24"), ip("10.5.77.0")), false);
    n.world.advance(3'000);
    CHECK(n.node.kernel.writes == 0);
    CHECK(n.node.kernel.dumps == 0);
    CHECK(n.node.entries() == n.whole);
  }

  TEST_CASE("a peer that leaves while an entry of it is repaired leaves nothing behind") {
    Node n;
    n.delete_fdb(41);
    n.world.remove_peer(41);
    REQUIRE(n.world.run_until([&] { return n.node.routes() == 2; }));
    n.world.advance(2'000);
    CHECK(n.node.entries().find("10.5.41.0") == std::string::npos);
  }

  TEST_CASE(
      "what goes with the device's MAC is nobody's work: repaired with the device, and nobody is named") {
    Node n;
    for (int i = 0; i < 8; ++i) {
      const Mac mac = n.mac_of(40);
      n.node.kernel.set_mac(n.index(), Mac{{2, 9, 9, 9, 9, static_cast<std::uint8_t>(i)}});
      n.node.kernel.touched(Entry::neighbour(Net4{n.subnet(40).base, 32}, mac), false);
      REQUIRE(n.world.run_until([&] { return n.node.entries() == n.whole; }, 150));
      n.world.advance(30);
      n.node.kernel.touched(Entry::neighbour(Net4{n.subnet(41).base, 32}, Mac{}), false);  // told of late
      n.world.advance(1'000);
    }
    CHECK(n.node.log.count("another program changed an entry") == 0);
    CHECK(n.node.log.count("other programs") == 0);
    n.forget();
    n.delete_neighbour(40);
    n.check_repaired(1);
  }

  TEST_CASE("an FDB entry goes with no change of a link: that is another program's work, and counts") {
    Node n;
    n.delete_fdb(42);
    n.node.kernel.changed();
    REQUIRE(n.world.run_until([&] { return n.node.entries() == n.whole; }, 60));
    CHECK(n.node.log.count("other programs changed entries of the overlay; they are repaired entries=1") ==
          1);
    n.world.advance(3'000);
    n.forget();
    const auto fdb = n.node.kernel.fdb;
    n.node.kernel.remove_link(n.index());
    for (const auto& [key, entry] : fdb)
      n.node.kernel.touched(Entry::fdb(key.second, entry.remote), false);  // with the device they go
    REQUIRE(n.world.run_until([&] { return n.node.entries() == n.whole; }, 150));
    CHECK(n.node.log.count("other programs changed entries") == 1);
    CHECK(n.node.log.count("another program changed an entry") == 0);
  }

  TEST_CASE("more entries than are told of singly: one audit, and at most one a second") {
    Node n;
    for (int round = 0; round < 30; ++round) {  // three seconds of it
      for (int i = 0; i < 20; ++i) n.delete_route(40);
      n.world.advance(100);
    }
    n.world.advance(1'000);
    CHECK(n.node.entries() == n.whole);
    CHECK(n.node.kernel.dumps >= 3);
    CHECK(n.node.kernel.dumps <= 5);
    n.forget();
    n.world.advance(60'000);
    CHECK(n.node.kernel.dumps == 0);
    CHECK(n.node.kernel.writes == 0);
  }

  TEST_CASE("two programs do not fight for ever: ten repairs, then one a minute, and the other is named") {
    Node n;
    n.node.files.all["/proc/4711/comm"] = "routed\n";
    for (int second = 0; second < 600; ++second) {
      if (n.node.kernel.routes.erase({n.subnet(40), 0}) != 0)
        n.node.kernel.touched(n.route(40), false, 4711, 186);
      n.world.advance(1'000);
    }
    CHECK(n.node.kernel.changes.size() >= 10 + 8);
    CHECK(n.node.kernel.changes.size() <= 10 + 11);
    CHECK(n.node.log.count("another program keeps changing an entry of the overlay") == 1);
    CHECK(n.node.log.has("program=routed protocol=186"));
    // It gives up.
    n.world.advance(120'000);
    CHECK(n.node.entries() == n.whole);
    // Other entries are repaired at once all the time.
    n.forget();
    n.delete_route(41);
    n.check_repaired(1);
  }

  TEST_CASE("an entry that is damaged once a day is always repaired at once") {
    Node n;
    for (int day = 0; day < 30; ++day) {
      n.delete_route(40);
      n.check_repaired(1);
      n.world.advance(3'600'000);
      n.forget();
    }
  }

  TEST_CASE(
      "our rules are back 20 ms after they were changed, also while others change theirs all the time") {
    Node n;
    const auto rules = n.node.kernel.rules;
    REQUIRE(rules);
    for (int i = 0; i < 100; ++i) {
      n.node.kernel.rules_changed("kube-proxy", 99);
      n.world.advance(500);
    }
    n.node.kernel.rules.reset();
    n.node.kernel.rules_changed("nft", 4712);
    CHECK(n.world.run_until([&] { return n.node.kernel.rules == rules; }, 120));
    CHECK(n.node.log.has("another program changed our traffic rules; they are restored"));
    CHECK(n.node.log.has("nft[4712]"));
    CHECK(n.node.kernel.inspections < 20);  // of the others' rules
  }

  TEST_CASE("rules that another program removes all the time: ten times back, then once a minute, named") {
    Node n;
    int restored = 0;
    for (int i = 0; i < 1'200; ++i) {
      restored += n.node.kernel.rules.has_value();
      n.node.kernel.rules.reset();
      n.node.kernel.rules_changed("flusher", 4713);
      n.world.advance(500);
    }
    CHECK(restored >= 18);
    CHECK(restored <= 24);
    CHECK(n.node.log.count("another program keeps changing our traffic rules") == 1);
    CHECK(n.node.log.has("flusher[4713]"));
  }

  TEST_CASE("ip_forward that becomes 0 is named, or set, when it becomes so") {
    Node n;
    n.node.kernel.forwarding = false;
    n.node.kernel.settings_changed();
    n.world.advance(100);
    CHECK((n.node.kernel.forwarding || n.node.log.count("net.ipv4.ip_forward is 0") == 1));
  }
}

TEST_SUITE("agent/repair limits") {
  using agent::Repairs;

  TEST_CASE("ten, then one a minute; things do not share them; each quiet minute gives one back") {
    Repairs repairs;
    for (int i = 0; i < 9; ++i) CHECK(repairs.damaged(7, 0) == Repairs::Verdict::kRepair);
    CHECK_FALSE(repairs.exhausted(7, 0));
    CHECK(repairs.damaged(7, 0) == Repairs::Verdict::kRepairAndName);
    CHECK(repairs.exhausted(7, 59'998));
    CHECK_FALSE(repairs.exhausted(7, 60'000));
    CHECK(repairs.damaged(7, 59'999) == Repairs::Verdict::kPause);
    CHECK(repairs.damaged(8, 59'999) == Repairs::Verdict::kRepair);
    CHECK(repairs.damaged(7, 60'000) == Repairs::Verdict::kPause);    // it was not left alone
    CHECK(repairs.damaged(7, 180'000) == Repairs::Verdict::kRepair);  // it was named already
    CHECK(repairs.damaged(7, 180'001) == Repairs::Verdict::kPause);
    for (int i = 0; i < 3; ++i) CHECK(repairs.damaged(7, 480'001) == Repairs::Verdict::kRepair);
    CHECK(repairs.damaged(7, 480'001) == Repairs::Verdict::kRepairAndName);
    CHECK(repairs.damaged(7, 480'001) == Repairs::Verdict::kPause);
  }

  TEST_CASE("more things than are remembered: the one left alone for longest is forgotten, but for ours") {
    using Verdict = Repairs::Verdict;
    Repairs repairs;
    constexpr std::uint64_t kOthers = Repairs::kMax - Repairs::kReserved;
    CHECK(repairs.damaged(1, 0) == Verdict::kRepair);
    for (std::uint64_t thing = 100; thing < 100 + kOthers; ++thing)
      CHECK(repairs.damaged(thing, 100) == Verdict::kRepair);
    CHECK(repairs.damaged(200, 200) == Verdict::kRepair);
    CHECK(repairs.damaged(3, 200) == Verdict::kRepair);
    for (int i = 0; i < 8; ++i) CHECK(repairs.damaged(1, 200) == Verdict::kRepair);
    CHECK(repairs.damaged(1, 200) == Verdict::kRepairAndName);
  }
}
