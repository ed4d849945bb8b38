// SPDX-License-Identifier: Apache-2.0
// What happens in the registry happens in the kernel: events, gaps, bad records.
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

struct Watching {
  World world;
  SimNode& node = world.add_started(1);
  Watching() {
    REQUIRE(world.run_until([this] { return node.ready_count() == 1; }));
    world.advance(1'000);
  }
  bool programmed(unsigned third) {
    return node.has_peer(World::peer_subnet(third), mac(third), World::peer_ip(third));
  }
  /// Third octets that are free for peers whatever subnet the node has.
  unsigned free(unsigned third) const { return node.key() == World::peer_key(third) ? third + 100 : third; }
};

}  // namespace

TEST_SUITE("agent/peers") {
  TEST_CASE("a peer that joins is programmed, one that leaves is taken out, at once") {
    Watching w;
    const unsigned a = w.free(20), b = w.free(21);
    w.world.put_peer(a);
    w.world.put_peer(b);
    w.world.advance(100);
    CHECK(w.programmed(a));
    CHECK(w.programmed(b));
    w.world.remove_peer(a);
    w.world.advance(100);
    CHECK(!w.programmed(a));
    CHECK(w.programmed(b));
    CHECK(w.node.entries().find(std::string(text_of(mac(a)).view())) == std::string::npos);
  }

  TEST_CASE("compat 9.14: a peer's MAC changes: new entries, and nothing of the old MAC is left") {
    Watching w;
    const unsigned a = w.free(20);
    w.world.put_peer(a);
    w.world.advance(100);
    w.world.put("subnets/" + World::peer_key(a), World::peer_value(900, "172.31.0.20"));
    w.world.advance(100);
    CHECK(w.node.has_peer(World::peer_subnet(a), mac(900), ip("172.31.0.20")));
    CHECK(w.node.entries().find(std::string(text_of(mac(a)).view())) == std::string::npos);
    w.world.remove_peer(a);
    w.world.advance(100);
    CHECK(w.node.entries() == "");
  }

  TEST_CASE("a peer's PublicIP changes: its FDB entry follows") {
    Watching w;
    const unsigned a = w.free(20);
    w.world.put_peer(a);
    w.world.advance(100);
    w.world.put("subnets/" + World::peer_key(a), World::peer_value(a, "172.31.9.9"));
    w.world.advance(100);
    CHECK(w.node.has_peer(World::peer_subnet(a), mac(a), ip("172.31.9.9")));
    CHECK(w.node.entries().find("172.31.0.") == std::string::npos);
    CHECK(w.node.routes() == 1);
  }

  TEST_CASE("compat 9.4: a hundred keys in one transaction are a hundred peers") {
    Watching w;
    std::vector<std::pair<std::string, std::string>> pairs;
    for (unsigned i = 1; i <= 100; ++i) {
      pairs.emplace_back(World::kPrefix + ("subnets/" + World::peer_key(w.free(i))),
                         World::peer_value(w.free(i)));
    }
    w.world.etcd.put_all(pairs);
    w.world.advance(1'000);
    CHECK(w.node.routes() == 100);
  }

  TEST_CASE("compat 9.5: ten thousand single puts, as fast as they come, and nothing is lost") {
    World world(
        R"({"Network":"10.0.0.0/8","SubnetMin":"10.1.0.0","SubnetMax":"10.99.0.0","Backend":{"Type":"vxlan"}})");
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    for (unsigned i = 0; i < 10'000; ++i) {
      world.put("subnets/10." + std::to_string(100 + i / 250) + "." + std::to_string(i % 250) + ".0-24",
                World::peer_value(i));
      if (i % 50 == 0) world.advance(1);
    }
    world.advance(2'000);
    CHECK(node.counts().peers == 10'000);
    CHECK(node.routes() == 10'000);
    CHECK(!node.log.has("error:"));
  }

  TEST_CASE("compat 9.10: no request per peer, at the start or for an event") {
    World world(R"({"Network":"10.5.0.0/16","SubnetMin":"10.5.250.0","Backend":{"Type":"vxlan"}})");
    for (unsigned i = 1; i <= 240; ++i) world.put_peer(i);
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    CHECK(node.routes() == 240);
    for (unsigned i = 1; i <= 100; ++i) world.put_peer(i);
    world.advance(1'000);
    CHECK(world.etcd.requests() < 8);
  }

  TEST_CASE(
      "compat 9.13: peers that left while we were down are taken out at the start, the others never are") {
    Watching w;
    for (unsigned i = 30; i < 40; ++i) w.world.put_peer(w.free(i));
    w.world.advance(1'000);
    REQUIRE(w.node.routes() == 10);
    w.node.stop();
    for (unsigned i = 30; i < 35; ++i) w.world.remove_peer(w.free(i));
    w.node.start();
    REQUIRE(w.world.run_until([&] { return w.node.ready_count() == 2; }));
    w.world.advance(1'000);
    CHECK(w.node.routes() == 5);
    for (unsigned i = 35; i < 40; ++i) CHECK(w.programmed(w.free(i)));
    CHECK(w.node.entries().find(std::string(text_of(mac(w.free(30))).view())) == std::string::npos);
  }

  TEST_CASE("compat 9.1: a foreign key or value under subnets removes no peer, at the start or later") {
    Watching w;
    const unsigned a = w.free(20);
    w.world.put_peer(a);
    const auto spoil = [&] {
      w.world.put("subnets/readme", "hello");
      w.world.put("subnets/x10.5.70.0-24", World::peer_value(70));
      w.world.put("subnets/10.5.71.0-24/sub", World::peer_value(71));
      w.world.put("subnets/10.5.72.0-24", "not JSON");
      w.world.put("subnets/10.5.73.0-24", "");
      w.world.put("subnets/10.5.74.0-24", R"({"PublicIP":null,"BackendType":"vxlan"})");
      w.world.put("subnets2/10.5.75.0-24", World::peer_value(75));
    };
    spoil();
    w.world.advance(1'000);
    CHECK(w.programmed(a));
    CHECK(w.node.routes() == 1);
    w.node.restart();
    w.world.advance(1'000);
    spoil();
    w.world.advance(1'000);
    CHECK(w.node.ready_count() == 2);
    CHECK(w.programmed(a));
    CHECK(w.node.routes() == 1);
    CHECK(w.node.log.has("a key that is no lease is left alone"));
    CHECK(w.node.log.has("its value is not a lease"));
  }

  TEST_CASE(
      "compat 9.25, 9.20: a record that must not be programmed is not: one line each, and no kernel entry") {
    Watching w;
    const auto value = [](const char* public_ip, const char* mac_text, const char* vni = "1") {
      return R"({"PublicIP":")" + std::string(public_ip) +
             R"(","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":)" + vni + R"(,"VtepMAC":")" +
             mac_text + R"("}})";
    };
    const std::string own(text_of(w.node.mac()).view());
    struct {
      std::string key, value, line;
    } const bad[] = {
        {"192.168.14.0-24", World::peer_value(14), "not a subnet of the network"},
        {"0.0.0.0-0", World::peer_value(15), "not a subnet of the network"},
        {"10.5.0.0-16", World::peer_value(16), "not a subnet of the network"},
        {"10.0.0.0-8", World::peer_value(17), "not a subnet of the network"},
        {"10.5.240.7-24", World::peer_value(18), "not a subnet of the network"},
        {"10.5.241.0-31", World::peer_value(19), "not a subnet of the network"},
        {"10.5.242.0-24", value("fd00::1", "02:00:00:00:07:01"), "its value is not a lease"},
        {"10.5.243.0-24", value("224.0.0.1", "02:00:00:00:07:02"), "not a unicast address"},
        {"10.5.244.0-24", value("127.0.0.1", "02:00:00:00:07:03"), "not a unicast address"},
        {"10.5.245.0-24", value("172.30.0.1", "02:00:00:00:07:04"), "its public IP is ours"},
        {"10.5.246.0-24", value("172.31.7.5", "03:00:00:00:07:05"), "missing or not unicast"},
        {"10.5.247.0-24", value("172.31.7.6", "00:00:00:00:00:00"), "missing or not unicast"},
        {"10.5.248.0-24", value("172.31.7.7", own.c_str()), "its VTEP MAC is ours"},
        {"10.5.249.0-24", value("172.31.7.8", "02:00:00:00:07:08", "2"), "its VNI is not ours"},
        {"10.5.250.0-24", R"({"PublicIP":"172.31.7.9","PublicIPv6":null,"BackendType":"host-gw"})",
         "its backend is not ours"},
        {w.node.key().substr(0, w.node.key().size() - 2) + "25", World::peer_value(20),
         "its subnet overlaps ours"},
    };
    for (const auto& record : bad) {
      CAPTURE(record.key);
      const auto before = w.node.log.lines.size();
      w.world.put("subnets/" + record.key, record.value);
      w.world.advance(61'000);  // so that no line is held back
      REQUIRE(w.node.log.lines.size() == before + 1);
      CHECK(w.node.log.lines.back().find("peer ignored") != std::string::npos);
      CHECK(w.node.log.lines.back().find(record.line) != std::string::npos);
      CHECK(w.node.entries() == "");
    }
    CHECK(w.node.counts().peers == 0);
    CHECK(w.node.counts().ignored == std::size(bad));
  }

  TEST_CASE(
      "each conflict is reported once, whatever else is ignored, and one that follows another is, too") {
    World world;
    const auto conflict = [&](unsigned number) {
      world.put_peer(number);
      world.put("subnets/10.5." + std::to_string(number) + ".128-25", World::peer_value(number + 100));
    };
    const auto remove = [&](const std::string& key) {
      world.etcd.remove(std::string(World::kPrefix) + "subnets/" + key);
    };
    conflict(20);
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(1'000);
    const auto reported = [&] { return node.log.count("peer shadowed"); };
    CHECK(reported() == 1);
    for (int other = 1; other < 4; ++other) {
      world.put("subnets/10.6." + std::to_string(other) + ".0-24", World::peer_value(90));
      world.advance(1'000);
    }
    CHECK(reported() == 1);
    conflict(21);
    remove("10.5.20.128-25");
    world.advance(1'000);
    CHECK(reported() == 2);
  }

  TEST_CASE("of two records that conflict one is programmed; when it goes the other takes its place") {
    Watching w;
    const unsigned a = w.free(20), b = w.free(21);
    w.world.put_peer(a);
    w.world.put("subnets/" + World::peer_key(b), World::peer_value(a, "172.31.5.5"));  // the same MAC
    w.world.advance(1'000);
    CHECK(w.programmed(a));
    CHECK(w.node.routes() == 1);
    CHECK(w.node.log.has("it conflicts with another record"));
    w.world.remove_peer(a);
    w.world.advance(1'000);
    CHECK(w.node.has_peer(World::peer_subnet(b), mac(a), ip("172.31.5.5")));
    CHECK(w.node.routes() == 1);
  }

  TEST_CASE(
      "compat 9.3, 9.6: compaction under the watch: listed again; what changed is changed, what went is "
      "gone, we stay") {
    Watching w;
    const unsigned a = w.free(20), b = w.free(21), c = w.free(22), d = w.free(23);
    for (const unsigned third : {a, b, c}) w.world.put_peer(third);
    w.world.advance(1'000);
    REQUIRE(w.node.routes() == 3);
    w.world.etcd.set_down("10.0.0.1", true);
    w.world.advance(100);
    w.world.remove_peer(a);
    w.world.put("subnets/" + World::peer_key(b), World::peer_value(700));
    w.world.put_peer(d);
    w.world.etcd.compact(w.world.etcd.revision());
    const auto deletes = w.node.kernel.writes;
    w.world.etcd.set_down("10.0.0.1", false);
    REQUIRE(w.world.run_until([&] { return w.programmed(d); }, 60'000));
    w.world.advance(1'000);
    CHECK(!w.programmed(a));
    CHECK(w.node.has_peer(World::peer_subnet(b), mac(700), World::peer_ip(700)));
    CHECK(w.programmed(c));
    CHECK(w.node.routes() == 3);
    CHECK(w.node.kernel.writes - deletes < 12);
    CHECK(w.node.ready_count() == 1);
    CHECK(w.node.device());
  }

  TEST_CASE("the watch is cancelled, or ended with an error: it is opened again and nothing is missed") {
    Watching w;
    const unsigned a = w.free(20);
    SUBCASE("cancelled") { w.world.etcd.cancel_watches("etcdserver: no leader"); }
    SUBCASE("ended") { w.world.etcd.end_watches(14, "etcdserver: no leader"); }
    SUBCASE("cut") { w.world.etcd.cut_all(); }
    w.world.put_peer(a);
    REQUIRE(w.world.run_until([&] { return w.programmed(a); }, 5'000));
    w.world.advance(5'000);
    CHECK(w.world.etcd.watch_count() == 1);
    CHECK(w.node.log.has("registry request failed during=watch"));
  }

  TEST_CASE("etcd goes back to an older revision: listed again, and what it says then is true") {
    Watching w;
    const unsigned a = w.free(20), b = w.free(21);
    w.world.put_peer(a);
    const auto snapshot = w.world.etcd.revision();
    w.world.put_peer(b);
    w.world.advance(1'000);
    REQUIRE(w.node.routes() == 2);
    w.world.etcd.go_back_to(snapshot);
    REQUIRE(w.world.run_until([&] { return !w.programmed(b); }, 60'000));
    CHECK(w.programmed(a));
    w.world.put_peer(b);
    REQUIRE(w.world.run_until([&] { return w.programmed(b); }, 60'000));
    CHECK(w.node.running());
    CHECK(!w.world.value_of(w.node.key()).empty());
  }

  TEST_CASE("a full table is called that, with its limit, once; what is in it works on") {
    World world;
    for (unsigned third = 1; third <= 30; ++third) world.put_peer(third);
    SimNode& node = world.add(1);
    node.max_leases = 20;
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(5'000);
    CHECK(node.routes() >= 19);
    for (unsigned third = 31; third <= 90; ++third) world.put_peer(third);
    world.advance(1'000);
    world.etcd.compact(world.etcd.revision());
    world.advance(60'000);
    CHECK(node.log.count("the table of leases is full") == 1);
    CHECK(node.log.has("limit=20"));
    CHECK(!node.log.has("too many leases"));
  }
}
