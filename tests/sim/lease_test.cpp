// SPDX-License-Identifier: Apache-2.0
// Our lease: kept, lost, taken by another, claimed again.
#include "flannelette/status/status.hpp"
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

constexpr Millis kHour = 3'600'000;

std::string path(const SimNode& node) { return std::string(World::kPrefix) + "subnets/" + node.key(); }

/// Two nodes that know each other, at rest.
struct Pair {
  World world;
  SimNode& node = world.add_started(1);
  SimNode& other = world.add_started(2);
  Pair() {
    REQUIRE(world.run_until_all_know_all());
    world.advance(1'000);
  }
};

/// Its address changes, and etcd goes back to before that, twice: it is published again.
void check_restored_twice(World& world, SimNode& node) {
  const std::string key = node.key();
  const auto backup = world.etcd.revision();
  node.change_address(ip("172.30.0.77"));
  const auto published = [&] { return world.value_of(key).find("172.30.0.77") != std::string::npos; };
  REQUIRE(world.run_until(published));
  for (int time = 0; time < 2; ++time) {
    CAPTURE(time);
    world.advance(60'000);
    world.etcd.go_back_to(backup);
    CHECK_FALSE(published());
    CHECK(world.run_until(published, 60'000));
  }
  CHECK(node.status().lease.held == 1);
}

}  // namespace

TEST_SUITE("agent/lease") {
  TEST_CASE("a lease is kept alive for days without a single event on the other nodes") {
    Pair p;
    const auto revision = p.world.etcd.revision();
    p.world.advance(72 * kHour);
    CHECK(p.world.etcd.revision() == revision);
    CHECK(p.world.etcd.lease_count() == 2);
    CHECK(p.world.all_know_all());
  }

  TEST_CASE(
      "our key is deleted: the same key is claimed again, with the same value, and the kernel is left "
      "alone") {
    Pair p;
    const std::string key = p.node.key();
    const std::string value = p.world.value_of(key);
    const auto writes = p.node.kernel.writes;
    p.world.etcd.remove(path(p.node));
    REQUIRE(p.world.run_until([&] { return !p.world.value_of(key).empty(); }, 2'000));
    p.world.advance(2'000);
    CHECK(p.world.value_of(key) == value);
    CHECK(p.node.kernel.writes == writes);
    CHECK(p.node.log.count("our lease was deleted") == 1);
    CHECK(p.world.etcd.lease_count() == 2);
    CHECK(p.world.all_know_all());
  }

  TEST_CASE(
      "etcd goes back to a snapshot in which our key hangs on an earlier lease: that one is kept alive from "
      "then on, and nobody is accused") {
    Pair p;
    const std::string key = p.node.key();
    const auto earlier = p.world.etcd.find(path(p.node))->lease;
    const auto snapshot = p.world.etcd.revision();
    p.world.etcd.revoke(earlier);
    REQUIRE(p.world.run_until([&] { return !p.world.value_of(key).empty(); }, 2'000));
    p.world.advance(2'000);
    p.world.etcd.go_back_to(snapshot);
    REQUIRE(p.world.etcd.find(path(p.node))->lease == earlier);
    p.world.advance(72 * kHour);
    CHECK(p.world.etcd.find(path(p.node)) != nullptr);
    CHECK(p.world.etcd.revision() == snapshot);
    CHECK(p.world.etcd.lease_count() == 2);
    CHECK(!p.node.log.has("another node"));
    CHECK(p.world.all_know_all());
  }

  TEST_CASE("our key is deleted again before the answer to its claim has come: it is claimed once more") {
    Pair p;
    const std::string key = p.node.key();
    p.world.etcd.hold_answer("/v3/kv/txn");
    p.world.etcd.remove(path(p.node));
    REQUIRE(p.world.run_until([&] { return !p.world.value_of(key).empty(); }, 2'000));
    p.world.advance(100);
    p.world.etcd.remove(path(p.node));
    p.world.advance(100);
    CHECK(p.world.value_of(key).empty());
    p.world.advance(5'000);
    CHECK(!p.world.value_of(key).empty());
    CHECK(p.world.all_know_all());
  }

  TEST_CASE("compat 9.7: our lease is revoked: the program goes on and claims the same key again") {
    Pair p;
    const std::string key = p.node.key();
    p.world.etcd.revoke(p.world.etcd.find(path(p.node))->lease);
    CHECK(p.world.value_of(key).empty());
    REQUIRE(p.world.run_until([&] { return !p.world.value_of(key).empty(); }, 2'000));
    p.world.advance(2'000);
    CHECK(p.node.running());
    CHECK(p.node.ready_count() == 1);
    CHECK(p.world.all_know_all());
  }

  TEST_CASE(
      "the lease expires during a partition of two days: the data plane stays, the same key is claimed "
      "again") {
    Pair p;
    const std::string key = p.node.key();
    const std::string entries = p.node.entries();
    const auto writes = p.node.kernel.writes;
    p.world.etcd.set_down("10.0.0.1", true);
    p.world.advance(48 * kHour);
    CHECK(p.world.value_of(key).empty());
    CHECK(p.node.entries() == entries);
    CHECK(p.node.kernel.writes == writes);
    CHECK(p.node.running());
    CHECK(p.node.log.lines.size() < 48 * 60 * 3);
    p.world.etcd.set_down("10.0.0.1", false);
    REQUIRE(p.world.run_until([&] { return !p.world.value_of(key).empty(); }, 40'000));
    REQUIRE(p.world.run_until_all_know_all(40'000));
    CHECK(p.node.key() == key);
    p.world.advance(6'000);  // said when the watch has lived for some seconds
    CHECK(p.node.log.count("registry reachable again") == 1);
  }

  TEST_CASE(
      "a rival holds our subnet: reported with MAC and address, data plane kept, claimed again when it "
      "goes") {
    Pair p;
    const std::string key = p.node.key();
    const std::string entries = p.node.entries();
    const std::string rival = World::peer_value(66);
    SUBCASE("it overwrote our key") { p.world.etcd.put(path(p.node), rival); }
    SUBCASE("it came after our lease was lost in a partition") {
      p.world.etcd.set_down("10.0.0.1", true);
      p.world.etcd.remove(path(p.node));
      p.world.etcd.put(path(p.node), rival);
      p.world.advance(10'000);
      p.world.etcd.set_down("10.0.0.1", false);
    }
    p.world.advance(2 * kHour);
    CHECK(p.node.log.count("another node holds our subnet") == 1);
    CHECK(p.node.log.has("rival_public_ip=172.31.0.66 rival_mac=02:00:00:00:00:42"));
    CHECK(p.world.value_of(key) == rival);
    CHECK(p.node.entries() == entries);
    CHECK(p.node.running());
    p.world.etcd.remove(path(p.node));
    REQUIRE(p.world.run_until([&] { return !p.world.value_of(key).empty(); }, 2'000));
    CHECK(p.world.value_of(key).find("172.30.0.1") != std::string::npos);
    REQUIRE(p.world.run_until_all_know_all());
  }

  TEST_CASE("etcd is restored from a backup of before our address changed: ours is written again") {
    Pair p;
    check_restored_twice(p.world, p.node);
    CHECK_FALSE(p.node.log.has("another node holds our subnet"));
    REQUIRE(p.world.run_until_all_know_all());
  }

  TEST_CASE("the same with host-gw, where no MAC tells what is ours") {
    World world(R"({"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}})");
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    check_restored_twice(world, node);
  }

  TEST_CASE("a rival's record is replaced by ours without having been deleted: it is held again") {
    Pair p;
    const std::string ours = p.world.value_of(p.node.key());
    const auto backup = p.world.etcd.revision();
    p.world.etcd.put(path(p.node), World::peer_value(66));
    REQUIRE(p.world.run_until([&] { return p.node.log.has("another node holds our subnet"); }));
    CHECK(p.node.status().lease.held == 0);
    SUBCASE("from a backup") { p.world.etcd.go_back_to(backup); }
    SUBCASE("by hand") { p.world.etcd.put(path(p.node), ours); }
    CHECK(p.world.run_until([&] { return p.node.status().lease.held == 1; }, 60'000));
    CHECK(p.node.status().unready.lease.empty());
    REQUIRE(p.world.run_until_all_know_all());
  }

  TEST_CASE("a rival that was gone comes back with a backup: reported as the first time") {
    Pair p;
    p.world.etcd.put(path(p.node), World::peer_value(66));
    p.world.advance(10'000);
    const auto backup = p.world.etcd.revision();
    p.world.etcd.remove(path(p.node));
    REQUIRE(p.world.run_until([&] { return p.node.status().lease.held == 1; }, 60'000));
    p.world.etcd.go_back_to(backup);
    CHECK(p.world.run_until([&] { return p.node.status().lease.held == 0; }, 60'000));
    CHECK(p.node.log.count("another node holds our subnet") == 2);
  }

  TEST_CASE(
      "compat 9.11: a subnet that was taken over meanwhile is not stolen back by a restart or a renewal") {
    Pair p;
    const std::string rival = World::peer_value(66);
    const std::string key = p.node.key();
    p.node.stop();
    p.world.etcd.remove(path(p.node));
    p.world.put("subnets/" + key, rival);
    p.node.start();
    REQUIRE(p.world.run_until([&] { return p.node.ready_count() == 2; }));
    p.world.advance(25 * kHour);
    CHECK(p.world.value_of(key) == rival);
    CHECK(p.node.key() != key);
    CHECK(p.node.has_peer(p.other));
  }

  TEST_CASE("compat 9.11: two nodes with one public address are reported") {
    Pair p;
    SimNode& twin = p.world.add_started(1);
    REQUIRE(p.world.run_until([&] { return twin.running(); }));
    p.world.advance(2'000);
    CHECK(p.node.log.has("two nodes have one public address"));
    CHECK(p.node.running());
  }

  TEST_CASE("compat 9.8: a reservation, a key without lease, stays one") {
    World world;
    world.put(
        "subnets/10.5.30.0-24",
        R"({"PublicIP":"172.30.0.1","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:11:22:33:44:55"}})");
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    const auto check = [&] {
      const auto* pair = world.etcd.find("/coreos.com/network/subnets/10.5.30.0-24");
      REQUIRE(pair != nullptr);
      CHECK(pair->lease == 0);
    };
    CHECK(node.key() == "10.5.30.0-24");
    CHECK(text_of(node.mac()).view() == "02:11:22:33:44:55");
    check();
    world.advance(25 * kHour);
    check();
    node.restart();
    world.advance(25 * kHour);
    check();
    // Its address changes: the value is corrected, it still has no lease.
    node.change_address(ip("172.30.0.9"));
    REQUIRE(world.run_until(
        [&] { return world.value_of("10.5.30.0-24").find("172.30.0.9") != std::string::npos; }));
    check();
    CHECK(world.etcd.lease_count() == 0);
  }

  TEST_CASE("compat 9.8: a reservation for our address without BackendData is filled in, and stays one") {
    World world;
    world.put("subnets/10.5.30.0-24", R"({"PublicIP":"172.30.0.1"})");
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    CHECK(node.key() == "10.5.30.0-24");
    CHECK(world.value_of("10.5.30.0-24").find("VtepMAC") != std::string::npos);
    CHECK(world.etcd.find("/coreos.com/network/subnets/10.5.30.0-24")->lease == 0);
    world.advance(1'000);
    CHECK(world.etcd.lease_count() == 0);
  }

  TEST_CASE("compat 9.12: a lease that we replace is revoked; restarts leave one lease a node") {
    World world;
    const auto old = world.etcd.grant(500'000);
    world.etcd.put(
        "/coreos.com/network/subnets/10.5.30.0-24",
        R"({"PublicIP":"172.30.0.1","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:11:22:33:44:55"}})",
        old);
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(1'000);
    CHECK(!world.etcd.has_lease(old));
    CHECK(world.etcd.lease_count() == 1);
    CHECK(node.key() == "10.5.30.0-24");
    for (int i = 0; i < 3; ++i) {
      node.restart();
      world.advance(kHour);
    }
    CHECK(world.etcd.lease_count() == 1);
    world.etcd.remove(path(node));
    world.advance(10'000);
    CHECK(world.etcd.lease_count() == 1);
  }

  TEST_CASE("the registry refuses us: reported, tried again with longer and longer pauses, held in the end") {
    World world;
    SimNode& node = world.add(1);
    for (int i = 0; i < 8; ++i) world.etcd.refuse_next("/v3/kv/txn", 7, "etcdserver: permission denied");
    node.start();
    world.advance(30'000);
    CHECK(node.log.has("the registry refuses our lease"));
    CHECK(node.log.has("etcdserver: permission denied"));
    CHECK(!node.running());
    CHECK(world.etcd.requests("/v3/kv/txn") < 7);
    CHECK(world.run_until([&] { return node.running(); }, 300'000));
  }

  TEST_CASE("refused while running: pauses grow too, whatever the kernel does meanwhile") {
    Pair p;
    p.world.etcd.reset_counts();
    for (int i = 0; i < 2000; ++i) p.world.etcd.refuse_next("/v3/kv/txn", 7, "etcdserver: permission denied");
    p.world.etcd.remove(path(p.node));
    const unsigned peer =
        p.other.key() == World::peer_key(200) || p.node.key() == World::peer_key(200) ? 201 : 200;
    for (int minute = 0; minute < 60; ++minute) {
      for (int i = 0; i < 10; ++i) p.world.put_peer(peer);  // the events of others do not hurry it either
      p.world.advance(60'000);
    }
    CHECK(p.world.etcd.requests("/v3/kv/txn") < 80);
    CHECK(p.node.log.lines.size() < 200);
    CHECK(p.node.routes() == 2);
  }

  TEST_CASE("the registry refuses our new address: our record of before is not taken for a rival's") {
    Pair p;
    for (int i = 0; i < 3; ++i) p.world.etcd.refuse_next("/v3/kv/txn", 7, "etcdserver: permission denied");
    p.node.change_address(ip("172.30.7.7"));
    p.world.advance(2'000);
    p.world.put_peer(p.other.key() == World::peer_key(200) || p.node.key() == World::peer_key(200) ? 201
                                                                                                   : 200);
    p.world.advance(60'000);
    CHECK(p.node.log.has("the registry refuses our lease"));
    CHECK(!p.node.log.has("another node holds our subnet"));
    CHECK(p.world.run_until_all_know_all());
  }

  TEST_CASE("a foreign key stands in the way of our subnet: told, no circle, claimed again when it goes") {
    Pair p;
    const std::string key = p.node.key();
    const std::string junk = path(p.node).substr(0, path(p.node).rfind('-')) + "-junk";
    p.world.etcd.put(junk, "?");
    p.world.etcd.reset_counts();
    p.world.etcd.remove(path(p.node));
    p.world.advance(kHour);
    CHECK(p.world.etcd.requests("/v3/kv/txn") < 80);
    CHECK(p.node.log.has("stands in the way"));
    CHECK(p.node.running());
    p.world.etcd.remove(junk);
    CHECK(p.world.run_until([&] { return !p.world.value_of(key).empty(); }, 61'000));
  }

  TEST_CASE("each transition of the membership is a debug line") {
    World world;
    SimNode& node = world.add(1);
    node.settings.log_level = Level::kDebug;
    node.start();
    REQUIRE(world.run_until([&] { return node.running(); }));
    world.advance(10'000);
    world.etcd.put(path(node), World::peer_value(66));
    world.advance(10'000);
    world.etcd.remove(path(node));
    world.advance(10'000);
    std::string states = "none";
    for (const std::string& line : node.log.lines) {
      if (line.starts_with("debug: membership: ")) states += line.substr(line.find(" -> "));
    }
    CHECK(states == "none -> choosing -> claiming -> held -> contested -> reclaiming -> held");
  }
}
