// SPDX-License-Identifier: Apache-2.0
// The registry falls silent, breaks off, lies down: what we know stays, and in the end everything is as it
// should be.
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

constexpr Millis kHour = 3'600'000;

std::size_t keys_of_nodes(World& world) {
  std::size_t count = 0;
  for (const auto& [key, pair] : world.etcd.keys()) count += pair.value.find("172.30.") != std::string::npos;
  return count;
}

}  // namespace

TEST_SUITE("agent/cut") {
  TEST_CASE(
      "the first conversation is cut at each byte: the node joins with one key, and its peers are "
      "programmed") {
    for (std::size_t cut = 0;; ++cut) {
      CAPTURE(cut);
      World world;
      world.put_peer(250);
      world.put_peer(251);
      world.etcd.reset_counts();
      world.etcd.cut_after(cut);
      SimNode& node = world.add_started(1);
      REQUIRE(world.run_until([&] { return node.running() && node.routes() == 2; }, 30'000));
      world.advance(10'000);
      REQUIRE(keys_of_nodes(world) == 1);
      REQUIRE(!world.value_of(node.key()).empty());
      REQUIRE(node.log.lines.size() < 20);
      if (world.etcd.bytes_sent() <= cut) break;
    }
  }

  TEST_CASE(
      "a restart's conversation is cut at each byte: nothing right is touched, nothing is written twice") {
    World world;
    for (unsigned i = 240; i < 244; ++i) world.put_peer(i);
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(1'000);
    REQUIRE(node.routes() == 4);
    const std::string entries = node.entries();
    const auto writes = node.kernel.writes;
    const auto revision = world.etcd.revision();
    for (std::size_t cut = 0;; ++cut) {
      CAPTURE(cut);
      node.stop();
      node.log.lines.clear();
      world.etcd.reset_counts();
      world.etcd.cut_after(cut);
      node.start();
      REQUIRE(world.run_until([&] { return node.running() && node.counts().peers == 4; }, 30'000));
      world.advance(10'000);
      REQUIRE(node.entries() == entries);
      REQUIRE(node.kernel.writes == writes);
      REQUIRE(world.etcd.revision() == revision);
      REQUIRE(node.log.lines.size() < 20);
      if (world.etcd.bytes_sent() <= cut) break;
    }
  }

  TEST_CASE("cuts at random while peers come and go: it always converges to what the registry says") {
    Rng rng;
    World world;
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    for (int round = 0; round < 150; ++round) {
      world.etcd.cut_after(rng.below(3000));
      if (rng.one_in(4)) world.etcd.piece = 1 + rng.below(40);
      for (std::uint64_t i = rng.below(6); i > 0; --i) {
        const auto third = static_cast<unsigned>(1 + rng.below(200));
        if (node.key() == World::peer_key(third)) continue;
        if (rng.one_in(3)) {
          world.remove_peer(third);
        } else {
          world.put_peer(third);
        }
        world.advance(static_cast<Millis>(rng.below(50)));
      }
      if (rng.one_in(10)) world.etcd.compact(world.etcd.revision());
      if (rng.one_in(10)) world.etcd.cut_all();
      if (rng.one_in(15)) node.restart();
      world.advance(static_cast<Millis>(rng.below(2'000)));
    }
    std::size_t peers = 0;
    for (const auto& [key, pair] : world.etcd.keys())
      peers += pair.value.find("172.31.") != std::string::npos;
    REQUIRE(world.run_until(
        [&] { return node.running() && node.routes() == peers && node.counts().peers == peers; }, 120'000));
    CHECK(keys_of_nodes(world) == 1);
  }

  TEST_CASE("a list that is cut in its second page removes nothing") {
    World world(
        R"({"Network":"10.0.0.0/8","SubnetMin":"10.1.0.0","SubnetMax":"10.99.0.0","Backend":{"Type":"vxlan"}})");
    for (unsigned i = 0; i < 700; ++i) {
      world.put("subnets/10." + std::to_string(100 + i / 250) + "." + std::to_string(i % 250) + ".0-24",
                World::peer_value(i));
    }
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    REQUIRE(node.routes() == 700);
    const std::string entries = node.entries();
    node.stop();
    world.etcd.reset_counts();
    node.start();
    // The config and the first page are well below this, the second page is not.
    world.etcd.cut_after(170'000);
    for (int i = 0; i < 2'000; ++i) {
      world.advance(1);
      REQUIRE(node.routes() == 700);
    }
    REQUIRE(world.run_until([&] { return node.running(); }, 30'000));
    CHECK(node.log.has("registry request failed during=list"));
    CHECK(node.entries() == entries);
  }

  TEST_CASE(
      "the registry is away for a day: the data plane stays, the log stays small, and so does the noise") {
    World world;
    SimNode& node = world.add_started(1);
    world.add_started(2);
    REQUIRE(world.run_until_all_know_all());
    const auto writes = node.kernel.writes;
    SUBCASE("refusing") { world.etcd.set_down("10.0.0.1", true); }
    SUBCASE("silent") {
      world.etcd.cut_all();
      world.advance(10);
      world.etcd.silence(true);
    }
    world.etcd.reset_counts();
    world.advance(20 * kHour);
    CHECK(node.kernel.writes == writes);
    CHECK(node.routes() == 1);
    CHECK(world.etcd.connections() < 2 * 2 * 20 * 60 * 5);
    CHECK(node.log.lines.size() < 20 * 60 * 2);
    world.etcd.set_down("10.0.0.1", false);
    world.etcd.silence(false);
    world.put_peer(node.key() == "10.5.250.0-24" || world.node(1).key() == "10.5.250.0-24" ? 251 : 250);
    CHECK(world.run_until([&] { return node.routes() == 2; }, 60'000));
  }

  TEST_CASE("no secret is in any log line, whatever goes wrong") {
    World world;
    world.etcd.add_user("flannel", "hunter2-secret");
    world.etcd.enable_auth(true);
    SimNode& node = world.add(1);
    node.settings.log_level = Level::kDebug;
    node.etcd_settings.username = "flannel";
    SUBCASE("the right password, tokens that expire, cuts") {
      node.etcd_settings.password = "hunter2-secret";
      node.start();
      REQUIRE(world.run_until([&] { return node.running(); }));
      for (int i = 0; i < 20; ++i) {
        world.etcd.expire_tokens();
        world.etcd.cut_all();
        world.etcd.cut_after(static_cast<std::size_t>(i * 37));
        world.advance(30'000);
      }
      world.etcd.remove(std::string(World::kPrefix) + "subnets/" + node.key());
      world.advance(60'000);
      CHECK(!world.value_of(node.key()).empty());
    }
    SUBCASE("the wrong password") {
      node.etcd_settings.password = "hunter2-wrong";
      node.start();
      world.advance(kHour);
      CHECK(node.log.has("authentication failed"));
      CHECK(!node.running());
    }
    CHECK(!node.log.has("hunter2"));
    CHECK(!node.log.has("token."));
    CHECK(!node.log.has("aHVudGVyMi"));
  }
}
