// SPDX-License-Identifier: Apache-2.0
// How a node comes into the cluster, and comes back.
#include <set>

#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

void check_all_know_all(World& world) {
  std::set<std::string> subnets;
  for (std::size_t i = 0; i < world.size(); ++i) subnets.insert(world.node(i).key());
  CHECK(subnets.size() == world.size());
  for (std::size_t i = 0; i < world.size(); ++i) CHECK(world.node(i).routes() == world.size() - 1);
}

}  // namespace

TEST_SUITE("agent/join") {
  TEST_CASE("a node joins an empty cluster: device, subnet.env and record are what flanneld makes") {
    World world;
    SimNode& node = world.add_started(11);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }, 5'000));

    const auto device = node.device();
    REQUIRE(device);
    CHECK(device->name.view() == "flannel.1");
    CHECK(device->is_vxlan);
    CHECK(device->up);
    CHECK(device->vni == 1);
    CHECK(device->port == 8472);
    CHECK(device->local == node.address);
    CHECK(device->lower_index == 0);
    CHECK(device->mtu == 1450);
    CHECK(!device->learning);
    CHECK((device->mac.bytes[0] & 3) == 2);
    CHECK(node.entries() == "");

    const Net4 subnet = node.subnet();
    CHECK(subnet.length == 24);
    CHECK(Net4{ip("10.5.0.0"), 16}.contains(subnet));
    CHECK(subnet.base != ip("10.5.0.0"));
    std::string base(text_of(subnet.base).view());
    CHECK(node.subnet_env() ==
          "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=" + base.substr(0, base.size() - 1) +
              "1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n");
    CHECK(world.value_of(node.key()) ==
          R"({"PublicIP":"172.30.0.11","PublicIPv6":null,"BackendType":"vxlan","BackendData":)"
          R"({"VNI":1,"VtepMAC":")" +
              std::string(text_of(node.mac()).view()) + R"("}})");
    CHECK(node.log.has("info: ready"));
    CHECK(!node.log.has("error:"));
  }

  TEST_CASE("a node joins three others: each programs each, in the kernel's three tables") {
    World world;
    for (unsigned i = 1; i <= 3; ++i) world.add_started(i);
    REQUIRE(world.run_until_all_know_all());
    world.add_started(4);
    REQUIRE(world.run_until_all_know_all());
    check_all_know_all(world);
  }

  TEST_CASE(
      "compat 9.9: fifty nodes in the same instant get fifty subnets, and each knows all others within 5 s") {
    World world;
    for (unsigned i = 1; i <= 50; ++i) world.add_started(i);
    REQUIRE(world.run_until_all_know_all(5'000));
    check_all_know_all(world);
    for (std::size_t i = 0; i < world.size(); ++i) CHECK(!world.node(i).log.has("error:"));
  }

  TEST_CASE("a lost race is run again at once: many nodes, hardly more subnets") {
    World world(
        R"({"Network":"10.5.0.0/16","SubnetLen":24,"SubnetMin":"10.5.1.0","SubnetMax":"10.5.12.0","Backend":{"Type":"vxlan"}})");
    for (unsigned i = 1; i <= 12; ++i) world.add_started(i);
    REQUIRE(world.run_until_all_know_all(3'000));
    check_all_know_all(world);
  }

  TEST_CASE("a restart keeps MAC and subnet, and writes neither to the kernel nor to etcd") {
    World world;
    world.put_peer(77);
    SimNode& node = world.add_started(1);
    world.add_started(2);
    REQUIRE(world.run_until_all_know_all());
    world.advance(10'000);
    const Mac mac = node.mac();
    const Net4 subnet = node.subnet();
    const std::string entries = node.entries();
    const auto kernel_writes = node.kernel.writes;
    const int file_writes = node.files.writes;
    const auto revision = world.etcd.revision();

    node.restart();
    REQUIRE(world.run_until([&] { return node.ready_count() == 2; }));
    world.advance(10'000);
    CHECK(node.mac() == mac);
    CHECK(node.subnet() == subnet);
    CHECK(node.entries() == entries);
    CHECK(node.kernel.writes == kernel_writes);
    CHECK(node.files.writes == file_writes);
    CHECK(world.etcd.revision() == revision);
    CHECK(!node.log.has("peer ignored"));
  }

  TEST_CASE("stopping leaves the data plane, the lease and subnet.env as they are") {
    World world;
    SimNode& node = world.add_started(1);
    world.add_started(2);
    REQUIRE(world.run_until_all_know_all());
    const std::string entries = node.entries();
    const auto kernel_writes = node.kernel.writes;
    const auto revision = world.etcd.revision();
    node.stop();
    world.advance(60'000);
    CHECK(node.entries() == entries);
    CHECK(node.kernel.writes == kernel_writes);
    CHECK(node.device()->up);
    CHECK(node.subnet_env() != "");
    CHECK(world.etcd.revision() == revision);
  }

  TEST_CASE("after a reboot MAC and subnet come from our own lease") {
    World world;
    SimNode& node = world.add_started(1);
    SimNode& other = world.add_started(2);
    REQUIRE(world.run_until_all_know_all());
    const Mac mac = node.mac();
    const Net4 subnet = node.subnet();
    node.reboot();
    CHECK(!node.device());
    REQUIRE(world.run_until_all_know_all());
    CHECK(node.mac() == mac);
    CHECK(node.subnet() == subnet);
    CHECK(other.routes() == 1);
    CHECK(!node.log.has("peer ignored"));
    CHECK(!node.log.has("two nodes"));
  }

  TEST_CASE("a node that boots under another address is reached beside its earlier record") {
    World world;
    SimNode& node = world.add_started(1);
    SimNode& other = world.add_started(2);
    REQUIRE(world.run_until_all_know_all());
    const Mac mac = node.mac();
    node.change_address(ip("172.30.9.9"));
    node.reboot();
    REQUIRE(world.run_until_all_know_all());
    CHECK(node.mac() != mac);
    CHECK(other.routes() == 2);
    CHECK(!other.log.has("peer shadowed"));
    CHECK(!node.log.has("peer ignored"));
  }

  TEST_CASE("the subnet of the subnet file is taken again if the lease is gone and nobody has it") {
    World world;
    SimNode& node = world.add(1);
    node.files.all[SimNode::kSubnetFile] =
        "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.42.1/24\nFLANNEL_MTU=1450\n";
    SUBCASE("free") {
      node.start();
      REQUIRE(world.run_until([&] { return node.running(); }));
      CHECK(node.key() == "10.5.42.0-24");
    }
    SUBCASE("another has it") {
      world.put_peer(42);
      node.start();
      REQUIRE(world.run_until([&] { return node.running(); }));
      world.advance(1'000);
      CHECK(node.key() != "10.5.42.0-24");
    }
    SUBCASE("a key that is no lease stands in its way") {
      world.put("subnets/10.5.42.0-junk", "?");
      node.start();
      REQUIRE(world.run_until([&] { return node.running(); }));
      world.advance(1'000);
      CHECK(node.key() != "10.5.42.0-24");
    }
    SUBCASE("the network is another now") {
      world.put_config(R"({"Network":"10.6.0.0/16","Backend":{"Type":"vxlan"}})");
      node.start();
      REQUIRE(world.run_until([&] { return node.running(); }));
      world.advance(1'000);
      CHECK(Net4{ip("10.6.0.0"), 16}.contains(node.subnet()));
    }
  }

  TEST_CASE("no subnet is free: it waits, saying so, and joins when one becomes free") {
    World world(
        R"({"Network":"10.5.0.0/16","SubnetMin":"10.5.1.0","SubnetMax":"10.5.2.0","Backend":{"Type":"vxlan"}})");
    world.put_peer(1);
    world.put_peer(2);
    SimNode& node = world.add_started(9);
    world.advance(3'600'000);
    CHECK(node.state() == agent::State::kClaiming);
    CHECK(node.log.has("no subnet is free"));
    CHECK(node.log.lines.size() < 100);
    CHECK(!node.device());
    world.remove_peer(2);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }, 1'000));
    CHECK(node.key() == "10.5.2.0-24");
  }

  TEST_CASE(
      "the key of a dual-stack node blocks its subnet, whether it is listed or comes in the last moment") {
    World world(
        R"({"Network":"10.5.0.0/16","SubnetMin":"10.5.1.0","SubnetMax":"10.5.2.0","Backend":{"Type":"vxlan"}})");
    world.put("subnets/10.5.1.0-24&fd00:5:0:1::-64", World::peer_value(7));
    SUBCASE("listed") {
      SimNode& node = world.add_started(9);
      REQUIRE(world.run_until([&] { return node.running(); }));
      world.advance(1'000);
      CHECK(node.key() == "10.5.2.0-24");
    }
    SUBCASE("in the last moment") {
      SimNode& node = world.add_started(9);
      REQUIRE(world.run_until([&] { return node.state() == agent::State::kClaiming; }));
      world.put("subnets/10.5.2.0-24&fd00:5:0:2::-64", World::peer_value(8));
      world.advance(5'000);
      CHECK(!node.running());
      CHECK(world.value_of("10.5.2.0-24").empty());
    }
  }

  TEST_CASE("the subnet file cannot be written: the node is ready as soon as it can") {
    World world;
    SimNode& node = world.add(1);
    node.files.read_only_below = "/run/";
    node.start();
    REQUIRE(world.run_until([&] { return node.log.has("cannot write the subnet file"); }));
    world.advance(30'000);
    CHECK(node.running());
    CHECK(node.ready_count() == 0);
    node.files.read_only_below.clear();
    CHECK(world.run_until([&] { return node.ready_count() == 1; }, 60'000));
    CHECK_FALSE(node.subnet_env().empty());
  }

  TEST_CASE("it waits for the interface, and for its address") {
    World world;
    SimNode& node = world.add(1);
    node.set_default_route(false);
    node.start();
    world.advance(3'600'000);
    CHECK(node.state() == agent::State::kInterface);
    CHECK(node.log.count("waiting for the interface") == 1);
    node.set_default_route(true);
    REQUIRE(world.run_until([&] { return node.running(); }, 65'000));
  }

  TEST_CASE("an address that changes while we wait for the config is the one that counts") {
    World world(nullptr);
    SimNode& node = world.add_started(1);
    world.advance(100'000);
    node.change_address(ip("172.30.0.99"));
    world.advance(1'000);
    world.put_config(World::kConfig);
    REQUIRE(world.run_until([&] { return node.running(); }, 65'000));
    world.advance(1'000);
    CHECK(node.device()->local == node.address);
    CHECK(world.value_of(node.key()).find("172.30.0.99") != std::string::npos);
  }
}
