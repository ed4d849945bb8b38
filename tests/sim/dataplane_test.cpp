// SPDX-License-Identifier: Apache-2.0
// What happens to the machine: addresses, the device, a kernel that says no. And what a quiet day costs.
#include "agent/dataplane.hpp"
#include "agent/memory.hpp"
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

using Call = FakeKernel::Call;
constexpr Millis kHour = 3'600'000;
constexpr Millis kAudit = agent::Dataplane::kAuditEvery + 1'000;

/// Two nodes that know each other, at rest.
struct Pair {
  World world;
  SimNode& node = world.add_started(1);
  SimNode& other = world.add_started(2);
  Pair() {
    REQUIRE(world.run_until_all_know_all());
    world.advance(1'000);
    node.kernel.forget();
  }
  int index() const { return node.device()->index; }
};

overlay::Device flanneld_device() {
  overlay::Device device;
  device.name = "flannel.1";
  device.is_vxlan = true;
  device.up = true;
  device.vni = 1;
  device.port = 8472;
  device.local = ip("172.30.0.1");
  device.mtu = 1450;
  device.mac = mac(0x4242);
  return device;
}

}  // namespace

TEST_SUITE("agent/dataplane") {
  TEST_CASE(
      "our address changes: the device is changed in place, the record too, in the same key; the others "
      "follow") {
    Pair p;
    const std::string key = p.node.key();
    const Mac before = p.node.mac();
    const int index = p.index();
    p.node.change_address(ip("172.30.7.7"));
    REQUIRE(p.world.run_until([&] { return p.node.device()->local == ip("172.30.7.7"); }, 1'000));
    REQUIRE(p.world.run_until_all_know_all(2'000));
    p.world.advance(2'000);
    CHECK(p.index() == index);
    CHECK(p.node.key() == key);
    CHECK(p.node.mac() == before);
    CHECK(p.world.value_of(key).find("172.30.7.7") != std::string::npos);
    CHECK(p.other.routes() == 1);
    CHECK(p.node.kernel.changes.empty());  // no entry of a peer
    CHECK(p.world.etcd.lease_count() == 2);
    CHECK(!p.node.log.has("error:"));
  }

  TEST_CASE(
      "our address changes while the registry is away: the device at once, the record when it is back") {
    Pair p;
    p.world.etcd.set_down("10.0.0.1", true);
    p.node.change_address(ip("172.30.7.7"));
    p.world.advance(kHour);
    CHECK(p.node.device()->local == ip("172.30.7.7"));
    p.node.change_address(ip("172.30.8.8"));
    p.world.advance(kHour);
    p.world.etcd.set_down("10.0.0.1", false);
    REQUIRE(p.world.run_until_all_know_all(60'000));
    p.world.advance(2'000);
    CHECK(p.world.value_of(p.node.key()).find("172.30.8.8") != std::string::npos);
    CHECK(!p.node.log.has("another node"));
  }

  TEST_CASE(
      "the interface loses its address, and gets another while nothing rings any more: found all the same") {
    Pair p;
    const std::string entries = p.node.entries();
    p.node.set_default_route(false);
    p.node.kernel.changed();
    p.world.advance(kHour);
    CHECK(p.node.entries() == entries);
    CHECK(p.node.log.count("the interface is gone") == 1);
    p.node.change_address(ip("172.30.7.7"));
    p.world.advance(1'000);  // the doorbell has rung, the route is not there yet
    CHECK(p.node.device()->local == ip("172.30.0.1"));
    p.node.kernel.default_link = SimNode::kNic;  // no doorbell
    REQUIRE(p.world.run_until([&] { return p.node.device()->local == ip("172.30.7.7"); }, 61'000));
    REQUIRE(p.world.run_until_all_know_all());
  }

  TEST_CASE("the underlay's MTU changes: the device and subnet.env follow") {
    Pair p;
    p.node.kernel.set_mtu(SimNode::kNic, 1400);
    p.world.advance(1'000);
    CHECK(p.node.device()->mtu == 1350);
    CHECK(p.node.subnet_env().find("FLANNEL_MTU=1350") != std::string::npos);
  }

  TEST_CASE(
      "lines that other programs add to subnet.env stay: nothing is written for them, a rewrite keeps them") {
    Pair p;
    p.world.advance(2 * agent::Memory::kSavePeersFirst);  // the state files are written
    const std::string ours = p.node.subnet_env(), theirs = "# docker\nDOCKER_OPT_MTU=\"--mtu=1450\"\n";
    p.node.files.all[SimNode::kSubnetFile] = theirs + ours;
    const int writes = p.node.files.writes;
    p.world.advance(2 * agent::Dataplane::kAuditEvery + 1'000);
    CHECK(p.node.subnet_env() == theirs + ours);
    CHECK(p.node.files.writes == writes);
    p.node.kernel.set_mtu(SimNode::kNic, 1400);
    p.world.advance(1'000);
    CHECK(p.node.subnet_env().starts_with("FLANNEL_NETWORK="));
    CHECK(p.node.subnet_env().ends_with("\nFLANNEL_MTU=1350\nFLANNEL_IPMASQ=false\n" + theirs));
  }

  TEST_CASE(
      "compat 9.16: the device is deleted by somebody else: recreated with the same MAC, all peers, no "
      "change in the "
      "registry") {
    Pair p;
    const Mac before = p.node.mac();
    const auto revision = p.world.etcd.revision();
    p.node.kernel.remove_link(p.index());
    REQUIRE(p.world.run_until([&] { return p.node.device() != nullptr && p.node.routes() == 1; }, 1'000));
    CHECK(p.node.mac() == before);
    CHECK(p.node.device()->up);
    CHECK(p.world.all_know_all());
    CHECK(p.world.etcd.revision() == revision);
  }

  TEST_CASE("the device is taken down: up again, with all routes") {
    Pair p;
    p.node.kernel.set_up(p.index(), false);
    REQUIRE(p.world.run_until_all_know_all(1'000));
    CHECK(p.node.device()->up);
  }

  TEST_CASE(
      "the device is down for a moment and up again before it is inspected: its routes are back at once") {
    Pair p;
    p.node.kernel.flap(p.index());
    CHECK(p.node.routes() == 0);
    REQUIRE(p.world.run_until_all_know_all(1'000));
    p.world.advance(1'000);
    const auto dumps = p.node.kernel.dumps;
    p.node.kernel.changed();
    p.world.advance(1'000);
    CHECK(p.node.kernel.dumps == dumps);  // once is enough
  }

  TEST_CASE("the device's MAC is changed: restored, with the neighbours that the kernel flushed") {
    Pair p;
    const Mac before = p.node.mac();
    p.node.kernel.set_mac(p.index(), mac(7));
    REQUIRE(p.world.run_until_all_know_all(1'000));
    CHECK(p.node.mac() == before);
  }

  TEST_CASE("entries that others removed or added are repaired by the next audit") {
    Pair p;
    const std::string entries = p.node.entries();
    p.node.kernel.routes.clear();
    p.node.kernel.fdb.clear();
    p.node.kernel.neighbours[{p.index(), ip("10.5.99.0")}] = {mac(99), true};
    p.node.kernel.routes[{Net4{ip("10.5.98.0"), 24}, 0}] = {p.index(), ip("10.5.98.0"), true};
    p.world.advance(kAudit);
    CHECK(p.node.entries() == entries);
  }

  TEST_CASE(
      "compat 9.17: a device from before the restart with another port, MTU or learning is corrected; "
      "subnet.env says what it is") {
    World world;
    overlay::Device device = flanneld_device();
    bool same = true;
    SUBCASE("port") {
      device.port = 4789;
      same = false;
    }
    SUBCASE("VNI") {
      device.vni = 2;
      same = false;
    }
    SUBCASE("MTU") { device.mtu = 8950; }
    SUBCASE("learning") { device.learning = true; }
    SUBCASE("local") { device.local = ip("172.30.99.99"); }
    SUBCASE("down") { device.up = false; }
    SimNode& node = world.add(1);
    const int index = node.kernel.add_device(device);
    world.put_peer(200);
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    const overlay::Device* got = node.device();
    REQUIRE(got != nullptr);
    CHECK((got->index == index) == same);
    CHECK(got->mac == device.mac);
    CHECK(got->port == 8472);
    CHECK(got->vni == 1);
    CHECK(got->mtu == 1450);
    CHECK(!got->learning);
    CHECK(got->local == node.address);
    CHECK(got->lower_index == 0);
    CHECK(got->up);
    CHECK(node.routes() == 1);
    CHECK(node.subnet_env().find("FLANNEL_MTU=1450\n") != std::string::npos);
    CHECK(world.value_of(node.key()).find("02:00:00:00:42:42") != std::string::npos);
  }

  TEST_CASE("compat 9.17: an MTU in the config above the underlay's is not promised to pods") {
    World world(R"({"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","MTU":9000}})");
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    CHECK(node.device()->mtu == 1450);
    CHECK(node.subnet_env().find("FLANNEL_MTU=1450\n") != std::string::npos);
  }

  TEST_CASE(
      "compat 9.21: a public address that the host does not have is published, and the source is one that it "
      "has") {
    World world;
    SimNode& node = world.add(1);
    REQUIRE(node.settings.interface.names.add("eth0"));
    node.settings.interface.public_ip = ip("198.51.100.7");
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    CHECK(node.device()->local == ip("172.30.0.1"));
    CHECK(world.value_of(node.key()).find(R"("PublicIP":"198.51.100.7")") != std::string::npos);
  }

  TEST_CASE("compat 9.28: stopping leaves the device and the rules, and starting again writes nothing") {
    World world;
    SimNode& node = world.add(1);
    node.settings.ip_masq = true;
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(1'000);
    REQUIRE(node.kernel.rules);
    CHECK(node.kernel.rules->masquerade);
    CHECK(node.kernel.rules->forward);
    CHECK(node.kernel.rules->subnet == node.subnet());
    CHECK(node.subnet_env().find("FLANNEL_IPMASQ=true") != std::string::npos);
    node.kernel.forget();
    node.stop();
    CHECK(node.device() != nullptr);
    CHECK(node.kernel.rules);
    node.start();
    world.advance(10'000);
    CHECK(node.ready_count() == 2);
    CHECK(node.kernel.writes == 0);
  }

  TEST_CASE("no vxlan in the kernel: reported, retried with back-off, ready as soon as it is there") {
    World world;
    world.put_peer(200);
    SimNode& node = world.add(1);
    node.kernel.fail(Call::kCreateDevice,
                     {Code::kUnsupported, 95, "create the vxlan device: load the vxlan module"}, -1);
    node.start();
    world.advance(kHour);
    CHECK(node.running());
    CHECK(node.ready_count() == 0);
    CHECK(node.subnet_env().empty());
    CHECK(node.kernel.writes < 80);
    CHECK(node.log.has("cannot create the VXLAN device"));
    CHECK(node.log.has("load the vxlan module"));
    CHECK(node.log.lines.size() < 200);
    node.kernel.heal();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }, 61'000));
    CHECK(node.routes() == 1);
  }

  TEST_CASE(
      "the kernel refuses one peer: the others are programmed, it is retried, and everything is right in "
      "the end") {
    World world(R"({"Network":"10.5.0.0/16","SubnetMin":"10.5.250.0","Backend":{"Type":"vxlan"}})");
    for (unsigned i = 1; i <= 20; ++i) world.put_peer(i);
    SimNode& node = world.add(1);
    node.kernel.refuse = [](const overlay::Change& change) -> std::optional<Error> {
      if (change.puts(overlay::Entry::Kind::kRoute) && change.entry.net == Net(World::peer_subnet(7))) {
        return system_error("netlink", EBUSY);
      }
      return std::nullopt;
    };
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    CHECK(node.routes() == 19);
    const auto dumps = node.kernel.dumps;
    world.put_peer(21);
    world.advance(100);
    CHECK(node.routes() == 20);
    CHECK(node.kernel.dumps == dumps);  // what is refused does not make an audit of every event
    const auto writes = node.kernel.writes;
    world.advance(2 * kHour);
    CHECK(node.kernel.writes - writes <
          120 + 24 + 6);  // a try a minute, one an audit, and the first quick ones
    CHECK(node.log.lines.size() < 400);
    CHECK(node.log.has("first=10.5.7.0/24"));
    node.kernel.refuse = nullptr;
    CHECK(world.run_until([&] { return node.routes() == 21; }, 61'000));
  }

  TEST_CASE("compat 9.2: a deletion that fails keeps no event waiting") {
    World world(R"({"Network":"10.5.0.0/16","SubnetMin":"10.5.250.0","Backend":{"Type":"vxlan"}})");
    for (unsigned i = 1; i <= 5; ++i) world.put_peer(i);
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    node.kernel.refuse = [](const overlay::Change& change) -> std::optional<Error> {
      if (change.op == overlay::Change::Op::kRemove) return system_error("netlink", EBUSY);
      return std::nullopt;
    };
    world.remove_peer(1);
    world.advance(10);
    for (unsigned i = 10; i < 20; ++i) {
      world.put_peer(i);
      world.advance(10);
      CHECK(node.has_peer(World::peer_subnet(i), mac(i), World::peer_ip(i)));
    }
    node.kernel.refuse = nullptr;
    CHECK(world.run_until([&] { return node.routes() == 14; }, 61'000));
  }

  TEST_CASE("an interrupted dump says nothing: nothing is deleted on it, and it is asked again") {
    Pair p;
    p.world.put_peer(200);
    p.world.advance(100);
    const std::string entries = p.node.entries();
    p.node.stop();
    p.node.kernel.forget();
    p.node.kernel.fail(Call::kDumpEntries, {Code::kInterrupted, 0, "dump"}, 5);
    p.node.start();
    p.world.advance(60'000);
    CHECK(p.node.kernel.dumps == 6);
    CHECK(p.node.kernel.writes == 0);
    CHECK(p.node.entries() == entries);
  }

  TEST_CASE("a batch that fails as a whole is sent again, after an audit") {
    Pair p;
    p.node.kernel.fail(Call::kFinish, system_error("netlink", ENOBUFS), 3);
    p.world.put_peer(200);
    p.world.advance(60'000);
    CHECK(p.node.has_peer(World::peer_subnet(200), mac(200), World::peer_ip(200)));
    CHECK(p.node.routes() == 2);
  }

  TEST_CASE("any single call of the kernel fails at any time: everything is right in the end") {
    for (const Call call :
         {Call::kDumpLinks, Call::kDumpAddresses, Call::kDumpRoutes, Call::kFindDevice, Call::kCreateDevice,
          Call::kChangeDevice, Call::kSetDeviceAddress, Call::kDumpEntries, Call::kFinish, Call::kApplyRules,
          Call::kInspectFirewall, Call::kIpForward, Call::kDisableAcceptRa}) {
      CAPTURE(static_cast<int>(call));
      World world;
      world.put_peer(200);
      SimNode& node = world.add(1);
      node.settings.ip_masq = true;
      node.kernel.fail(call, system_error("netlink", EIO), 3);
      node.start();
      CHECK(world.run_until([&] { return node.ready_count() == 1 && node.routes() == 1; }, 60'000));
      world.advance(kAudit);
      CHECK(node.device() != nullptr);
      CHECK(node.device()->up);
      CHECK(node.kernel.rules);
    }
  }

  TEST_CASE(
      "no NAT in the kernel: reported once, the overlay works, the rules are there as soon as that is "
      "possible") {
    World world;
    world.put_peer(200);
    SimNode& node = world.add(1);
    node.settings.ip_masq = true;
    node.kernel.fail(Call::kApplyRules, {Code::kUnsupported, EOPNOTSUPP, "nf_tables"}, -1);
    node.start();
    for (int i = 0; i < 60; ++i) {
      world.advance(600'000);
      world.etcd.send_progress();
    }
    CHECK(node.ready_count() == 1);
    CHECK(node.routes() == 1);
    CHECK(node.log.count("cannot install the traffic rules") == 1);
    CHECK(node.log.lines.size() < 20);
    node.kernel.heal();
    CHECK(world.run_until([&] { return node.kernel.rules.has_value(); }, 61'000));
  }

  TEST_CASE(
      "the subnet file cannot be written: reported, the overlay works, and it is written when that is "
      "possible") {
    World world;
    SimNode& node = world.add(1);
    world.put_peer(200);
    node.files.read_only = true;
    node.start();
    world.advance(kHour);
    CHECK(node.running());
    CHECK(node.routes() == 1);
    CHECK(node.log.count("cannot write the subnet file") == 1);
    CHECK(node.log.lines.size() < 80);
    node.files.read_only = false;
    CHECK(world.run_until([&] { return !node.subnet_env().empty(); }, 61'000));  // pods wait for it
  }

  TEST_CASE("ip_forward: a warning if it is 0, a write only if that was asked for") {
    World world;
    SimNode& node = world.add(1);
    node.kernel.forwarding = false;
    SUBCASE("warn") {
      node.start();
      world.advance(kHour);
      CHECK(!node.kernel.forwarding);
      CHECK(node.log.count("ip_forward is 0") == 1);
    }
    SUBCASE("set") {
      node.settings.set_ip_forward = true;
      node.start();
      world.advance(kHour);
      CHECK(node.kernel.forwarding);
      CHECK(node.log.count("ip_forward") == 1);
    }
  }

  TEST_CASE(
      "a firewall that drops, and rules that flanneld left, are reported once with the command that repairs "
      "it") {
    World world;
    SimNode& node = world.add(1);
    using Kind = kernel::FirewallFinding::Kind;
    node.kernel.findings = {{Kind::kForeignDrop, "inet", "fw4", "forward"},
                            {Kind::kFlanneldNftTable, "ip", "flannel-ipv4", ""}};
    node.settings.ip_masq = true;
    node.start();
    world.advance(kHour);
    CHECK(node.log.count("table=fw4 chain=forward") == 1);
    CHECK(node.log.count("nft insert rule inet fw4 forward") == 1);
    CHECK(node.log.count("nft delete table ip flannel-ipv4") == 1);
  }
}

TEST_SUITE("agent/idle") {
  TEST_CASE("a quiet day: hardly a wake-up, hardly a request, no write, no line") {
    World world;
    for (unsigned i = 200; i < 210; ++i) world.put_peer(i);
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(60'000);
    node.kernel.forget();
    world.etcd.reset_counts();
    node.log.lines.clear();
    const int file_writes = node.files.writes;
    const auto wakeups = world.wakeups();
    for (int i = 0; i < 24 * 6; ++i) {
      world.advance(600'000);
      world.etcd.send_progress();
    }
    CHECK(node.kernel.writes == 0);
    CHECK(node.files.writes == file_writes);
    CHECK(world.etcd.requests() <= 4);
    CHECK(world.etcd.requests("/v3/lease/keepalive") >= 3);
    CHECK(node.log.text() == "");
    // Two a minute are allowed (invariant 14); these are the server's turns too.
    MESSAGE("wake-ups in 24 h: ", world.wakeups() - wakeups);
    CHECK(world.wakeups() - wakeups < 24 * 60);
  }

  TEST_CASE("links that come and go, as pods do, cost inspections but no writes") {
    World world;
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(60'000);
    node.kernel.forget();
    world.etcd.reset_counts();
    node.log.lines.clear();
    const auto dumps = node.kernel.dumps;
    for (int i = 0; i < 200; ++i) {
      node.kernel.changed();
      world.advance(20);
    }
    world.advance(1'000);
    CHECK(node.kernel.writes == 0);
    CHECK(node.kernel.dumps == dumps);
    CHECK(world.etcd.requests() == 0);
    CHECK(node.log.text() == "");
  }
}
