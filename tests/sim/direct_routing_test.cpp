// SPDX-License-Identifier: Apache-2.0
// Whole agents with vxlan and DirectRouting, and what is left when the config's backend is another one.
#include "agent/dataplane.hpp"
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

constexpr const char* kVxlan = R"({"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}})";
constexpr const char* kVxlan7 = R"({"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","VNI":7}})";
constexpr const char* kDirect =
    R"({"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","DirectRouting":true}})";
constexpr const char* kHostGw = R"({"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}})";
constexpr const char* kElsewhere = R"({"Network":"10.6.0.0/16","Backend":{"Type":"vxlan"}})";
constexpr const char* kElsewhereHostGw = R"({"Network":"10.6.0.0/16","Backend":{"Type":"host-gw"}})";
constexpr Millis kAudit = agent::Dataplane::kAuditEvery + 1'000;

bool is_direct(const SimNode& node, Net4 subnet, Ip4 via) {
  const auto at = node.kernel.routes.find({subnet, 0});
  return at != node.kernel.routes.end() && at->second.link == SimNode::kNic && at->second.gateway == via &&
         !at->second.onlink;
}
bool is_direct(const SimNode& node, const SimNode& to) { return is_direct(node, to.subnet(), to.address); }
/// Entries of any kind.
std::size_t entries(const SimNode& node) {
  return node.kernel.routes.size() + node.kernel.neighbours.size() + node.kernel.fdb.size();
}

struct Pair {
  World world;
  SimNode& node = world.add_started(1);
  SimNode& other = world.add_started(2);
  explicit Pair(const char* config = kDirect) : world(config) {
    REQUIRE(world.run_until([&] { return node.ready_count() == 1 && other.ready_count() == 1; }));
    world.advance(5'000);
    node.kernel.forget();
  }
  /// The peer is reached by a router from now on, or without one.
  void move_away() { node.kernel.add_route({other.address, 32}, SimNode::kNic, ip("172.30.0.200")); }
  void move_near() { node.kernel.remove_route({other.address, 32}); }
  bool near() const { return is_direct(node, other); }
  bool far() const { return node.has_peer(other); }
};

}  // namespace

