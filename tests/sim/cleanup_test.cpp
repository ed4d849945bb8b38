// SPDX-License-Identifier: Apache-2.0
// Cleanup when the kernel or the disk refuses: what is not done stays known, and a later call does it.
#include <doctest/doctest.h>

#include "flannelette/agent/cleanup.hpp"
#include "flannelette/agent/known_node.hpp"
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;
using agent::Cleaning;

namespace {

/// A node that has joined, with two peers, and was stopped.
struct Stopped {
  Stopped() {
    node.settings.ip_masq = true;
    world.put_peer(20);
    world.put_peer(21);
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1 && node.routes() == 2; }));
    world.advance(60'000);
    REQUIRE(node.files.all.contains(SimNode::kPeersFile));
    node.stop();
  }
  bool clean(Cleaning cleaning = Cleaning::kOurs) {
    Log log(node.log, world.clock, Level::kInfo);
    return agent::clean_up({node.kernel, node.kernel, node.kernel, node.kernel, node.files, log},
                           node.settings, cleaning, nullptr);
  }
  bool nothing_left() const {
    return node.device() == nullptr && node.kernel.routes.empty() && !node.kernel.rules &&
           !node.files.all.contains(SimNode::kNodeFile) && !node.files.all.contains(SimNode::kPeersFile) &&
           !node.files.all.contains(SimNode::kSubnetFile);
  }

  World world;
  SimNode& node = world.add(1);
};

}  // namespace

TEST_SUITE("agent/cleanup") {
  TEST_CASE("all goes, and a second time there is nothing to do and nothing is written") {
    Stopped s;
    CHECK(s.clean());
    CHECK(s.nothing_left());
    const auto writes = s.node.kernel.writes;
    CHECK(s.clean());
    CHECK(s.node.kernel.writes == writes);
    CHECK(s.node.log.count("there was nothing to remove") == 1);
  }

  TEST_CASE("for a flanneld rules and state go, device, routes and subnet file stay as they are") {
    Stopped s;
    const auto device = *s.node.device();
    const std::string subnet_file = s.node.files.all[SimNode::kSubnetFile];
    CHECK(s.clean(Cleaning::kForFlanneld));
    REQUIRE(s.node.device() != nullptr);
    CHECK(s.node.device()->mac == device.mac);
    CHECK(s.node.device()->up);
    CHECK(s.node.routes() == 2);
    CHECK_FALSE(s.node.kernel.rules);
    CHECK(s.node.files.all[SimNode::kSubnetFile] == subnet_file);
    CHECK_FALSE(s.node.files.all.contains(SimNode::kNodeFile));
    CHECK_FALSE(s.node.files.all.contains(SimNode::kPeersFile));
    const auto writes = s.node.kernel.writes;
    CHECK(s.clean(Cleaning::kForFlanneld));
    CHECK(s.node.kernel.writes == writes);
  }

  TEST_CASE("what cannot be removed is named, the state stays, and the next time the rest goes") {
    using Call = FakeKernel::Call;
    Stopped s;
    const Error denied{Code::kDenied, 1, "refused"};
    bool disk = false;
    SUBCASE("the device") { s.node.kernel.fail(Call::kDeleteDevice, denied); }
    SUBCASE("the rules") { s.node.kernel.fail(Call::kApplyRules, denied); }
    SUBCASE("the list of links") { s.node.kernel.fail(Call::kDumpLinks, denied); }
    SUBCASE("routes elsewhere") { s.node.kernel.fail(Call::kDumpEntries, denied); }
    SUBCASE("the files") { disk = s.node.files.read_only = true; }
    CHECK_FALSE(s.clean());
    CHECK(s.node.log.has("cannot remove it; run cleanup again when the cause is gone"));
    CHECK(s.node.files.all.contains(SimNode::kNodeFile));
    if (disk) s.node.files.read_only = false;
    CHECK(s.clean());
    CHECK(s.nothing_left());
  }

  TEST_CASE("routes to peers on our link go, those of routing daemons and of other networks stay") {
    World world(R"({"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","DirectRouting":true}})");
    SimNode& node = world.add(1);
    world.etcd.put(std::string(World::kPrefix) + "subnets/" + World::peer_key(20),
                   World::peer_value(20, "172.30.0.20"));
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    const auto direct = std::pair(World::peer_subnet(20), 0u);
    REQUIRE(world.run_until([&] { return node.kernel.routes.contains(direct); }));
    REQUIRE(node.kernel.routes.at(direct).link == SimNode::kNic);
    node.stop();
    node.kernel.routes[{{ip("10.9.0.0"), 24}, 0}] = {SimNode::kNic, ip("172.30.0.9"), false, 70};
    node.kernel.routes[{{ip("10.5.77.0"), 24}, 0}] = {SimNode::kNic, ip("172.30.0.9"), false, 186};
    Log log(node.log, world.clock, Level::kInfo);
    CHECK(agent::clean_up({node.kernel, node.kernel, node.kernel, node.kernel, node.files, log},
                          node.settings, Cleaning::kOurs, nullptr));
    CHECK(node.kernel.routes.size() == 2);
    CHECK_FALSE(node.kernel.routes.contains(direct));
  }

  TEST_CASE("a node that flanneld serves is left alone, and so is the table of another daemon") {
    World world;
    SimNode& node = world.add(1);
    overlay::Device device;
    device.name = "flannel.1";
    device.is_vxlan = device.up = true;
    device.vni = 1;
    device.port = 8472;
    device.mac = mac(77);
    device.lower_index = SimNode::kNic;
    const int index = node.kernel.add_device(device);
    node.kernel.addresses.push_back({.link_index = index, .net = Net4{ip("10.5.7.0"), 32}});
    node.files.all[SimNode::kSubnetFile] = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.7.1/24\n";
    node.kernel.rules.emplace();
    Log log(node.log, world.clock, Level::kInfo);
    const auto clean = [&](Cleaning cleaning) {
      return agent::clean_up({node.kernel, node.kernel, node.kernel, node.kernel, node.files, log},
                             node.settings, cleaning, nullptr);
    };
    CHECK(clean(Cleaning::kOurs));
    CHECK(clean(Cleaning::kForFlanneld));
    CHECK(node.device() != nullptr);
    CHECK(node.files.all.contains(SimNode::kSubnetFile));
    CHECK(node.kernel.rules);
    CHECK(clean(Cleaning::kFlanneldToo));
    CHECK(node.device() == nullptr);
    CHECK_FALSE(node.files.all.contains(SimNode::kSubnetFile));
  }

  TEST_CASE("our device under another name goes, too") {
    Stopped s;
    for (overlay::Device& device : s.node.kernel.devices) device.name = "renamed";
    CHECK(s.clean());
    CHECK(s.node.kernel.devices.empty());
  }

  TEST_CASE("of a state file that cannot be read it is not known what it said; cleanup removes it") {
    Stopped s;
    s.node.files.all[SimNode::kNodeFile] = "flannelette node 99\n";
    s.node.files.all.erase(SimNode::kSubnetFile);
    Log log(s.node.log, s.world.clock, Level::kInfo);
    CHECK_FALSE(agent::find_node(s.node.kernel, s.node.kernel, s.node.files, log, s.node.settings));
    CHECK(s.clean());
    CHECK_FALSE(s.node.files.all.contains(SimNode::kNodeFile));
  }
}
