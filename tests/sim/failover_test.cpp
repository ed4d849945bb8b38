// SPDX-License-Identifier: Apache-2.0
// The underlay changes while the agent runs: another interface, another address, another MTU, another public
// address. Device, subnet and MAC stay; the record and the other nodes follow.
#include "agent/underlay_watch.hpp"
#include "sim/kube_world.hpp"
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

constexpr Millis kFailback = 30'000;

/// A node with eth0, and wwan0 at 100.64.0.9 behind it; and another node. Both at rest.
struct Edge {
  World world;
  SimNode& node = world.add(1);
  SimNode& other = world.add_started(2);
  int wwan = 0;

  explicit Edge(const std::vector<const char*>& names = {"eth0", "wwan0"}) {
    for (const char* name : names) REQUIRE(node.settings.interface.names.add(name));
    wwan = node.kernel.add_nic("wwan0", *parse_net4("100.64.0.9/30"), 1428);
    node.kernel.more_routes.push_back({wwan, ip("100.64.0.10"), 700, 0, {}});
    if (names == std::vector<const char*>{"wwan0"}) node.address = ip("100.64.0.9");
    if (names == std::vector<const char*>{"ppp0"}) {
      node.kernel.add_nic("ppp0", *parse_net4("203.0.113.5/32"), 1492);
      node.address = ip("203.0.113.5");
    }
    node.start();
    settle();
  }
  void settle() {
    REQUIRE(world.run_until_all_know_all(2'000));
    world.advance(5'000);
    world.etcd.reset_counts();
    node.kernel.forget();
  }
  /// Peers send to `address`, and the device sends from it.
  bool follows(Ip4 address, Millis limit = 1'000) {
    node.address = address;
    return world.run_until(
        [&] {
          return node.device() != nullptr && node.device()->local == address &&
                 other.has_peer(node.subnet(), node.mac(), address);
        },
        limit);
  }
};

constexpr const char* kEthernet = "172.30.0.1";
constexpr const char* kLte = "100.64.0.9";

/// What must not change with the underlay.
struct Identity {
  explicit Identity(const SimNode& of) : node(of), key(of.key()), mac(of.mac()), index(of.device()->index) {}
  void check() const {
    CHECK(node.key() == key);
    CHECK(node.mac() == mac);
    CHECK(node.device()->index == index);
    CHECK(node.kernel.changes.empty());  // no entry of a peer
  }
  const SimNode& node;
  std::string key;
  Mac mac;
  int index;
};

}  // namespace

TEST_SUITE("agent/failover") {
  TEST_CASE("Ethernet is lost: LTE within a second, over new connections; the subnet and the MAC stay") {
    Edge e;
    const Identity identity(e.node);
    const std::size_t leases = e.world.etcd.lease_count();
    SUBCASE("carrier") { e.node.kernel.set_carrier(SimNode::kNic, false); }
    SUBCASE("down") { e.node.kernel.set_up(SimNode::kNic, false); }
    SUBCASE("its address") { e.node.kernel.remove_addresses(SimNode::kNic); }
    SUBCASE("only a link-local address is left") {
      e.node.kernel.replace_address(SimNode::kNic, *parse_net4("169.254.7.7/16"));
    }
    SUBCASE("the NIC") { e.node.kernel.remove_link(SimNode::kNic); }
    REQUIRE(e.follows(ip(kLte)));
    CHECK(e.world.etcd.connections() == 2);  // requests and watch
    CHECK(e.node.device()->mtu == 1428 - 50);
    e.world.advance(1'000);
    CHECK(e.node.subnet_env().find("FLANNEL_MTU=1378") != std::string::npos);
    identity.check();
    CHECK(e.world.etcd.lease_count() == leases);
    CHECK(e.node.log.count("the underlay changed") == 1);
    CHECK_FALSE(e.node.log.has("the interface is gone"));
    CHECK_FALSE(e.node.log.has("error:"));
  }

  TEST_CASE("Ethernet is lost while the registry is away: asked again at once over LTE, past any back-off") {
    Edge e;
    e.world.etcd.set_down("10.0.0.1", true);
    e.world.advance(3'600'000);
    e.world.etcd.set_down("10.0.0.1", false);  // as it is seen over LTE
    e.node.kernel.set_carrier(SimNode::kNic, false);
    const auto published = [&] { return e.world.value_of(e.node.key()).find(kLte) != std::string::npos; };
    CHECK(e.world.run_until(published, 1'000));
  }

  TEST_CASE("Ethernet is back: it is taken again when it was good for 30 seconds, no earlier and no later") {
    Edge e;
    const Identity identity(e.node);
    e.node.kernel.set_carrier(SimNode::kNic, false);
    REQUIRE(e.follows(ip(kLte)));
    e.world.advance(10'000);
    e.node.kernel.set_carrier(SimNode::kNic, true);
    e.world.advance(kFailback - 1'000);
    CHECK(e.node.device()->local == ip(kLte));
    CHECK(e.follows(ip(kEthernet), 2'000));
    identity.check();
    CHECK(e.node.log.count("the underlay changed") == 2);
  }

  TEST_CASE("the delay of the fail-back is a setting") {
    Edge e;
    e.node.stop();
    Millis delay = 0;
    SUBCASE("none") { delay = 0; }
    SUBCASE("five minutes") { delay = 300'000; }
    e.node.settings.interface.failback_delay = delay;
    e.node.start();
    e.settle();
    e.node.kernel.set_carrier(SimNode::kNic, false);
    REQUIRE(e.follows(ip(kLte)));
    e.node.kernel.set_carrier(SimNode::kNic, true);
    if (delay > 0) {
      e.world.advance(delay - 1'000);
      CHECK(e.node.device()->local == ip(kLte));
    }
    CHECK(e.follows(ip(kEthernet), 2'000));
  }

  TEST_CASE("a flapping Ethernet is not taken: the 30 seconds begin again with each loss") {
    Edge e;
    e.node.kernel.set_carrier(SimNode::kNic, false);
    REQUIRE(e.follows(ip(kLte)));
    const auto revision = e.world.etcd.revision();
    for (int i = 0; i < 20; ++i) {
      e.node.kernel.set_carrier(SimNode::kNic, true);
      e.world.advance(kFailback - 1'000);
      e.node.kernel.set_carrier(SimNode::kNic, false);
      e.world.advance(1'000);
    }
    CHECK(e.node.device()->local == ip(kLte));
    CHECK(e.world.etcd.revision() == revision);
    CHECK(e.node.log.count("the underlay changed") == 1);
  }

  TEST_CASE("an address that changes every few seconds is published each time within a second") {
    Edge e({"wwan0"});
    const Identity identity(e.node);
    for (std::uint32_t i = 1; i <= 30; ++i) {
      const Ip4 next{ip("100.64.7.0").value + i};
      e.node.kernel.replace_address(e.wwan, {next, 24});
      CHECK(e.follows(next));
      e.world.advance(3'000);
    }
    identity.check();
  }

  TEST_CASE("in Kubernetes, too") {
    KubeWorld world;
    SimNode& node = world.add_joined(1);
    for (std::uint32_t i = 1; i <= 30; ++i) {
      node.change_address({ip("172.30.7.0").value + i});
      const std::string text(text_of(node.address).view());
      CHECK(world.run_until([&] { return world.annotation(1, "public-ip") == text; }, 1'000));
      world.advance(3'000);
    }
  }

  TEST_CASE("both are lost: what is there stays, and the first that comes back is taken at once") {
    Edge e;
    const Identity identity(e.node);
    for (const int nic : {SimNode::kNic, e.wwan}) e.node.kernel.remove_addresses(nic);
    e.world.advance(100'000);
    CHECK(e.node.log.count("the interface is gone; keeping what is there") == 1);
    identity.check();
    SUBCASE("Ethernet") {
      e.node.kernel.replace_address(SimNode::kNic, *parse_net4("172.30.0.1/16"));
      CHECK(e.follows(ip(kEthernet)));
    }
    SUBCASE("LTE with another address") {
      e.node.kernel.replace_address(e.wwan, *parse_net4("100.64.3.3/30"));
      CHECK(e.follows(ip("100.64.3.3")));
    }
    identity.check();
  }

  TEST_CASE("the only interface has no carrier for a day: reported once, nothing else happens") {
    Edge e({"eth0"});
    e.node.kernel.set_carrier(SimNode::kNic, false);
    e.world.advance(24 * 3'600'000);
    CHECK(e.node.log.count("no carrier") == 1);
    CHECK(e.node.device()->local == ip(kEthernet));
    CHECK(e.node.kernel.writes == 0);
  }

  TEST_CASE("a node that starts without a carrier comes up for its own pods") {
    World world;
    SimNode& node = world.add(1);
    node.kernel.set_carrier(SimNode::kNic, false);
    node.start();
    CHECK(world.run_until([&] { return node.ready_count() == 1; }));
    CHECK(node.log.has("no carrier"));
  }

  TEST_CASE("a USB modem comes back as another link, at once: the address that it has then is published") {
    Edge e({"wwan0"});
    const Identity identity(e.node);
    const char* address = kLte;
    SUBCASE("with the same address") {}
    SUBCASE("with another one") { address = "100.64.3.3"; }
    e.node.kernel.remove_link(e.wwan);
    e.world.advance(600'000);  // time for any back-off to grow
    CHECK(e.node.device()->local == ip(kLte));
    e.node.kernel.add_nic("wwan0", {ip(address), 30}, 1428);
    CHECK(e.follows(ip(address)));
    identity.check();
  }

  TEST_CASE("a USB modem comes back under another name, known by a regular expression or the default route") {
    Edge e(std::vector<const char*>{});
    SUBCASE("regular expression") {
      e.node.stop();
      REQUIRE(e.node.settings.interface.regexes.add("^(wwan|usb)[0-9]$"));
      e.node.start();
    }
    SUBCASE("default route") {
      e.node.kernel.default_link.reset();
      e.node.kernel.default_route_changed();
    }
    REQUIRE(e.follows(ip(kLte), 2'000));
    e.settle();
    const Identity identity(e.node);
    e.node.kernel.remove_link(e.wwan);
    e.world.advance(20'000);
    const int usb = e.node.kernel.add_nic("usb1", *parse_net4("100.64.5.5/30"), 1428);
    e.world.advance(50);
    e.node.kernel.more_routes.push_back({usb, ip("100.64.5.6"), 700, 0, {}});
    e.node.kernel.default_route_changed();
    CHECK(e.follows(ip("100.64.5.5")));
    identity.check();
  }

  TEST_CASE("PPPoE dials in again: the address goes, another comes; nothing is done until it is there") {
    Edge e({"ppp0"});
    const Identity identity(e.node);
    e.node.kernel.remove_link(e.node.kernel.links[3].index);
    e.world.advance(1'000);
    CHECK(e.node.device()->local == ip("203.0.113.5"));
    e.node.kernel.add_nic("ppp0", *parse_net4("203.0.113.99/32"), 1492);
    CHECK(e.follows(ip("203.0.113.99")));
    CHECK(e.world.etcd.connections() == 2);
    identity.check();
  }

  TEST_CASE(
      "the registry is reached over another interface than the overlay: its connections follow the route") {
    Edge e({"wwan0"});
    const Identity identity(e.node);
    const int wlan = e.node.kernel.add_nic("wlan0", *parse_net4("192.168.3.3/24"));
    e.node.kernel.default_link.reset();
    e.node.kernel.default_route_changed();
    e.world.advance(2'000);  // nothing leads there
    CHECK(e.world.etcd.connections() == 0);
    e.node.kernel.default_link = wlan;
    e.node.kernel.default_route_changed();
    e.world.advance(1'000);
    CHECK(e.world.etcd.connections() == 1);  // the watch: no request is to be made
    e.world.advance(60'000);
    CHECK(e.world.etcd.connections() == 1);
    CHECK(e.node.device()->local == ip(kLte));
    identity.check();
  }

  TEST_CASE("the default route of the lowest metric is followed as it changes, without polling") {
    Edge e(std::vector<const char*>{});
    const Identity identity(e.node);
    const std::size_t wakeups = e.world.wakeups();
    e.world.advance(3'600'000);
    CHECK(e.world.wakeups() - wakeups < 2 * 2 * 60);  // two nodes
    e.node.set_default_route(false);
    CHECK(e.follows(ip(kLte)));
    e.world.advance(1'000'000);
    e.node.set_default_route(true);
    CHECK(e.follows(ip(kEthernet)));  // as all that the node sends does
    identity.check();
  }

  TEST_CASE("the route's MTU counts like the link's: device and subnet.env follow while the agent runs") {
    Edge e(std::vector<const char*>{});
    e.node.kernel.default_mtu = 1400;
    e.node.kernel.default_route_changed();
    e.world.advance(1'000);
    CHECK(e.node.device()->mtu == 1350);
    CHECK(e.node.subnet_env().find("FLANNEL_MTU=1350") != std::string::npos);
    e.node.kernel.set_mtu(SimNode::kNic, 1300);
    e.world.advance(1'000);
    CHECK(e.node.device()->mtu == 1250);
    e.node.kernel.default_mtu = 0;
    e.node.kernel.set_mtu(SimNode::kNic, 9000);
    e.world.advance(1'000);
    CHECK(e.node.device()->mtu == 8950);
    CHECK(e.node.subnet_env().find("FLANNEL_MTU=8950") != std::string::npos);
  }

  TEST_CASE("the MTU of a route counts once a peer is reached by it, before subnet.env is written or later") {
    World world;
    SimNode& node = world.add(1);
    const Net4 to_peers = *parse_net4("172.31.0.0/24");
    node.kernel.more_routes.push_back({SimNode::kNic, ip("172.30.0.254"), 0, 1300, to_peers});
    SUBCASE("a peer of the first list") {
      world.put_peer(40);
      node.start();
      REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
      CHECK(node.log.count("subnet file written") == 1);
    }
    SUBCASE("one that joins") {
      node.start();
      REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
      world.advance(1'000);
      CHECK(node.device()->mtu == 1450);
      world.put_peer(40);
      world.advance(1'000);
    }
    CHECK(node.device()->mtu == 1250);
    CHECK(node.subnet_env().find("FLANNEL_MTU=1250") != std::string::npos);
    world.remove_peer(40);
    world.advance(310'000);
    CHECK(node.device()->mtu == 1450);
  }
}

TEST_SUITE("agent/suspend") {
  TEST_CASE("after a suspend everything is checked at once: lease, peers, device, entries, address") {
    World world;
    SimNode& node = world.add(1);
    Millis slept = 0;
    SUBCASE("of a minute") { slept = 60'000; }
    SUBCASE("of a night") { slept = 10 * 3'600'000; }
    SUBCASE("longer than the lease") { slept = 3 * 24 * 3'600'000; }
    node.start();
    world.put_peer(200);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1 && node.routes() == 1; }));
    world.advance(5'000);
    const std::string key = node.key();
    world.etcd.cut_all();  // and the node does not hear of it
    node.kernel.links[1].mtu = 1400;
    node.kernel.neighbours.clear();
    node.kernel.replace_address(SimNode::kNic, *parse_net4("172.30.4.4/16"));
    world.put_peer(201);
    world.remove_peer(200);
    world.clock.time += slept;
    node.on_resume(slept);
    world.advance(2'000);
    CHECK(node.key() == key);
    CHECK(world.value_of(key).find("172.30.4.4") != std::string::npos);
    CHECK(node.device()->mtu == 1350);
    CHECK(node.has_peer(World::peer_subnet(201), mac(201), World::peer_ip(201)));
    CHECK(node.routes() == 1);
    CHECK(node.log.count("the machine was suspended; checking everything for_ms=") == 1);
    const std::size_t leases = world.etcd.lease_count();
    world.advance(23 * 3'600'000);
    CHECK(world.value_of(key) != "");
    CHECK(world.etcd.lease_count() == leases);
  }

  TEST_CASE("the wall clock jumps by decades, either way: nothing is done") {
    World world;
    SimNode& node = world.add(1);
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(10'000);
    const auto revision = world.etcd.revision();
    node.kernel.forget();
    for (const std::int64_t at :
         {std::int64_t{0}, std::int64_t{4'000'000'000}, std::int64_t{1'700'000'000}}) {
      world.clock.wall_at_zero = at;
      world.advance(3'600'000);
    }
    CHECK(world.etcd.revision() == revision);
    CHECK(node.kernel.writes == 0);
  }
}

TEST_SUITE("agent/public IP") {
  namespace {
  constexpr const char* kFile = "/run/public-ip";
  constexpr const char* kForwarded = "no address of this machine";

  struct Behind {
    World world;
    SimNode& node = world.add(1);
    SimNode& other = world.add_started(2);
    explicit Behind(const char* text = nullptr) {
      REQUIRE(node.settings.interface.public_ip_file.assign(kFile));
      if (text != nullptr) write(text);
      node.start();
    }
    void write(const std::string& text) { node.files.all[kFile] = text; }
    bool publishes(const char* address, Millis limit) {
      return world.run_until(
          [&] {
            return node.device() != nullptr && other.has_peer(node.subnet(), node.mac(), ip(address)) &&
                   node.device()->local == ip("172.30.0.1");
          },
          limit);
    }
  };
  }  // namespace

  TEST_CASE("a public IP that is no local address is reported once, whatever changes beside it") {
    World world;
    SimNode& node = world.add(1);
    node.settings.interface.public_ip = ip("198.51.100.1");
    REQUIRE(node.settings.interface.names.add("eth0"));
    node.start();
    REQUIRE(world.run_until([&] { return node.running(); }));
    node.kernel.set_mtu(SimNode::kNic, 1400);
    node.change_address(ip("172.30.0.7"));
    world.advance(3'600'000);
    CHECK(node.log.count(kForwarded) == 1);
  }

  TEST_CASE("the file's address is published, and followed within a minute; the device sends from ours") {
    Behind b("198.51.100.1\n");
    REQUIRE(b.publishes("198.51.100.1", 5'000));
    CHECK(b.node.log.count(kForwarded) == 1);
    const std::string key = b.node.key();
    b.write(" 198.51.100.2");  // no such thing: a blank before it
    b.world.advance(61'000);
    CHECK(b.publishes("198.51.100.1", 0));
    b.write("198.51.100.2\r\n");
    REQUIRE(b.publishes("198.51.100.2", 61'000));
    CHECK(b.node.key() == key);
    CHECK(b.node.log.count(kForwarded) == 2);
    b.write("198.51.100.3");
    b.node.kernel.changed();  // a router that has another address has often made its link flap
    CHECK(b.publishes("198.51.100.3", 1'000));
  }

  TEST_CASE("the file changes while the node starts again: that is followed within a minute, too") {
    Behind b("198.51.100.100\n");
    REQUIRE(b.publishes("198.51.100.100", 5'000));
    for (Millis when = 0; when < 20; ++when) {
      b.world.advance(2'000);
      b.node.stop();
      b.node.start();
      REQUIRE(b.world.run_until([&] { return b.node.state() == agent::State::kConfig; }));
      b.world.advance(when);
      const std::string address = "198.51.100." + std::to_string(101 + when);
      b.write(address);
      CHECK_MESSAGE(b.publishes(address.c_str(), 65'000), when);
    }
  }

  TEST_CASE("what is no address of a host is named once, and the address before stays, over a restart too") {
    Behind b("198.51.100.1\n");
    REQUIRE(b.publishes("198.51.100.1", 5'000));
    const auto revision = b.world.etcd.revision();
    std::string named;
    SUBCASE("empty") { b.write(""), named = "not_a_host_address=\"\""; }
    SUBCASE("a page of HTML") { b.write("<html>"), named = "not_a_host_address=<html>"; }
    SUBCASE("two addresses") { b.write("198.51.100.2\n198.51.100.3\n"), named = "198.51.100.2"; }
    SUBCASE("too large") { b.write(std::string(5'000, '1')), named = "error="; }
    SUBCASE("loopback") { b.write("127.0.0.1"), named = "127.0.0.1"; }
    SUBCASE("IPv6") { b.write("2001:db8::1"), named = "2001:db8::1"; }
    SUBCASE("unreadable") { b.node.files.unreadable = kFile, named = "error="; }
    SUBCASE("absent") { b.node.files.all.erase(kFile), named = "there is no such file"; }
    b.world.advance(3'600'000);
    CHECK(b.node.log.count("the public IP file has no address that can be used") == 1);
    CHECK_MESSAGE(b.node.log.has(named), b.node.log.text());
    CHECK(b.publishes("198.51.100.1", 0));
    b.node.restart();
    b.world.advance(10'000);
    CHECK(b.publishes("198.51.100.1", 0));
    CHECK(b.world.etcd.revision() == revision);
    CHECK(b.node.log.count("the public IP file has no address that can be used") == 2);
    b.node.files.unreadable.clear();
    b.write("198.51.100.4");
    CHECK(b.publishes("198.51.100.4", 61'000));
  }

  TEST_CASE("a node that never had the file waits for it, or goes on with --public-ip") {
    World world;
    SimNode& node = world.add(1);
    REQUIRE(node.settings.interface.public_ip_file.assign(kFile));
    SUBCASE("waits") {
      node.start();
      world.advance(60'000);
      CHECK(node.state() == agent::State::kInterface);
      CHECK(node.log.count("the public IP file has no address yet") == 1);
      node.files.all[kFile] = "198.51.100.1\n";
      CHECK(world.run_until([&] { return node.running(); }, 10'000));
    }
    SUBCASE("goes on") {
      node.settings.interface.public_ip = ip("198.51.100.9");
      node.start();
      REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
      CHECK(world.value_of(node.key()).find("198.51.100.9") != std::string::npos);
    }
  }

  TEST_CASE("the file costs one wake-up a minute") {
    Behind b("198.51.100.1\n");
    REQUIRE(b.publishes("198.51.100.1", 5'000));
    b.world.advance(60'000);
    const std::size_t before = b.world.wakeups();
    b.world.advance(3'600'000);
    CHECK(b.world.wakeups() - before <= 60 + 2 * 40);  // and what both nodes do anyway
  }
}
