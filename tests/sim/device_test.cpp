// SPDX-License-Identifier: Apache-2.0
// What others do to our device, what is in its way, and what an earlier config left.
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

/// A device is to be right again that soon, with its entries.
constexpr Millis kSoon = 300;
/// As long as its name, VNI or port is taken, it is tried that often.
constexpr Millis kTaken = 6'000;

/// A node with a hundred peers, at rest.
struct Damaged {
  World world{R"({"Network":"10.5.0.0/16","SubnetMin":"10.5.200.0","Backend":{"Type":"vxlan"}})"};
  SimNode& node = world.add(1);
  std::string entries;
  overlay::Device device;
  std::size_t entry_changes = 0;  // by the repair
  Damaged() {
    for (unsigned i = 1; i <= 100; ++i) world.put_peer(i);
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(1'000);
    REQUIRE(node.routes() == 100);
    entries = node.entries();
    device = *node.device();
    node.kernel.forget();
  }
  /// As it was before the damage, and nothing is written after that.
  void check_repaired(Millis within = kSoon) {
    const auto right = [&] {
      const overlay::Device* have = node.device();
      return have != nullptr && have->up && have->master_index == 0 && have->mac == device.mac &&
             have->forwarding && !have->strict_rp_filter && have->local == device.local &&
             have->mtu == device.mtu && have->port == device.port && !have->learning && addresses() == 1 &&
             node.routes() == 100;
    };
    CHECK(world.run_until(right, within));
    world.advance(1'000);
    CHECK(right());
    entry_changes = node.kernel.changes.size();
    node.kernel.forget();
    world.advance(60'000);
    CHECK(node.kernel.writes == 0);
  }
  int index() const { return node.device()->index; }
  long addresses() const {
    return std::count_if(node.kernel.addresses.begin(), node.kernel.addresses.end(),
                         [&](const auto& address) { return address.link_index == index(); });
  }
};

overlay::Device vxlan(const char* name, std::uint32_t vni, std::uint16_t port) {
  overlay::Device device;
  device.name = name;
  device.is_vxlan = true;
  device.up = true;
  device.vni = vni;
  device.port = port;
  device.mac = mac(0x7777);
  return device;
}

}  // namespace

TEST_SUITE("agent/device") {
  TEST_CASE("deleted: recreated with all entries") {
    Damaged d;
    d.node.kernel.remove_link(d.index());
    d.check_repaired();
    CHECK(d.node.entries().size() == d.entries.size());
  }

  TEST_CASE("renamed: it gets its name back, and no entry is written") {
    Damaged d;
    const int index = d.index();
    d.node.kernel.rename(index, "wan0");
    d.check_repaired();
    CHECK(d.index() == index);
    CHECK(d.entry_changes == 0);
    CHECK(d.node.log.has("device renamed back device=flannel.1 was=wan0"));
  }

  TEST_CASE("renamed, with another link in the place of its name: that goes") {
    Damaged d;
    const int index = d.index();
    d.node.kernel.rename(index, "wan0");
    overlay::Device bridge;
    bridge.name = "flannel.1";
    d.node.kernel.add_device(bridge);
    d.check_repaired();
    CHECK(d.index() == index);
    CHECK(d.node.log.has("reason=\"it is not a VXLAN device\""));
  }

  TEST_CASE("renamed and given another MAC at once: it gets both back") {
    Damaged d;
    d.node.kernel.set_mac(d.index(), mac(9999));
    d.node.kernel.rename(d.index(), "odd0");
    d.check_repaired();
  }

  TEST_CASE("renamed while we are stopped: found by VNI, port and MAC") {
    Damaged d;
    const int index = d.index();
    d.node.stop();
    d.node.kernel.rename(index, "wan0");
    d.node.start();
    d.check_repaired(5'000);
    CHECK(d.index() == index);
  }

  TEST_CASE("put into a bridge: taken out") {
    Damaged d;
    d.node.kernel.set_master(d.index(), SimNode::kNic);
    d.check_repaired();
    CHECK(d.node.log.has("changed=master"));
    CHECK(d.entry_changes == 0);
  }

  TEST_CASE("set down: up again with all routes and neighbours") {
    Damaged d;
    d.node.kernel.set_up(d.index(), false);
    d.check_repaired();
    CHECK(d.node.entries() == d.entries);
  }

  TEST_CASE("MAC changed: restored with all neighbours") {
    Damaged d;
    d.node.kernel.set_mac(d.index(), mac(0x4242));
    d.check_repaired();
    CHECK(d.node.entries() == d.entries);
  }

  TEST_CASE("wrong MTU, and wrong local: restored in place") {
    Damaged d;
    const int index = d.index();
    d.node.kernel.set_mtu(index, 1400);
    for (auto& device : d.node.kernel.devices) device.local = ip("192.0.2.1");
    d.check_repaired();
    CHECK(d.index() == index);
    CHECK(d.node.log.has("changed=local,mtu"));
  }

  TEST_CASE("forwarding switched off, and rp_filter made strict: set again, and no entry is written") {
    Damaged d;
    const auto damage = [&](bool overlay::Device::*setting, bool value) {
      for (auto& device : d.node.kernel.devices) device.*setting = value;
      d.node.kernel.settings_changed();
      d.check_repaired(100);
      CHECK(d.entry_changes == 0);
    };
    damage(&overlay::Device::forwarding, false);
    damage(&overlay::Device::strict_rp_filter, true);
    CHECK(d.node.log.count("device adjusted device=flannel.1 changed=forwarding") == 1);
    CHECK(d.node.log.count("device adjusted device=flannel.1 changed=rp_filter") == 1);
  }

  TEST_CASE("a foreign address inside Network: removed; one outside stays") {
    Damaged d;
    d.node.kernel.addresses.push_back({.link_index = d.index(), .net = Net4{ip("10.5.77.1"), 16}});
    d.node.kernel.changed();
    d.check_repaired();
    d.node.kernel.addresses.push_back({.link_index = d.index(), .net = Net4{ip("192.0.2.1"), 24}});
    d.node.kernel.changed();
    d.world.advance(1'000);
    CHECK(d.addresses() == 2);
  }

  TEST_CASE("damaged again and again: repaired ten times, then once a minute, and reported once") {
    Damaged d;
    int repairs = 0;
    bool deleted = false, setting = false;
    SUBCASE("deleted") { deleted = true; }
    SUBCASE("its MTU changed") {}
    SUBCASE("its forwarding switched off") { setting = true; }
    const auto damage_if_right = [&] {
      const overlay::Device* have = d.node.device();
      if (have == nullptr || (!deleted && (have->mtu != 1450 || !have->forwarding))) return;
      ++repairs;
      if (deleted) return d.node.kernel.remove_link(d.index());
      if (!setting) return d.node.kernel.set_mtu(d.index(), 1400);
      for (auto& device : d.node.kernel.devices) device.forwarding = false;
      d.node.kernel.settings_changed();
    };
    for (int i = 0; i < 50; ++i) {
      damage_if_right();
      d.world.advance(1'000);
    }
    CHECK(repairs == 11);
    CHECK(d.node.log.count("another program keeps changing the device; repaired once a minute") == 1);
    d.world.put_peer(150);
    d.world.advance(100);
    CHECK((d.node.routes() == 101) == !deleted);  // the rest goes on
    d.world.remove_peer(150);
    for (int i = 0; i < 50; ++i) {
      damage_if_right();
      d.world.advance(12'000);
    }
    CHECK(repairs >= 15);
    CHECK(repairs <= 22);
    d.check_repaired(130'000);
    CHECK(d.node.log.count("another program keeps changing the device; repaired once a minute") == 1);
    d.world.advance(20 * 60'000);
    d.node.kernel.set_mtu(d.index(), 1400);
    d.check_repaired();
  }

  TEST_CASE(
      "a kind of damage that is left to another program for a minute stops the repair of no other kind") {
    Damaged d;
    for (int i = 0; i < 10; ++i) {
      d.node.kernel.rename(d.index(), "wan0");
      REQUIRE(d.world.run_until([&] { return d.node.device() != nullptr; }, kSoon));
    }
    const int index = d.index();
    d.node.kernel.rename(index, "wan0");
    d.world.advance(1'000);
    CHECK(d.node.device() == nullptr);
    CHECK(d.node.log.count("repaired once a minute from now on device=flannel.1 changed=name") == 1);
    d.node.kernel.set_up(index, false);
    d.world.advance(1'000);
    CHECK(d.node.kernel.device("wan0")->up);
    d.node.kernel.set_mtu(index, 1400);
    d.world.advance(1'000);
    CHECK(d.node.kernel.device("wan0")->mtu == d.device.mtu);
    d.node.kernel.remove_link(index);
    d.check_repaired();
    CHECK(d.node.entries() == d.entries);
  }

  TEST_CASE("moved to another network namespace: reported, and recreated once that lets go of the VNI") {
    Damaged d;
    d.node.kernel.move_away(d.index());
    // Its entries went with it, more than a ring names: an audit is due that the missing device keeps
    // waiting.
    for (unsigned i = 0; i < 20; ++i)
      d.node.kernel.touched(overlay::Entry::neighbour(Net4{World::peer_subnet(100 + i).base, 32}, Mac{}),
                            false);
    const auto wakeups = d.world.wakeups();
    d.world.advance(120'000);
    CHECK(d.world.wakeups() - wakeups < 200);
    CHECK(d.node.device() == nullptr);
    CHECK(d.node.log.count("held_by=\"a device moved to another network namespace\"") == 1);
    d.node.kernel.elsewhere.clear();
    d.check_repaired(kTaken);
  }

  TEST_CASE("the VNI is taken by another device: it is named, and ours comes when it goes") {
    Damaged d;
    d.node.kernel.remove_link(d.index());
    const int other = d.node.kernel.add_device(vxlan("mine", 1, 8472));
    d.world.advance(120'000);
    CHECK(d.node.device() == nullptr);
    CHECK(d.node.log.count(
              "cannot create the VXLAN device device=flannel.1 vni=1 port=8472 held_by=\"device mine\"") ==
          1);
    REQUIRE(d.node.kernel.device("mine") != nullptr);
    d.node.kernel.remove_link(other);
    d.check_repaired();
  }

  TEST_CASE("the port is taken by a device of another kind: it is named, and ours comes up when it goes") {
    Damaged d;
    overlay::Device cilium = vxlan("cilium_vxlan", 0, 8472);
    cilium.external = true;
    d.node.kernel.remove_link(d.index());
    const int other = d.node.kernel.add_device(cilium);
    d.world.advance(120'000);
    CHECK(d.node.routes() == 0);
    CHECK(d.node.log.count("held_by=\"device cilium_vxlan\"") == 1);
    d.node.kernel.remove_link(other);
    d.check_repaired();
  }

  TEST_CASE("the port is taken by a socket: its user and inode are named, once for each") {
    Damaged d;
    d.node.kernel.sockets[8472] = {.uid = 1000, .inode = 4711};
    d.node.kernel.set_up(d.index(), false);
    d.world.advance(120'000);
    CHECK(d.node.log.count("held_by=\"socket of uid 1000, inode 4711\"") == 1);
    d.node.kernel.sockets[8472] = {.uid = 0, .inode = 4712};
    d.world.advance(120'000);
    CHECK(d.node.log.count("held_by=\"socket of uid 0, inode 4712\"") == 1);
    d.node.kernel.sockets.clear();
    d.check_repaired(kTaken);
  }
}

TEST_SUITE("agent/bound device") {
  /// As flanneld makes it: with the NIC as lower link.
  struct Bound {
    World world;
    SimNode& node = world.add(1);
    int index = 0;
    explicit Bound(int lower = SimNode::kNic, std::uint32_t max_mtu = 1450) {
      overlay::Device device = vxlan("flannel.1", 1, 8472);
      device.local = node.address;
      device.mtu = std::min(1450u, max_mtu);
      device.lower_index = lower;
      device.max_mtu = max_mtu;
      index = node.kernel.add_device(device);
      node.kernel.accept_ra["flannel.1"] = 0;
      node.kernel.addresses.push_back({.link_index = index, .net = Net4{ip("10.5.30.0"), 32}});
      world.put_peer(200);
      node.start();
      REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
      world.advance(1'000);
    }
  };

  TEST_CASE("one that is right otherwise is used as it is, and its MAC published") {
    Bound b;
    REQUIRE(b.node.device() != nullptr);
    CHECK(b.node.device()->index == b.index);
    CHECK(b.node.device()->lower_index == SimNode::kNic);
    CHECK(b.node.mac() == mac(0x7777));
    CHECK(b.world.value_of(b.node.key()).find("02:00:00:00:77:77") != std::string::npos);
    CHECK(b.node.routes() == 1);
  }

  TEST_CASE("its lower link allows less than the underlay: device and subnet.env have what it allows") {
    Bound b(77, 1400);
    CHECK(b.node.device()->index == b.index);
    CHECK(b.node.device()->mtu == 1400);
    CHECK(b.node.subnet_env().find("FLANNEL_MTU=1400\n") != std::string::npos);
    CHECK(!b.node.log.has("out of sync"));
    b.node.kernel.forget();
    b.world.advance(3'600'000);
    CHECK(b.node.kernel.writes == 0);
  }

  TEST_CASE("it goes with its lower link: recreated without one, with the same MAC") {
    Bound b;
    b.node.kernel.remove_link(b.index);
    REQUIRE(b.world.run_until([&] { return b.node.device() != nullptr && b.node.routes() == 1; }, kSoon));
    CHECK(b.node.device()->lower_index == 0);
    CHECK(b.node.mac() == mac(0x7777));
  }
}

TEST_SUITE("agent/earlier device") {
  TEST_CASE("the VNI or the port changed and the node restarts: the old device, its entries and rules go") {
    const char* config = nullptr;
    bool other_name = true;
    SUBCASE("VNI") { config = R"({"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","VNI":7}})"; }
    SUBCASE("port") {
      config = R"({"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","Port":4789}})";
      other_name = false;
    }
    SUBCASE("both") {
      config = R"({"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","VNI":7,"Port":4789}})";
    }
    const char* const name = other_name ? "flannel.7" : "flannel.1";
    for (const bool remembers : {true, false}) {
      CAPTURE(remembers);
      World world;
      SimNode& node = world.add(1);
      node.settings.ip_masq = true;
      world.put_peer(200);
      node.start();
      REQUIRE(world.run_until([&] { return node.ready_count() == 1 && node.routes() == 1; }));
      world.advance(1'000);
      const int before = node.device()->index;
      const Mac ours = node.mac();
      const int foreign = node.kernel.add_device(vxlan("flannel.9", 9, 4790));
      node.stop();
      if (!remembers) node.files.all.erase(SimNode::kNodeFile);
      world.put_config(config);
      node.start();
      REQUIRE(world.run_until([&] { return node.ready_count() == 2; }));
      world.advance(10'000);
      REQUIRE(node.kernel.device(name) != nullptr);
      CHECK(node.kernel.device(name)->mac == ours);
      CHECK((node.kernel.device("flannel.1") == nullptr) == other_name);
      CHECK(node.kernel.device("flannel.9") != nullptr);
      for (const auto& route : node.kernel.routes) CHECK(route.second.link != before);
      for (const auto& address : node.kernel.addresses) CHECK(address.link_index != before);
      CHECK(node.kernel.device("flannel.9")->index == foreign);
      REQUIRE(node.kernel.rules);
      node.kernel.forget();
      world.advance(3'600'000);
      CHECK(node.kernel.writes == 0);
    }
  }

  TEST_CASE("a device of another name or MAC than ours stays") {
    World world;
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    node.stop();
    overlay::Device of_others = vxlan("flannel.7", 7, 8472), renamed = vxlan("vxlan8", 8, 8472);
    renamed.mac = node.mac();
    node.kernel.add_device(of_others);
    node.kernel.add_device(renamed);
    node.files.all.erase(SimNode::kNodeFile);
    node.start();
    world.advance(10'000);
    CHECK(node.kernel.device("flannel.7") != nullptr);
    CHECK(node.kernel.device("vxlan8") != nullptr);
  }
}

TEST_SUITE("agent/checksum offload") {
  using agent::TxChecksum;
  bool offloaded(SimNode & node) {
    const auto at = node.kernel.tx_checksum.find("flannel.1");
    return at == node.kernel.tx_checksum.end() || at->second;
  }
  void start(World & world, SimNode & node) {
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(1'000);
  }

  TEST_CASE("auto: it stays as it is, also where others have set it") {
    World world;
    SimNode& node = world.add(1);
    start(world, node);
    CHECK(offloaded(node));
    CHECK(!node.log.has("checksum"));
    node.kernel.tx_checksum["flannel.1"] = false;
    node.kernel.changed();
    world.advance(1'000);
    CHECK(!offloaded(node));
  }

  TEST_CASE("auto: off where PublicIP is no address of this machine, and on a vmxnet3 NIC") {
    World world;
    SimNode& node = world.add(1);
    SUBCASE("behind NAT") {
      REQUIRE(node.settings.interface.names.add("eth0"));
      node.settings.interface.public_ip = ip("198.51.100.7");
    }
    SUBCASE("vmxnet3") { node.kernel.drivers["eth0"] = "vmxnet3"; }
    start(world, node);
    CHECK(!offloaded(node));
    CHECK(node.log.count("checksum offload set device=flannel.1 tx=off") == 1);
  }

  TEST_CASE("on and off: as asked for, and again when others change it or the device is recreated") {
    World world;
    SimNode& node = world.add(1);
    bool wanted = false;
    SUBCASE("off") { node.settings.tx_checksum = TxChecksum::kOff; }
    SUBCASE("on") {
      node.settings.tx_checksum = TxChecksum::kOn;
      node.kernel.drivers["eth0"] = "vmxnet3";
      wanted = true;
    }
    start(world, node);
    CHECK(offloaded(node) == wanted);
    node.kernel.tx_checksum["flannel.1"] = !wanted;
    node.kernel.changed();
    CHECK(world.run_until([&] { return offloaded(node) == wanted; }, kSoon));
    node.kernel.remove_link(node.device()->index);
    node.kernel.tx_checksum["flannel.1"] = !wanted;
    CHECK(world.run_until([&] { return node.device() != nullptr && offloaded(node) == wanted; }, kSoon));
    node.kernel.forget();
    world.advance(3'600'000);
    CHECK(node.kernel.writes == 0);
  }

  TEST_CASE("it cannot be set: reported once, and the overlay works") {
    World world;
    SimNode& node = world.add(1);
    node.settings.tx_checksum = TxChecksum::kOff;
    node.kernel.fail(FakeKernel::Call::kSetTxChecksum, system_error("ethtool", EOPNOTSUPP), -1);
    start(world, node);
    world.advance(3'600'000);
    CHECK(node.log.count("cannot set the device's checksum offload") == 1);
  }
}
