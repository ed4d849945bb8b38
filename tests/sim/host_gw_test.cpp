// SPDX-License-Identifier: Apache-2.0
// Whole agents with the host-gw backend.
#include "agent/dataplane.hpp"
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

constexpr const char* kConfig = R"({"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}})";
constexpr Millis kAudit = agent::Dataplane::kAuditEvery + 1'000;

std::string record(const char* public_ip) {
  return std::string(R"({"PublicIP":")") + public_ip + R"(","PublicIPv6":null,"BackendType":"host-gw"})";
}

/// The gateway of our route to this subnet on eth0; 0.0.0.0: there is none.
Ip4 gateway(const SimNode& node, Net4 subnet) {
  const auto at = node.kernel.routes.find({subnet, 0});
  const bool direct =
      at != node.kernel.routes.end() && at->second.link == SimNode::kNic && !at->second.onlink;
  return direct ? at->second.gateway : Ip4{};
}
bool knows(const SimNode& node, const SimNode& other) {
  return node.running() && other.running() && gateway(node, other.subnet()) == other.address;
}

struct Pair {
  World world{kConfig};
  SimNode& node = world.add_started(1);
  SimNode& other = world.add_started(2);
  Pair() {
    REQUIRE(world.run_until([&] { return knows(node, other) && knows(other, node); }));
    world.advance(3'000);
    node.kernel.forget();
  }
};

}  // namespace

TEST_SUITE("agent/host-gw") {
  TEST_CASE(
      "nodes join: routes by each other's address, no device, subnet.env with the MTU of the interface") {
    Pair p;
    CHECK(p.node.device() == nullptr);
    CHECK(p.node.kernel.routes.size() == 1);
    CHECK(p.node.kernel.neighbours.empty());
    CHECK(p.node.kernel.fdb.empty());
    CHECK(p.node.subnet_env().find("FLANNEL_MTU=1500") != std::string::npos);
    CHECK(p.world.value_of(p.node.key()) == record("172.30.0.1"));
    CHECK_FALSE(p.node.log.has("error:"));
    CHECK_FALSE(p.node.log.has("warning:"));
  }

  TEST_CASE("a day of audits writes nothing, a restart neither") {
    Pair p;
    p.world.advance(24 * 3'600'000);
    CHECK(p.node.kernel.writes == 0);
    CHECK(p.node.kernel.dumps > 200);
    const auto revision = p.world.etcd.revision();
    const std::string env = p.node.subnet_env();
    p.node.restart();
    REQUIRE(p.world.run_until([&] { return p.node.running(); }));
    p.world.advance(kAudit);
    CHECK(p.node.kernel.writes == 0);
    CHECK(p.world.etcd.revision() == revision);
    CHECK(p.node.subnet_env() == env);
    CHECK_FALSE(p.node.log.has("error:"));
  }

  TEST_CASE("a peer that goes takes its route along; what we did not make stays") {
    Pair p;
    p.node.kernel.add_route({ip("10.5.200.0"), 24}, SimNode::kNic, ip("172.30.0.77"));
    p.world.put("subnets/10.5.74.0-24", record("172.30.0.74"));
    REQUIRE(p.world.run_until([&] { return gateway(p.node, {ip("10.5.74.0"), 24}) == ip("172.30.0.74"); }));
    p.world.etcd.remove(std::string(World::kPrefix) + "subnets/10.5.74.0-24");
    REQUIRE(p.world.run_until([&] { return gateway(p.node, {ip("10.5.74.0"), 24}) == Ip4{}; }));
    p.world.advance(kAudit);
    CHECK(p.node.kernel.routes.size() == 2);
    CHECK(gateway(p.node, {ip("10.5.200.0"), 24}) == ip("172.30.0.77"));
  }

  TEST_CASE("a route of flanneld's that is right becomes ours, another one is reported and stays") {
    Pair p;
    p.node.kernel.add_route({ip("10.5.74.0"), 24}, SimNode::kNic, ip("172.30.0.74"));
    p.node.kernel.add_route({ip("10.5.75.0"), 24}, SimNode::kNic, ip("172.30.0.75"));
    p.world.put("subnets/10.5.74.0-24", record("172.30.0.74"));
    p.world.put("subnets/10.5.75.0-24", record("172.30.0.76"));
    p.world.advance(2'000);
    CHECK(p.node.kernel.routes[{Net4{ip("10.5.74.0"), 24}, 0}].protocol == 70);
    CHECK(gateway(p.node, {ip("10.5.75.0"), 24}) == ip("172.30.0.75"));
    CHECK(p.node.log.count("the kernel refused entries of peers refused=1") == 1);
    CHECK(p.node.log.has("another program's route to this subnet is in the way"));
  }

  TEST_CASE(
      "compat 9.29: a gateway that is not on link is named once, and its route made when addresses change") {
    Pair p;
    const Net4 far{ip("10.5.74.0"), 24}, farther{ip("10.5.75.0"), 24};
    p.world.put("subnets/10.5.74.0-24", record("192.0.2.74"));
    p.world.put("subnets/10.5.75.0-24", record("198.51.100.75"));
    p.world.advance(4 * kAudit);
    CHECK(p.node.log.count("the peer is not on our link") == 2);
    CHECK(p.node.log.has("subnet=10.5.74.0/24 public_ip=192.0.2.74"));
    CHECK_FALSE(p.node.log.has("error:"));
    CHECK_FALSE(p.node.log.has("out of sync"));
    CHECK(gateway(p.node, far) == Ip4{});
    CHECK(knows(p.node, p.other));
    p.node.kernel.addresses.push_back({.link_index = SimNode::kNic, .net = Net4{ip("192.0.2.1"), 24}});
    p.node.kernel.changed();
    REQUIRE(p.world.run_until([&] { return gateway(p.node, far) == ip("192.0.2.74"); }, 2'000));
    CHECK(gateway(p.node, farther) == Ip4{});
    p.world.advance(kAudit);
    CHECK(p.node.log.count("the peer is not on our link") == 2);
    p.node.kernel.addresses.pop_back();  // and named again when it comes to that again
    p.node.kernel.remove_route(far);
    p.world.advance(2'000);
    CHECK(p.node.log.count("the peer is not on our link") == 3);
  }

  TEST_CASE("the interface flaps: its routes are back at once") {
    Pair p;
    p.node.kernel.flap(SimNode::kNic);
    CHECK(p.node.kernel.routes.empty());
    REQUIRE(p.world.run_until([&] { return knows(p.node, p.other); }, 1'000));
    p.node.kernel.set_up(SimNode::kNic, false);
    p.world.advance(kAudit);
    CHECK(p.node.kernel.routes.empty());
    p.node.kernel.set_up(SimNode::kNic, true);
    REQUIRE(p.world.run_until([&] { return knows(p.node, p.other); }, 1'000));
  }

  TEST_CASE(
      "a route of ours that somebody removes or replaces is put right; routes that keep changing do not keep "
      "us busy") {
    Pair p;
    p.node.kernel.remove_route(p.other.subnet());
    REQUIRE(p.world.run_until([&] { return knows(p.node, p.other); }, 1'100));
    p.world.advance(5'000);
    const auto dumps = p.node.kernel.dumps;
    for (int i = 0; i < 100; ++i) {
      p.node.kernel.add_route({ip("203.0.113.0"), 24}, SimNode::kNic, ip("172.30.0.9"));
      p.world.advance(100);
    }
    CHECK(p.node.kernel.dumps - dumps <= 12);
    CHECK(p.node.kernel.dumps - dumps >= 8);
  }

  TEST_CASE("our address changes: the record under the same key, the others' routes follow") {
    Pair p;
    const std::string key = p.node.key();
    p.node.change_address(ip("172.30.7.7"));
    REQUIRE(p.world.run_until([&] { return knows(p.other, p.node); }, 3'000));
    CHECK(p.node.key() == key);
    CHECK(p.world.value_of(key) == record("172.30.7.7"));
    CHECK(p.other.kernel.routes.size() == 1);
    CHECK_FALSE(p.node.log.has("another node"));
    // And the registry being away meanwhile.
    p.world.etcd.set_down("10.0.0.1", true);
    p.node.change_address(ip("172.30.8.8"));
    p.world.advance(600'000);
    p.world.etcd.set_down("10.0.0.1", false);
    REQUIRE(p.world.run_until([&] { return knows(p.other, p.node); }, 120'000));
    CHECK(p.node.key() == key);
    CHECK_FALSE(p.node.log.has("another node"));
  }

  TEST_CASE("a rival under our key is not taken for ourselves, though neither has a MAC") {
    Pair p;
    const std::string key = std::string(World::kPrefix) + ("subnets/" + p.node.key());
    p.world.etcd.put(key, record("172.30.0.99"), p.world.etcd.grant(86'400));
    p.world.advance(5'000);
    CHECK(p.node.log.has("another node holds our subnet"));
    CHECK(p.world.value_of(p.node.key()) == record("172.30.0.99"));
    p.node.change_address(ip("172.30.7.7"));  // nor when it must be written anew
    p.world.advance(5'000);
    CHECK(p.world.value_of(p.node.key()) == record("172.30.0.99"));
  }

  TEST_CASE("a public IP that is not the interface's is refused by name until it is") {
    World world(kConfig);
    SimNode& node = world.add(1);
    node.settings.interface.public_ip = ip("203.0.113.5");
    REQUIRE(node.settings.interface.names.add("eth0"));
    node.start();
    world.advance(600'000);
    CHECK(node.log.count("error: peers route by our public IP") == 1);
    CHECK(node.state() == agent::State::kListing);
    CHECK(world.etcd.lease_count() == 0);
    node.change_address(ip("203.0.113.5"));
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    CHECK(world.value_of(node.key()) == record("203.0.113.5"));
  }

  TEST_CASE("after a reboot without the registry a node comes up as it was") {
    Pair p;
    p.world.advance(120'000);
    const Net4 subnet = p.node.subnet();
    p.world.etcd.set_down("10.0.0.1", true);
    p.node.stop();
    p.node.kernel.routes.clear();
    p.node.files.all.erase(SimNode::kSubnetFile);
    p.node.start();
    REQUIRE(p.world.run_until([&] { return gateway(p.node, p.other.subnet()) == p.other.address; }, 5'000));
    CHECK(p.node.log.has("degraded"));
    CHECK(p.node.subnet() == subnet);
    p.world.etcd.set_down("10.0.0.1", false);
    REQUIRE(p.world.run_until([&] { return p.node.running(); }, 120'000));
    p.node.kernel.forget();
    p.world.advance(kAudit);
    CHECK(p.node.kernel.writes == 0);
  }

  TEST_CASE("the interface is another one: the routes move") {
    Pair p;
    p.node.kernel.forget();
    const int other_nic = p.node.kernel.add_nic("eth1", {ip("172.30.9.9"), 16});
    p.node.kernel.set_up(SimNode::kNic, false);
    p.node.kernel.default_link = other_nic;
    p.node.kernel.changed();
    REQUIRE(p.world.run_until([&] {
      const auto at = p.node.kernel.routes.find({p.other.subnet(), 0});
      return at != p.node.kernel.routes.end() && at->second.link == other_nic;
    }));
    CHECK(p.node.kernel.routes.size() == 1);
  }
}