TEST_SUITE("agent/direct routing") {
  TEST_CASE("peers on our link get a direct route and nothing else, others are reached by VXLAN") {
    Pair p;
    CHECK(p.near());
    CHECK(entries(p.node) == 1);
    CHECK(p.node.device() != nullptr);
    CHECK(p.node.subnet_env().find("FLANNEL_MTU=1450") != std::string::npos);
    CHECK(p.world.value_of(p.node.key()).find("\"VtepMAC\"") != std::string::npos);
    p.node.kernel.default_gateway = ip("172.30.0.200");
    p.world.put_peer(70);  // 172.31.0.70, behind the default gateway
    REQUIRE(p.world.run_until(
        [&] { return p.node.has_peer(World::peer_subnet(70), mac(70), World::peer_ip(70)); }));
    CHECK(entries(p.node) == 4);
    CHECK_FALSE(p.node.log.has("error:"));
  }

  TEST_CASE(
      "compat 9.15: near to far and back: decided when routes change, the new before the old, nothing left") {
    Pair p;
    for (int i = 0; i < 20; ++i) {
      p.node.kernel.forget();
      p.move_away();
      REQUIRE(p.world.run_until([&] { return p.far(); }, 1'200));
      CHECK(entries(p.node) == 4);  // the router's route, and three
      CHECK(p.node.kernel.changes.back().puts(overlay::Entry::Kind::kRoute));
      p.world.advance(2'000);
      p.node.kernel.forget();
      p.move_near();
      REQUIRE(p.world.run_until([&] { return p.near() && entries(p.node) == 1; }, 1'200));
      CHECK(p.node.kernel.changes.front().puts(overlay::Entry::Kind::kRoute));
      p.world.advance(2'000);
    }
    p.node.kernel.forget();
    p.world.advance(kAudit);
    CHECK(p.node.kernel.writes == 0);
    CHECK_FALSE(p.node.log.has("repaired"));
  }

  TEST_CASE("a day with both kinds of peers writes nothing, a restart neither") {
    Pair p;
    p.node.kernel.default_gateway = ip("172.30.0.200");
    p.world.put_peer(70);
    p.world.advance(10'000);
    p.node.kernel.forget();
    p.world.advance(24 * 3'600'000);
    CHECK(p.node.kernel.writes == 0);
    p.node.restart();
    p.world.advance(kAudit);
    CHECK(p.node.running());
    CHECK(p.node.kernel.writes == 0);
  }

  TEST_CASE("the link is down and no route leads anywhere: nobody is moved for it") {
    Pair p;
    p.node.kernel.default_link.reset();
    p.node.kernel.set_up(SimNode::kNic, false);
    p.world.advance(2 * kAudit);
    CHECK_FALSE(p.far());
    p.node.kernel.default_link = SimNode::kNic;
    p.node.kernel.set_up(SimNode::kNic, true);
    REQUIRE(p.world.run_until([&] { return p.near(); }, 2'000));
    CHECK(entries(p.node) == 1);
  }

  TEST_CASE("a strict rp_filter is named once") {
    World world(kDirect);
    SimNode& node = world.add(1);
    node.kernel.rp_filter["eth0"] = 1;
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(2 * kAudit);
    CHECK(node.log.count("warning: a strict rp_filter (1) drops packets") == 1);
    node.kernel.rp_filter["eth0"] = 2;
    node.restart();
    world.advance(kAudit);
    CHECK(node.log.count("strict rp_filter") == 1);
  }

  TEST_CASE("without DirectRouting routes of others do not wake us, and rp_filter is not read") {
    Pair p(kVxlan);
    p.node.kernel.rp_filter["eth0"] = 1;
    const auto dumps = p.node.kernel.dumps;
    p.move_away();
    p.world.advance(10'000);
    CHECK(p.node.kernel.dumps == dumps);
    CHECK(p.far());
    CHECK_FALSE(p.node.log.has("rp_filter"));
  }
}

TEST_SUITE("agent/backend change") {
  TEST_CASE(
      "compat 9.30: from any backend to any other, agents restarted one by one: nothing of the old one is "
      "left") {
    const char* const configs[] = {kVxlan, kVxlan7, kDirect, kHostGw, kElsewhere, kElsewhereHostGw};
    for (const char* before : configs) {
      for (const char* after : configs) {
        CAPTURE(std::string(before));
        CAPTURE(std::string(after));
        Pair p(before);
        p.world.advance(70'000);  // the state files are written
        p.world.put_config(after);
        World fresh(after);
        SimNode& model = fresh.add_started(1);
        SimNode& model_other = fresh.add_started(2);
        REQUIRE(fresh.run_until([&] { return model.ready_count() == 1 && model_other.ready_count() == 1; }));
        fresh.advance(5'000);
        p.node.restart();
        p.world.advance(5'000);
        p.other.restart();
        p.world.advance(20'000);
        for (SimNode* node : {&p.node, &p.other}) {
          REQUIRE(node->running());
          CHECK(entries(*node) == entries(model));
          CHECK(node->kernel.devices.size() == model.kernel.devices.size());
          CHECK(node->kernel.links.size() == model.kernel.links.size());
          CHECK_FALSE(node->log.has("error:"));
          CHECK_FALSE(node->log.has("out of sync"));
          node->kernel.forget();
        }
        const std::string host_gw = "\"BackendType\":\"host-gw\"}";
        CHECK(p.world.value_of(p.node.key()).ends_with(host_gw) ==
              fresh.value_of(model.key()).ends_with(host_gw));
        p.world.advance(kAudit);
        CHECK(p.node.kernel.writes == 0);
        p.node.restart();
        p.world.advance(kAudit);
        CHECK(p.node.kernel.writes == 0);
      }
    }
  }

  TEST_CASE("what is left is known also when the agent dies before it is gone") {
    Pair p(kVxlan);
    p.world.put_config(kElsewhereHostGw);
    p.node.kernel.fail(FakeKernel::Call::kDeleteDevice, {Code::kSystem, 5, "delete the device"}, -1);
    p.node.restart();
    p.world.advance(30'000);
    REQUIRE(p.node.device() != nullptr);
    CHECK(p.node.log.has("out of sync"));
    p.node.restart();
    p.world.advance(10'000);
    p.node.kernel.heal();
    p.world.advance(61'000);
    CHECK(p.node.device() == nullptr);
    CHECK(p.node.log.has("device of the earlier config removed"));
    p.node.restart();
    p.world.advance(10'000);
    CHECK(p.node.running());
  }

  TEST_CASE("a device that is not ours stays") {
    Pair p(kVxlan);
    p.node.stop();
    const int index = p.node.device()->index;
    p.node.kernel.set_mac(index, mac(0x77));
    p.world.put_config(kHostGw);
    p.node.start();
    p.world.advance(10'000);
    CHECK(p.node.running());
    CHECK(p.node.device() != nullptr);
  }

  TEST_CASE("up as it was without the registry, which then has another backend") {
    Pair p(kVxlan);
    p.world.advance(70'000);
    p.world.etcd.set_down("10.0.0.1", true);
    p.node.reboot();
    REQUIRE(p.world.run_until([&] { return p.node.routes() == 1; }, 5'000));
    p.world.put_config(kHostGw);
    p.other.stop();
    p.world.etcd.set_down("10.0.0.1", false);
    p.other.start();
    REQUIRE(
        p.world.run_until([&] { return is_direct(p.node, p.other) && is_direct(p.other, p.node); }, 180'000));
    p.world.advance(2'000);
    CHECK(p.node.device() == nullptr);
    CHECK(entries(p.node) == 1);
  }
}
