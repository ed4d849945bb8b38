// SPDX-License-Identifier: Apache-2.0
// A store that contradicts itself: whatever it says, a node asks it slower and slower, and takes few leases.
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

constexpr Millis kHour = 3'600'000;
using Puts = ScriptedEtcd::Puts;

void expect_few_requests(World& world, SimNode& node) {
  ScriptedEtcd& etcd = world.etcd;
  etcd.reset_counts();
  world.advance(kHour);
  MESSAGE("in an hour: ", etcd.requests("/v3/lease/grant"), " leases, ", etcd.requests("/v3/kv/txn"),
          " puts, ", etcd.requests("/v3/kv/range"), " lists, ", etcd.requests("/v3/lease/keepalive"),
          " keepalives");
  CHECK(etcd.requests("/v3/lease/grant") < 2 * 120 + 20);
  CHECK(etcd.requests("/v3/kv/txn") < 3 * 120 + 20);
  CHECK(etcd.requests("/v3/kv/range") < 3 * 120 + 20);
  CHECK(node.log.lines.size() < 300);
  // And when it says what is so, all is well within a minute.
  etcd.puts = Puts::kDone;
  etcd.expire_all = false;
  REQUIRE(world.run_until([&] { return node.running() && !world.value_of(node.key()).empty(); }, 61'000));
}

}  // namespace

TEST_SUITE("agent/contradiction") {
  TEST_CASE("a node that joins where the store contradicts itself asks slower and slower, with few leases") {
    World world;
    SimNode& node = world.add(1);
    SUBCASE("its key is removed as soon as it is put") { world.etcd.puts = Puts::kRemoved; }
    SUBCASE("what it put is never there") { world.etcd.puts = Puts::kForgotten; }
    SUBCASE("each put fails") { world.etcd.puts = Puts::kFailed; }
    SUBCASE("its lease always has expired already") {
      node.etcd_settings.lease_ttl_seconds = 1;
      world.etcd.expire_all = true;
    }
    node.start();
    expect_few_requests(world, node);
  }

  TEST_CASE("a node whose key was removed asks a store that contradicts itself slower and slower") {
    World world;
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(100'000);
    SUBCASE("removed again as soon as it is put") { world.etcd.puts = Puts::kRemoved; }
    SUBCASE("what it put is never there") {
      world.etcd.puts = Puts::kForgotten;
      world.etcd.expire_all = true;
    }
    SUBCASE("each put fails") { world.etcd.puts = Puts::kFailed; }
    SUBCASE("each put fails, and the lease always has expired already") {
      world.etcd.puts = Puts::kFailed;
      world.etcd.expire_all = true;
    }
    world.etcd.remove(std::string(World::kPrefix) + "subnets/" + node.key());
    expect_few_requests(world, node);
  }
}
