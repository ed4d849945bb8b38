// SPDX-License-Identifier: Apache-2.0
// A day in the life of an edge node, all that happens to one in every hour of it: no drift.
#include <malloc.h>

#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

constexpr Millis kMinute = 60'000;

/// What the process has on its heap, in bytes. 0: a sanitizer's allocator does not say.
std::size_t heap() { return ::mallinfo2().uordblks; }

/// A node with two other nodes and ten peers that are only records, at rest.
struct Day {
  World world;
  SimNode& node = world.add(1);
  SimNode& other = world.add(2);
  SimNode& third = world.add(3);
  int wwan = node.kernel.add_nic("wwan0", *parse_net4("100.64.0.9/30"), 1428);
  std::int64_t lease = world.etcd.grant(365 * 86'400);
  std::string whole;

  Day() {
    node.kernel.more_routes.push_back({wwan, ip("100.64.0.10"), 700, 0, {}});
    for (const char* name : {"eth0", "wwan0"}) REQUIRE(node.settings.interface.names.add(name));
    node.settings.ip_masq = true;
    for (unsigned i = 200; i < 210; ++i) world.put_peer(i);
    for (SimNode* each : {&node, &other, &third}) each->start();
    REQUIRE(world.run_until([&] { return node.routes() == 12; }));
    world.advance(10 * kMinute);
    whole = state();
    forget();
  }

  std::string state() const {
    return node.entries() + node.subnet_env() + std::to_string(node.kernel.devices.size());
  }
  /// What the doubles remember for the tests' sake.
  void forget() {
    for (SimNode* each : {&node, &other, &third}) {
      each->kernel.forget();
      each->kernel.changes.shrink_to_fit();
      each->log.lines.clear();
      each->log.lines.shrink_to_fit();
    }
    world.etcd.compact(world.etcd.revision());
    world.etcd.reset_counts();
  }
  void rest(Millis time) { world.advance(time); }
  int device() const { return node.device()->index; }

  /// Of another node each time, on one lease: the scripted etcd forgets none.
  void put_visitor(unsigned number) {
    world.etcd.put(World::kPrefix + ("subnets/" + World::peer_key(211)), World::peer_value(number), lease);
  }
  void peers() {
    put_visitor(211);
    rest(kMinute);
    put_visitor(212);  // another node has taken it
    rest(kMinute);
    world.remove_peer(211);
    third.restart();
    rest(kMinute);
  }
  void damages() {
    const Net4 subnet = World::peer_subnet(203);
    node.kernel.routes.erase({subnet, 0});
    node.kernel.touched(overlay::Entry::route(subnet, subnet.base), false);
    rest(kMinute);
    node.kernel.flap(device());
    rest(kMinute);
    node.kernel.set_mtu(device(), 1300);
    rest(kMinute);
    node.kernel.remove_link(device());
    rest(kMinute);
    node.kernel.rules.reset();
    node.kernel.rules_changed("nft", 7);
    rest(kMinute);
  }
  void underlay() {
    node.kernel.set_carrier(SimNode::kNic, false);
    rest(5 * kMinute);
    node.kernel.set_carrier(SimNode::kNic, true);
    rest(5 * kMinute);
    const Ip4 before = node.address;
    node.change_address(ip("172.30.9.9"));
    rest(kMinute);
    node.change_address(before);
    node.on_resume(3 * kMinute);
    rest(kMinute);
  }
  void registry() {
    world.etcd.lose_leader();
    rest(kMinute);
    world.etcd.elect_leader();
    rest(kMinute);
    world.etcd.cancel_watches("mvcc: required revision has been compacted");
    rest(kMinute);
    node.restart();
    rest(kMinute);
  }
  void hour() {
    const Millis end = world.clock.time + 60 * kMinute;
    peers();
    damages();
    underlay();
    registry();
    rest(end - world.clock.time);
  }
};

}  // namespace

TEST_SUITE("agent/day") {
  TEST_CASE("a day with damages, peers, fail-overs, restarts and a registry that fails: nothing drifts") {
    Day d;
    const auto live_through_a_day = [&] {
      for (int hour = 0; hour < 24; ++hour) {
        CAPTURE(hour);
        d.hour();
        REQUIRE(d.state() == d.whole);
        d.forget();
        d.rest(2 * kMinute);
        CHECK(d.node.kernel.writes == 0);
        CHECK(d.node.log.text() == "");
      }
    };
    live_through_a_day();  // what grows by doubling, the doubles' containers above all, is large enough then
    const std::size_t before = heap(), keys = d.world.etcd.keys().size(), files = d.node.files.all.size();
    live_through_a_day();
    CHECK(d.world.etcd.keys().size() == keys);
    CHECK(d.node.files.all.size() == files);
    // One record of 40 bytes that is not given back in each hour were more.
    CHECK(heap() <= before + 512);
  }
}
