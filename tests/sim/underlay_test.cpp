// SPDX-License-Identifier: Apache-2.0
// What the overlay stands on: no route of ours may hide it, and our address there stays ours.
#include <algorithm>

#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

constexpr const char* kHidden = "its route would hide";
constexpr const char* kEtcd = "172.30.1.1";
constexpr const char* kGateway = "172.30.2.1";
/// Network is the LAN.
constexpr const char* kOverLan =
    R"({"Network":"172.30.0.0/16","SubnetMin":"172.30.100.0","SubnetMax":"172.30.120.0","Backend":{"Type":"vxlan"}})";

/// A node at 172.30.0.1/16, its gateway and its etcd in Network.
struct OverLan {
  World world;
  SimNode& node;
  explicit OverLan(const char* config = kOverLan) : world(config), node(world.add(1)) {
    node.kernel.default_gateway = ip(kGateway);
    node.etcd_settings.endpoints[0] = {false, {kEtcd}, 2379};
  }
  void put(unsigned third, const char* public_ip = nullptr) {
    world.put("subnets/172.30." + std::to_string(third) + ".0-24", World::peer_value(third, public_ip));
  }
  void remove(unsigned third) {
    world.etcd.remove(World::kPrefix + ("subnets/172.30." + std::to_string(third) + ".0-24"));
  }
  static Net4 subnet(unsigned third) { return {{0xac1e0000u + (third << 8)}, 24}; }
  bool routed(unsigned third) const { return node.kernel.routes.count({subnet(third), 0}) != 0; }
  bool settles(unsigned third) {
    return world.run_until([&] { return node.running() && routed(third); }, 40'000);
  }
  /// An older version programmed and kept these peers, and its own subnet, when nothing spoke against it.
  void live_under_an_older_version() {
    node.etcd_settings.endpoints[0] = {false, {"10.0.0.1"}, 2379};
    put(1);
    put(20);
    node.start();
    REQUIRE(settles(1));
    world.advance(70'000);
    node.stop();
    node.etcd_settings.endpoints[0] = {false, {kEtcd}, 2379};
  }
};

}  // namespace

TEST_SUITE("agent/protected addresses") {
  TEST_CASE("a record whose subnet holds what this node stands on is no peer and is named") {
    OverLan lan;
    std::string why;
    unsigned third = 0;
    SUBCASE("our underlay address") { third = 0, why = "our underlay address"; }
    SUBCASE("the gateway") { third = 2, why = "our gateway"; }
    SUBCASE("the registry") { third = 1, why = "the registry"; }
    SUBCASE("the registry's second endpoint, which nobody has asked yet") {
      lan.node.etcd_settings.endpoints[1] = {false, {"172.30.3.1"}, 2379};
      lan.node.etcd_settings.endpoint_count = 2;
      third = 3, why = "the registry";
    }
    SUBCASE("the gateway on the way to the registry, beside the default route") {
      lan.node.etcd_settings.endpoints[0] = {false, {"10.0.0.1"}, 2379};
      lan.node.kernel.routes[{*parse_net4("10.0.0.0/8"), 0}] = {SimNode::kNic, ip("172.30.4.1"), false};
      third = 4, why = "our gateway";
    }
    SUBCASE("an address of another interface") {
      lan.node.kernel.add_nic("eth1", *parse_net4("172.30.5.9/24"));
      third = 5, why = "another address of this node";
    }
    lan.put(20);
    lan.node.start();
    REQUIRE(lan.settles(20));
    lan.put(third);
    lan.world.advance(2'000);
    CHECK_FALSE(lan.routed(third));
    CHECK(lan.node.log.has(kHidden));
    CHECK(lan.node.log.has("subnet=" + std::string(text_of(OverLan::subnet(third)).view())));
    CHECK(lan.node.log.has(why));
    CHECK(lan.node.counts().ignored == 1);
    lan.remove(third);
    lan.world.advance(2'000);
    CHECK(lan.node.counts().ignored == 0);
    CHECK(lan.routed(20));
  }

  TEST_CASE("a record whose subnet holds its own PublicIP is no peer and is named") {
    OverLan lan;
    lan.put(9, "172.30.9.7");
    lan.put(20);
    lan.node.start();
    REQUIRE(lan.settles(20));
    lan.world.advance(2'000);
    CHECK_FALSE(lan.routed(9));
    CHECK(lan.node.log.has("its subnet holds its own public IP"));
  }

  TEST_CASE("a PublicIP that is the LAN's broadcast address is named; the gateway or etcd's host is a peer") {
    OverLan lan;
    lan.put(20, "172.30.255.255");
    lan.put(21, kGateway);
    lan.put(22, kEtcd);
    lan.node.start();
    REQUIRE(lan.settles(21));
    lan.world.advance(2'000);
    CHECK(lan.routed(22));
    CHECK_FALSE(lan.routed(20));
    CHECK(lan.node.log.count("public_ip=172.30.255.255") == 1);
  }

  TEST_CASE("a node never takes a subnet that holds what it stands on") {
    OverLan lan(
        R"({"Network":"172.30.0.0/16","SubnetMin":"172.30.0.0","SubnetMax":"172.30.3.0","Backend":{"Type":"vxlan"}})");
    bool named = true;
    SUBCASE("by chance") { named = false; }
    SUBCASE("as the subnet file says") {
      lan.node.files.all[SimNode::kSubnetFile] = "FLANNEL_SUBNET=172.30.1.1/24\n";
    }
    SUBCASE("as its own record says") { lan.put(1, "172.30.0.1"); }
    SUBCASE("as the state files of an older version say") {
      World older(R"({"Network":"172.30.0.0/16","SubnetMin":"172.30.1.0","SubnetMax":"172.30.1.0"})");
      SimNode& before = older.add_started(1);
      REQUIRE(older.run_until([&] { return before.running(); }));
      older.advance(5'000);
      lan.node.files.all = before.files.all;
      lan.world.etcd.set_down(kEtcd, true);
      lan.node.start();
      lan.world.advance(5'000);
      CHECK(lan.node.device() == nullptr);
      CHECK(lan.node.log.count("our subnet holds") == 1);
      lan.world.etcd.set_down(kEtcd, false);
    }
    if (!lan.node.started()) lan.node.start();
    REQUIRE(lan.world.run_until([&] { return lan.node.running(); }, 40'000));
    lan.world.advance(2'000);
    CHECK(lan.node.subnet() == OverLan::subnet(3));
    CHECK(lan.node.log.has("our subnet holds") == named);
  }

  TEST_CASE("all free subnets hold what the node stands on: it waits for another one") {
    OverLan lan(
        R"({"Network":"172.30.0.0/16","SubnetMin":"172.30.0.0","SubnetMax":"172.30.2.0","Backend":{"Type":"vxlan"}})");
    lan.node.start();
    lan.world.advance(10'000);
    CHECK(lan.node.state() == agent::State::kClaiming);
    CHECK(lan.node.log.has("no subnet is free"));
  }

  TEST_CASE(
      "after a reboot, with etcd three seconds late, a peer that an older version kept does not hide etcd") {
    OverLan lan;
    lan.live_under_an_older_version();
    lan.world.etcd.set_down(kEtcd, true);
    lan.node.reboot();
    REQUIRE(lan.world.run_until([&] { return lan.routed(20); }, 2'000));
    CHECK_FALSE(lan.routed(1));
    CHECK(lan.node.log.count(kHidden) == 1);
    lan.world.advance(1'000);
    lan.world.etcd.set_down(kEtcd, false);
    REQUIRE(lan.world.run_until([&] { return lan.node.running(); }, 10'000));
    lan.world.advance(2'000);
    CHECK_FALSE(lan.routed(1));
    CHECK(lan.routed(20));
  }

  TEST_CASE("a restart takes out the route by which an older version hid etcd, with state files or without") {
    OverLan lan;
    lan.live_under_an_older_version();
    REQUIRE(lan.routed(1));
    SUBCASE("with") {}
    SUBCASE("without") { lan.node.files.all.clear(); }
    lan.world.etcd.set_down(kEtcd, true);
    lan.node.start();
    lan.world.advance(1);
    CHECK_FALSE(lan.routed(1));
    CHECK(lan.routed(20));
    lan.world.etcd.set_down(kEtcd, false);  // as it is seen from here
    REQUIRE(lan.world.run_until([&] { return lan.node.running(); }, 10'000));
    lan.world.advance(2'000);
    CHECK_FALSE(lan.routed(1));
    CHECK(lan.routed(20));
  }

  TEST_CASE("a registry by name is protected as soon as the name is resolved, and from the state files too") {
    OverLan lan;
    lan.node.etcd_settings.endpoints[0] = {false, {"etcd.lan"}, 2379};
    lan.put(1);
    lan.put(20);
    lan.node.start();
    REQUIRE(lan.settles(1));
    lan.world.advance(70'000);
    lan.world.etcd.names["etcd.lan"] = ip(kEtcd);
    lan.world.etcd.cut_all();
    REQUIRE(lan.world.run_until([&] { return !lan.routed(1); }, 5'000));
    CHECK(lan.routed(20));
    CHECK(lan.node.log.has("the registry"));
    lan.world.etcd.set_down("etcd.lan", true);
    lan.node.reboot();
    REQUIRE(lan.world.run_until([&] { return lan.routed(20); }, 2'000));
    CHECK_FALSE(lan.routed(1));
  }

  TEST_CASE("addresses change: a peer that has become harmful loses its route and is named, and comes back") {
    OverLan lan;
    lan.put(9);
    lan.put(20);
    lan.node.start();
    REQUIRE(lan.settles(9));
    SUBCASE("the node's own") { lan.node.change_address(ip("172.30.9.5")); }
    SUBCASE("the gateway's") {
      lan.node.kernel.default_gateway = ip("172.30.9.5");
      lan.node.kernel.changed();
    }
    SUBCASE("a new interface's") { lan.node.kernel.add_nic("eth1", *parse_net4("172.30.9.5/24")); }
    SUBCASE("a virtual one's") {
      lan.node.kernel.addresses.push_back({.link_index = SimNode::kNic, .net = *parse_net4("172.30.9.5/32")});
      lan.node.kernel.changed();
    }
    lan.world.advance(2'000);
    CHECK_FALSE(lan.routed(9));
    CHECK(lan.routed(20));
    CHECK(lan.node.log.count(kHidden) == 1);
    lan.node.kernel.default_gateway = ip(kGateway);
    if (lan.node.kernel.links.back().name.view() == "eth1")
      lan.node.kernel.remove_link(lan.node.kernel.links.back().index);
    lan.node.change_address(ip("172.30.0.1"));
    lan.world.advance(2'000);
    CHECK(lan.routed(9));
  }

  TEST_CASE("a flat 10/8 LAN with Network 10.244/16 works, LAN neighbours included, and is warned of once") {
    World world(R"({"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}})");
    SimNode& a = world.add(1);
    SimNode& b = world.add(2);
    for (SimNode* node : {&a, &b}) {
      node->kernel.replace_address(SimNode::kNic, {ip(node == &a ? "10.1.2.3" : "10.9.8.7"), 8});
      node->address = ip(node == &a ? "10.1.2.3" : "10.9.8.7");
      node->kernel.default_gateway = ip("10.0.0.254");
      node->start();
    }
    CHECK(world.run_until_all_know_all());
    world.advance(700'000);
    a.restart();
    CHECK(world.run_until_all_know_all());
    CHECK(a.log.count("overlaps a connected prefix") == 2);  // once a start
    CHECK(b.log.count("overlaps a connected prefix") == 1);
    CHECK_FALSE(a.log.has("ignored"));
  }

  TEST_CASE("the pods' bridge is no underlay: the subnet stays over a restart, and nothing is warned of") {
    World world;
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.running() && node.ready_count() == 1; }));
    const Net4 subnet = node.subnet();
    node.kernel.add_nic("cni0", {{subnet.base.value + 1}, 24});
    node.kernel.add_nic("veth1", {{subnet.base.value + 130}, 25});
    world.advance(2'000);
    bool warns = false;
    SUBCASE("with its files") {}
    SUBCASE("without") { node.files.all.clear(), warns = true; }  // nothing says that the bridge is ours
    SUBCASE("with a new address, without the state files") {
      node.files.all.erase(SimNode::kNodeFile);
      node.stop();
      node.change_address(ip("172.30.7.7"));
      node.start();
    }
    node.restart();
    REQUIRE(world.run_until([&] { return node.running() && node.subnet() != Net4{}; }));
    CHECK(node.subnet() == subnet);
    CHECK(node.log.has("overlaps") == warns);
    CHECK_FALSE(node.log.has("ignored"));
    CHECK_FALSE(node.log.has("our subnet holds"));
  }
}

TEST_SUITE("agent/address in use") {
  namespace {
  constexpr const char* kVip = "172.30.0.100";

  /// DHCP gave the node its address; a keepalived of the LAN has kVip.
  struct Virtual {
    World world;
    SimNode& node = world.add(1);
    SimNode& other = world.add(2);
    Virtual() {
      for (SimNode* each : {&node, &other}) {
        each->start();
      }
      REQUIRE(world.run_until_all_know_all());
    }
    static void take_vip(SimNode& at, std::uint8_t length = 32) {
      at.kernel.addresses.push_back(
          {.link_index = SimNode::kNic, .net = {ip(kVip), length}, .secondary = length < 32});
      at.kernel.changed();
    }
    static void lose(SimNode& at, Ip4 address) {
      std::erase_if(at.kernel.addresses, [&](const auto& a) { return a.net.base == address; });
      at.kernel.changed();
    }
    bool knows(SimNode& at) {
      world.advance(2'000);
      const std::string text(text_of(at.address).view());
      return world.value_of(at.key()).find('"' + text + '"') != std::string::npos &&
             at.device()->local == at.address;
    }
  };
  }  // namespace

  TEST_CASE("keepalived's virtual address comes to a node with a DHCP lease, and goes: its record stays") {
    Virtual v;
    const auto revision = v.world.etcd.revision();
    Virtual::take_vip(v.node);
    CHECK(v.knows(v.node));
    SUBCASE("moves to the other") {
      Virtual::lose(v.node, ip(kVip));
      Virtual::take_vip(v.other);
    }
    SUBCASE("on both nodes at once") { Virtual::take_vip(v.other); }
    CHECK(v.knows(v.node));
    CHECK(v.knows(v.other));
    CHECK(v.world.all_know_all());
    CHECK(v.world.etcd.revision() == revision);
  }

  TEST_CASE("the address in use stays over a restart while a virtual one is here, wherever it stands") {
    Virtual v;
    const std::string value = v.world.value_of(v.node.key());
    std::uint8_t length = 32;
    SUBCASE("a /32") {}
    SUBCASE("in the LAN's prefix, before the lease in the kernel's order") { length = 16; }
    Virtual::take_vip(v.node, length);
    std::rotate(v.node.kernel.addresses.begin(), v.node.kernel.addresses.end() - 1,
                v.node.kernel.addresses.end());
    v.node.kernel.addresses.front().secondary = false;
    SUBCASE("restart") { v.node.restart(); }
    SUBCASE("reboot") { v.node.reboot(); }
    SUBCASE("restart without the state files") {
      v.node.stop();
      v.node.files.all.erase(SimNode::kNodeFile);
      v.node.start();
    }
    REQUIRE(v.world.run_until_all_know_all());
    CHECK(v.knows(v.node));
    CHECK(v.world.value_of(v.node.key()) == value);
    CHECK(v.world.all_know_all());
  }

  TEST_CASE("a virtual address that another node's record has is no reason to take that record over") {
    Virtual v;
    v.world.put("subnets/10.5.250.0-24", World::peer_value(250, kVip));
    v.node.stop();
    v.node.files.all.erase(SimNode::kNodeFile);
    Virtual::take_vip(v.node);
    v.node.start();
    REQUIRE(v.world.run_until([&] { return v.node.running(); }));
    CHECK(v.knows(v.node));
    CHECK(v.world.value_of("10.5.250.0-24") == World::peer_value(250, kVip));
  }

  TEST_CASE("the address in use really goes: the other one is taken") {
    Virtual v;
    Virtual::take_vip(v.node);
    v.world.advance(2'000);
    Virtual::lose(v.node, v.node.address);
    v.node.address = ip(kVip);
    CHECK(v.knows(v.node));
    REQUIRE(v.world.run_until_all_know_all());
  }

  TEST_CASE("--iface=ADDRESS and --public-ip win over the address in use") {
    Virtual v;
    Virtual::take_vip(v.node);
    v.node.stop();
    SUBCASE("iface") { REQUIRE(v.node.settings.interface.names.add(kVip)); }
    SUBCASE("public-ip") { v.node.settings.interface.public_ip = ip(kVip); }
    v.node.start();
    v.node.address = ip(kVip);
    REQUIRE(v.world.run_until_all_know_all());
    CHECK(v.knows(v.node));
  }
}
