// SPDX-License-Identifier: Apache-2.0
// The start without the registry: the node comes up as its state files say, and ends as the registry says.
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

constexpr const char* kHost = "10.0.0.1";

/// A node and two peers that are only records, at rest and kept.
struct Kept {
  World world;
  SimNode& node = world.add(1);
  Kept() {
    world.put_peer(101);
    world.put_peer(102);
    node.start();
    REQUIRE(world.run_until([&] { return node.running() && node.routes() == 2; }));
    world.advance(70'000);
  }
  bool has(unsigned number) {
    return node.has_peer(World::peer_subnet(number), mac(number), World::peer_ip(number));
  }
};

}  // namespace

TEST_SUITE("agent/degraded") {
  TEST_CASE(
      "after a reboot without the registry the node comes up as it was within two seconds, and says so "
      "once") {
    Kept k;
    const Net4 subnet = k.node.subnet();
    const Mac mac = k.node.mac();
    const std::string entries = k.node.entries();
    const std::string env = k.node.subnet_env();
    k.world.etcd.set_down(kHost, true);
    k.node.reboot();
    REQUIRE(k.node.device() == nullptr);
    k.world.advance(900);
    CHECK(k.node.device() == nullptr);  // the registry has a second
    REQUIRE(k.world.run_until([&] { return k.node.ready_count() == 2; }, 1'100));
    CHECK(k.node.subnet() == subnet);
    CHECK(k.node.mac() == mac);
    CHECK(k.node.entries() == entries);
    CHECK(k.node.subnet_env() == env);
    k.world.advance(3'600'000);
    CHECK(k.node.log.count("degraded") == 1);
    CHECK(k.node.state() == agent::State::kConfig);

    // The registry comes back: nothing is written that is right already.
    const auto writes = k.node.kernel.writes;
    const std::string value = k.world.value_of(k.node.key());
    k.world.etcd.set_down(kHost, false);
    REQUIRE(k.world.run_until([&] { return k.node.running(); }, 40'000));
    k.world.advance(2'000);
    CHECK(k.node.kernel.writes == writes);
    CHECK(k.node.subnet() == subnet);
    CHECK(k.world.value_of(k.node.key()) == value);
    CHECK(k.node.log.count("no longer degraded") == 1);
  }

  TEST_CASE("flanneld ran here since: what was saved before is older than its device, and is not used") {
    Kept k;
    k.node.stop();
    const std::string key = k.node.key();
    SUBCASE("it made a device, so with another MAC") {
      for (overlay::Device& device : k.node.kernel.devices) device.mac = mac(77);
      k.world.put("subnets/" + key, World::peer_value(77, "172.30.0.1"));
    }
    SUBCASE("it took another subnet") {
      k.node.files.all[SimNode::kSubnetFile] = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.77.1/24\n";
    }
    k.world.etcd.set_down(kHost, true);
    const auto writes = k.node.kernel.writes;
    const std::string subnet_file = k.node.files.all[SimNode::kSubnetFile];
    k.node.start();
    k.world.advance(60'000);
    CHECK(k.node.files.all[SimNode::kSubnetFile] == subnet_file);
    CHECK(k.node.kernel.writes == writes);
    CHECK(k.node.state() == agent::State::kConfig);
    CHECK(k.node.log.count("the saved state is older than the device") == 1);
    const Mac mac = k.node.mac();
    k.world.etcd.set_down(kHost, false);
    REQUIRE(k.world.run_until([&] { return k.node.running(); }, 40'000));
    CHECK(k.node.mac() == mac);
    CHECK(k.node.routes() == 2);
  }

  TEST_CASE("what changed while the registry was away is put right when it is back") {
    Kept k;
    k.world.etcd.set_down(kHost, true);
    k.node.reboot();
    REQUIRE(k.world.run_until([&] { return k.node.routes() == 2; }));
    k.world.remove_peer(101);
    k.world.put_peer(103);
    k.world.etcd.set_down(kHost, false);
    REQUIRE(k.world.run_until([&] { return k.node.running(); }, 40'000));
    k.world.advance(2'000);
    CHECK(k.node.routes() == 2);
    CHECK_FALSE(k.has(101));
    CHECK(k.has(102));
    CHECK(k.has(103));
  }

  TEST_CASE("our lease went and another took the subnet: the node moves to another one, nobody is robbed") {
    Kept k;
    const std::string key = k.node.key();
    const Net4 subnet = k.node.subnet();
    k.world.etcd.set_down(kHost, true);
    k.node.reboot();
    REQUIRE(k.world.run_until([&] { return k.node.routes() == 2; }));
    k.world.etcd.remove(std::string(World::kPrefix) + "subnets/" + key);
    k.world.put("subnets/" + key, World::peer_value(200));
    k.world.etcd.set_down(kHost, false);
    REQUIRE(k.world.run_until([&] { return k.node.running(); }, 40'000));
    k.world.advance(2'000);
    CHECK(k.node.subnet() != subnet);
    CHECK(k.node.has_peer(subnet, mac(200), World::peer_ip(200)));
    CHECK(k.world.value_of(key) == World::peer_value(200));
  }

  TEST_CASE("the registry is back and refuses our claim: peers are followed meanwhile") {
    Kept k;
    k.world.etcd.set_down(kHost, true);
    k.node.stop();
    k.world.advance(25 * 3'600'000);  // the lease goes
    k.node.reboot();
    REQUIRE(k.world.run_until([&] { return k.node.routes() == 2; }));
    for (int i = 0; i < 100; ++i)
      k.world.etcd.refuse_next("/v3/lease/grant", 8, "etcdserver: mvcc: database space exceeded");
    k.world.etcd.set_down(kHost, false);
    REQUIRE(k.world.run_until([&] { return k.node.log.has("database space exceeded"); }, 60'000));
    k.world.put_peer(200);
    CHECK(k.world.run_until([&] { return k.has(200); }, 1'000));
    CHECK_FALSE(k.node.running());
  }

  TEST_CASE("our lease went and nobody took the subnet: it is claimed again, with the MAC that we had") {
    Kept k;
    const std::string key = k.node.key();
    const std::string value = k.world.value_of(key);
    k.world.etcd.set_down(kHost, true);
    k.world.etcd.remove(std::string(World::kPrefix) + "subnets/" + key);
    SUBCASE("degraded meanwhile") {
      k.node.reboot();
      REQUIRE(k.world.run_until([&] { return k.node.routes() == 2; }));
      k.world.etcd.set_down(kHost, false);
    }
    SUBCASE("the registry is there at the start") {
      k.world.etcd.set_down(kHost, false);
      k.node.reboot();
    }
    REQUIRE(k.world.run_until([&] { return k.node.running() && k.node.routes() == 2; }, 40'000));
    CHECK(k.node.key() == key);
    CHECK(k.world.value_of(key) == value);
  }

  TEST_CASE("a registry that dies before or within the listing leaves the node degraded, not waiting") {
    Kept k;
    std::size_t bytes = 0;
    SUBCASE("within the config") { bytes = 100; }
    SUBCASE("within the listing") { bytes = 900; }
    k.node.stop();
    k.world.etcd.cut_after(bytes);
    k.node.reboot();
    k.world.advance(1);
    REQUIRE(k.world.run_until([&] { return k.node.running() || k.node.log.has("registry request failed"); }));
    k.world.etcd.set_down(kHost, true);
    REQUIRE(k.world.run_until([&] { return k.node.ready_count() == 2; }, 3'000));
    CHECK(k.node.routes() == 2);
    k.world.etcd.set_down(kHost, false);
    REQUIRE(k.world.run_until([&] { return k.node.running(); }, 40'000));
  }

  TEST_CASE("while degraded the data plane is looked after: device deleted, address changed") {
    Kept k;
    k.world.etcd.set_down(kHost, true);
    k.node.reboot();
    REQUIRE(k.world.run_until([&] { return k.node.routes() == 2; }));
    k.node.kernel.remove_link(k.node.device()->index);
    REQUIRE(k.world.run_until([&] { return k.node.routes() == 2; }));
    const Ip4 fresh = ip("172.30.7.7");
    k.node.change_address(fresh);
    REQUIRE(k.world.run_until([&] { return k.node.device() != nullptr && k.node.device()->local == fresh; }));
    k.world.etcd.set_down(kHost, false);
    REQUIRE(k.world.run_until([&] { return k.node.running(); }, 40'000));
    CHECK(k.world.value_of(k.node.key()).find("172.30.7.7") != std::string::npos);
  }

  TEST_CASE(
      "while degraded the device was down for a moment just before the listing ends: its routes are back at "
      "once") {
    Kept k;
    k.world.etcd.set_down(kHost, true);
    k.node.reboot();
    REQUIRE(k.world.run_until([&] { return k.node.routes() == 2; }));
    k.world.advance(10'000);
    k.world.etcd.set_down(kHost, false);
    REQUIRE(k.world.run_until([&] { return k.node.state() == agent::State::kListing; }, 40'000));
    k.node.kernel.flap(k.node.device()->index);
    REQUIRE(k.node.routes() == 0);
    REQUIRE(k.world.run_until([&] { return k.node.running(); }, 50));
    CHECK(k.world.run_until([&] { return k.node.routes() == 2; }, 1'000));
  }

  TEST_CASE("without state files the node waits, says so once, and joins by itself") {
    World world;
    SimNode& node = world.add(1);
    world.etcd.set_down(kHost, true);
    node.start();
    world.advance(60'000);
    CHECK(node.device() == nullptr);
    CHECK(node.ready_count() == 0);
    CHECK_FALSE(node.log.has("degraded"));
    world.etcd.set_down(kHost, false);
    CHECK(world.run_until([&] { return node.running(); }, 40'000));
  }

  TEST_CASE("a state file that is torn, foreign or of another version is ignored with one line") {
    Kept k;
    std::string& node_file = k.node.files.all[SimNode::kNodeFile];
    std::string& peers_file = k.node.files.all[SimNode::kPeersFile];
    bool up = false;
    std::string why;
    SUBCASE("torn node file") { node_file.resize(node_file.size() / 2), why = "damaged"; }
    SUBCASE("one bit of the node file") {
      node_file[60] = static_cast<char>(node_file[60] ^ 1), why = "damaged";
    }
    SUBCASE("a foreign node file") { node_file = "hello\n", why = "not a state file"; }
    SUBCASE("a huge node file") { node_file.assign(100'000, 'x'), why = "not a state file"; }
    SUBCASE("a later node file") {
      node_file.replace(node_file.find(" 1\n"), 2, " 2"), why = "another version";
    }
    SUBCASE("torn peers file") { peers_file.resize(peers_file.size() - 5), up = true, why = "damaged"; }
    SUBCASE("one bit of the peers file") {
      peers_file[40] = static_cast<char>(peers_file[40] ^ 1), up = true, why = "damaged";
    }
    SUBCASE("a foreign peers file") { peers_file = "hello\n", up = true, why = "not a state file"; }
    k.world.etcd.set_down(kHost, true);
    k.node.reboot();
    k.world.advance(60'000);
    CHECK((k.node.device() != nullptr) == up);
    CHECK(k.node.routes() == 0);
    CHECK(k.node.log.count("a state file is not used") == 1);
    CHECK(k.node.log.has(why));
    k.world.etcd.set_down(kHost, false);
    REQUIRE(k.world.run_until([&] { return k.node.running() && k.node.routes() == 2; }, 40'000));
    k.world.advance(70'000);
    k.world.etcd.set_down(kHost, true);
    k.node.reboot();
    CHECK(k.world.run_until([&] { return k.node.routes() == 2; }, 3'000));  // the files are good again
  }

  TEST_CASE(
      "the files are written only for news: identity at once, peers at most once a minute, renewals never") {
    Kept k;
    const auto& files = k.node.files;
    const int writes = files.writes;
    k.node.restart();
    REQUIRE(k.world.run_until([&] { return k.node.running(); }));
    k.world.advance(3 * 3'600'000);
    CHECK(files.writes == writes);
    k.world.put_peer(101);  // the same value again
    k.world.advance(3'600'000);
    CHECK(files.writes == writes);
    for (unsigned i = 0; i < 100; ++i) {  // five minutes of churn
      k.world.put_peer(103 + i);
      k.world.advance(3'000);
    }
    CHECK(files.writes >= writes + 4);
    CHECK(files.writes <= writes + 6);
    k.world.advance(70'000);
    const int before = files.writes;
    k.node.change_address(ip("172.30.9.9"));
    REQUIRE(k.world.run_until(
        [&] { return files.all.at(SimNode::kNodeFile).find("172.30.9.9") != std::string::npos; }, 2'000));
    CHECK(files.writes == before + 1);
  }

  TEST_CASE("a start removes what killed runs left of the files that they were writing") {
    Kept k;
    k.node.stop();
    for (const std::string path : {SimNode::kNodeFile, SimNode::kPeersFile, SimNode::kSubnetFile})
      k.node.files.all[path + ".tmp-01234567"] = "half";
    const auto files = k.node.files.all.size();
    k.node.start();
    CHECK(k.node.files.all.size() == files - 3);
    CHECK(k.node.files.all.contains(SimNode::kNodeFile));
  }

  TEST_CASE("a state file that cannot be read is named with the reason, once") {
    Kept k;
    k.node.files.unreadable = SimNode::kNodeFile;
    k.node.reboot();
    REQUIRE(k.world.run_until([&] { return k.node.running(); }));
    CHECK(k.node.log.count(std::string("a state file is not used file=") + SimNode::kNodeFile +
                           " error=\"read: Input/output error\"") == 1);
  }

  TEST_CASE("a stop keeps what is not kept yet") {
    Kept k;
    k.world.put_peer(103);
    k.world.advance(1'000);
    k.world.etcd.set_down(kHost, true);
    k.node.reboot();
    CHECK(k.world.run_until([&] { return k.has(101) && k.has(102) && k.has(103); }, 3'000));
  }

  TEST_CASE("a disk that cannot be written is said once and stops nothing; once it can, the state is kept") {
    World world;
    SimNode& node = world.add(1);
    node.files.read_only_below = "/var/";
    node.start();
    REQUIRE(world.run_until([&] { return node.running(); }));
    world.put_peer(101);
    world.advance(3'600'000);
    CHECK(node.routes() == 1);
    CHECK(node.log.count("cannot save the state") == 1);
    CHECK_FALSE(node.log.has("the state is saved again"));

    node.files.read_only_below.clear();
    world.advance(61'000);
    CHECK(node.log.count("cannot save the state") == 1);
    CHECK(node.log.count("the state is saved again") == 1);
    const int writes = node.files.writes;
    world.advance(3'600'000);
    CHECK(node.files.writes == writes);

    world.etcd.set_down(kHost, true);
    node.reboot();
    CHECK(world.run_until([&] { return node.ready_count() == 2 && node.routes() == 1; }, 3'000));
  }

  TEST_CASE(
      "one of the two files that cannot be written is said once, and its end, while the other is written") {
    World world;
    SimNode& node = world.add(1);
    node.files.read_only_below = SimNode::kPeersFile;
    node.start();
    REQUIRE(world.run_until([&] { return node.running(); }));
    for (int minute = 0; minute < 10; ++minute) {
      node.change_address(ip(minute % 2 == 0 ? "172.30.9.9" : "172.30.9.8"));
      world.put_peer(101 + static_cast<unsigned>(minute));
      world.advance(60'000);
    }
    CHECK(node.log.count("cannot save the state") == 1);
    CHECK_FALSE(node.log.has("the state is saved again"));
    node.files.read_only_below.clear();
    world.advance(61'000);
    CHECK(node.log.count("the state is saved again") == 1);
  }

  TEST_CASE(
      "thousands of peers and one that flaps write at most 8 MiB a day; a peer after a quiet time is kept "
      "soon") {
    constexpr unsigned kPeers = 2'000;  // 62.5 KiB
    World world(R"({"Network":"10.0.0.0/8","Backend":{"Type":"vxlan"}})");
    SimNode& node = world.add(1);
    const auto put = [&](unsigned number, unsigned mac_of) {
      const std::string key =
          "subnets/10." + std::to_string(100 + number / 256) + "." + std::to_string(number % 256);
      world.put(key + ".0-24",
                World::peer_value(
                    mac_of,
                    ("172.40." + std::to_string(number / 256) + "." + std::to_string(number % 256)).c_str()));
    };
    for (unsigned i = 1; i <= kPeers; ++i) put(i, i);
    node.start();
    REQUIRE(world.run_until([&] { return node.running() && node.routes() == kPeers; }));
    world.advance(3'600'000);
    const std::size_t size = node.files.all.at(SimNode::kPeersFile).size();
    CHECK(size == 32 + 32 * kPeers);

    int before = node.files.writes;
    for (unsigned turn = 0; turn < 6 * 60; ++turn) {  // six hours
      put(1, 3'000 + turn);
      world.advance(60'000);
    }
    const auto bytes = static_cast<std::size_t>(node.files.writes - before) * size;
    CHECK(bytes <= 8 * 1024 * 1024 / 4 + size);
    CHECK(bytes >= 8 * 1024 * 1024 / 4 - 4 * size);

    world.advance(3 * 3'600'000);
    before = node.files.writes;
    put(1, 5'000);
    world.advance(61'000);
    CHECK(node.files.writes == before + 1);
  }
}
