// SPDX-License-Identifier: Apache-2.0
// What is shown of a node, and that it is what the node acts on.
#include "flannelette/status/status.hpp"

#include "agent/dataplane.hpp"
#include "flannelette/status/rendering.hpp"
#include "sim/kube_world.hpp"
#include "sim/resting_node.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

using overlay::Entry;
using State = status::PeerStatus::State;
using status::Status;

std::string words(const status::Words& text) { return std::string(text.view()); }

struct Node : RestingNode {
  Node() : RestingNode({40, 41}, 10'000) {}
  Status status() const { return node.status(); }
  bool ready() const { return status().ready(); }
  std::string unready() const {
    std::array<char, 512> memory;
    Writer out(memory);
    status::write_unready(out, status());
    return std::string(out.view());
  }
  /// Of the record whose subnet is this one.
  status::PeerStatus peer(Net4 subnet) const {
    status::PeerStatus peer;
    for (std::size_t i = 0; node.status_source().peer(i, peer); ++i) {
      if (peer.subnet == Net(subnet)) return peer;
    }
    FAIL("no such record");
    return peer;
  }
  status::PeerStatus peer(unsigned third) const { return peer(subnet(third)); }
};

}  // namespace

TEST_SUITE("agent/status") {
  TEST_CASE("a node in order: who it is, what it holds, what it has done") {
    Node n;
    n.node.files.all["/proc/self/statm"] = "900 120 80 70 0 30 0\n";
    n.node.kernel.link_traffic[n.node.device()->index] = {1, 2, 300, 400, 5};
    const Status s = n.status();
    CHECK(s.ready());
    CHECK(s.node.state == std::string("running"));
    CHECK(words(s.node.device) == "flannel.1");
    CHECK(s.node.network == Net(Net4{ip("10.5.0.0"), 16}));
    CHECK(s.node.subnet == Net(n.node.subnet()));
    CHECK(s.node.mac == n.node.mac());
    CHECK(s.node.public_ip == Ip(n.node.address));
    CHECK(words(s.node.interface) == "eth0");
    CHECK(s.node.backend == std::string("vxlan"));
    CHECK(s.node.mtu_bytes == 1450);
    CHECK(s.node.vni == 1);
    CHECK(s.node.port == 8472);
    CHECK(s.lease.state == std::string("held"));
    CHECK(s.lease.held == 1);
    CHECK_FALSE(s.lease.reservation);
    CHECK(s.lease.remaining <= 86'400'000);
    CHECK(s.lease.remaining > 86'300'000);
    CHECK(words(s.registry.server).starts_with("http://"));
    CHECK(s.registry.watch == std::string("stable"));
    CHECK(s.registry.watch_age < 1'000);
    CHECK(s.registry.connected >= 9'000);
    CHECK(s.registry.event_age > 0);
    CHECK(s.registry.failure.empty());
    CHECK(s.registry.connections == 1);
    CHECK(s.registry.requests >= 4);
    CHECK(s.registry.messages >= 3);
    CHECK(s.registry.received_bytes > 1'000);
    CHECK(s.registry.sent_bytes > 1'000);
    CHECK(s.peers.wanted == 2);
    CHECK(s.peers.programmed == 2);
    CHECK(s.peers.refused == 0);
    CHECK(s.kernel.rules == std::string("installed"));
    CHECK(s.kernel.failure.empty());
    CHECK(s.kernel.changes == 6);
    CHECK(s.kernel.batches >= 1);
    CHECK(s.kernel.audits >= 1);
    CHECK(s.device.received_bytes == 300);
    CHECK(s.device.sent_packets == 2);
    CHECK(s.device.dropped_packets == 5);
    CHECK(s.process.resident_memory_bytes % 120 == 0);
    CHECK(s.process.resident_memory_bytes >= 120 * 4096);
    CHECK(s.process.start_time_seconds == n.world.clock.wall_seconds() - s.process.uptime / 1'000);
    CHECK(s.process.wakeups > 10);
    CHECK(s.process.state_writes == 2);
    CHECK(s.process.state_written_bytes ==
          static_cast<std::int64_t>(n.node.files.all[SimNode::kNodeFile].size() +
                                    n.node.files.all[SimNode::kPeersFile].size()));
    CHECK(n.peer(40).state == State::kProgrammed);
    CHECK(n.peer(40).public_ip == Ip(World::peer_ip(40)));
    CHECK(n.peer(n.node.subnet()).state == State::kOurs);
  }

  TEST_CASE("without its interface a node says so") {
    World world;
    SimNode& node = world.add(1);
    node.set_default_route(false);
    node.start();
    world.advance(3'000);
    CHECK(words(node.status().unready.lease).starts_with("no interface: "));
  }

  TEST_CASE("before it is set up a node is not ready, for each of the reasons") {
    World world(nullptr);
    SimNode& node = world.add_started(1);
    world.advance(3'000);
    Status s = node.status();
    CHECK(words(s.unready.lease) == "there is no network config in the registry yet; waiting for it");
    CHECK(words(s.unready.kernel) == "nothing is set up yet");
    CHECK(words(s.unready.watch) == "there is none");
    CHECK(s.node.state == std::string("config"));
    world.put_config(R"({"Network":"10.5.0.0/16","SubnetLen":40})");
    CHECK(world.run_until([&] { return words(node.status().unready.lease).starts_with("SubnetLen: "); },
                          61'000));
    CHECK(s.lease.held == 0);
    world.put_config(World::kConfig);
    REQUIRE(world.run_until([&] { return node.status().ready(); }));
    CHECK(node.ready_count() == 1);
  }

  TEST_CASE("damage is counted by its kind, and repaired before anybody can ask") {
    Node n;
    n.delete_route(40);
    n.world.advance(25);
    CHECK(n.ready());
    CHECK(n.status().repairs == std::array<std::int64_t, 7>{1, 0, 0, 0, 0, 0, 0});
    n.node.kernel.remove_link(n.node.device()->index);
    REQUIRE(n.world.run_until([&] { return n.node.routes() == 2; }));
    n.world.advance(1'000);
    CHECK(n.ready());
    CHECK(n.status().repairs[6] == 1);
    CHECK(n.status().peers.programmed == 2);
  }

  TEST_CASE("damage that cannot be repaired is shown at once, with the reason, until it can") {
    Node n;
    n.node.kernel.fail(FakeKernel::Call::kCreateDevice, {Code::kExists, 0, "create the device"}, -1);
    n.node.kernel.remove_link(n.node.device()->index);
    REQUIRE(n.world.run_until([&] { return !n.ready(); }, 1'000));
    CHECK(n.unready() == "not ready: kernel: out of sync: create the device: exists already\n");
    CHECK(words(n.status().kernel.failure) == "create the device: exists already");
    n.world.advance(60'000);
    CHECK_FALSE(n.ready());
    n.node.kernel.heal();
    REQUIRE(n.world.run_until([&] { return n.ready(); }, 10'000));
  }

  TEST_CASE("what another program damages again and again is not ready while it is left alone") {
    Node n;
    for (int i = 0; i < 15; ++i) {
      n.delete_route(40);
      n.world.advance(100);
    }
    CHECK(n.unready() == "not ready: kernel: other programs change entries; they are not repaired yet\n");
    REQUIRE(n.world.run_until([&] { return n.ready(); }, 70'000));
    CHECK(n.node.routes() == 2);
  }

  TEST_CASE("the traffic rules cannot be installed") {
    Node n;
    n.node.kernel.fail(FakeKernel::Call::kApplyRules, {Code::kUnsupported, 0, "nf_tables"}, -1);
    n.node.kernel.rules_changed("nft", 4711);
    REQUIRE(n.world.run_until([&] { return !n.ready(); }, 1'000));
    CHECK(n.status().kernel.rules == std::string("failed"));
    CHECK(n.unready() == "not ready: kernel: out of sync: nf_tables: unsupported\n");
  }

  TEST_CASE("a peer that the kernel refuses is named; once it takes it, it is programmed") {
    Node n;
    n.node.kernel.refuse = [](const overlay::Change& change) {
      return change.puts(Entry::Kind::kRoute) && change.entry.net.v4() == World::peer_subnet(42)
                 ? std::optional(Error{Code::kExists, 0, "a foreign route"})
                 : std::nullopt;
    };
    n.world.put_peer(42);
    n.world.advance(3'000);
    CHECK(n.peer(42).state == State::kRefused);
    CHECK(n.peer(41).state == State::kProgrammed);
    const Status s = n.status();
    CHECK(s.peers.refused == 1);
    CHECK(s.peers.wanted == 3);
    CHECK(s.kernel.refusals >= 1);
    CHECK(n.unready() == "not ready: kernel: out of sync: a foreign route: exists already\n");
    n.node.kernel.refuse = nullptr;
    REQUIRE(n.world.run_until([&] { return n.ready(); }, 70'000));
    CHECK(n.peer(42).state == State::kProgrammed);
    CHECK(n.status().peers.refused == 0);
  }

  TEST_CASE("a record that is ignored says why, one that is shadowed by whom, and each is counted") {
    Node n;
    n.world.put("subnets/10.5.60.0-24", R"({"PublicIP":"172.31.0.60","BackendType":"udp"})");
    n.world.put("subnets/10.5.61.0-24", World::peer_value(61, "127.0.0.1"));
    n.world.put("subnets/10.5.40.0-25", World::peer_value(62));
    n.world.advance(1'000);
    CHECK(n.peer(60).state == State::kIgnored);
    CHECK(n.peer(60).why == overlay::Ignored::kOtherBackend);
    CHECK(n.peer(61).why == overlay::Ignored::kBadPublicIp);
    const auto shadowed = n.peer(Net4{ip("10.5.40.0"), 25});
    CHECK(shadowed.why == overlay::Ignored::kConflict);
    CHECK(shadowed.shadowed_by == Net(World::peer_subnet(40)));
    const Status s = n.status();
    CHECK(s.peers.wanted == 2);
    CHECK(s.ignored[static_cast<std::size_t>(overlay::Ignored::kOtherBackend)] == 1);
    CHECK(s.ignored[static_cast<std::size_t>(overlay::Ignored::kBadPublicIp)] == 1);
    CHECK(s.ignored[static_cast<std::size_t>(overlay::Ignored::kConflict)] == 1);
    CHECK(s.ready());
    // It is promoted when the winner goes.
    n.world.remove_peer(40);
    n.world.advance(1'000);
    CHECK(n.peer(Net4{ip("10.5.40.0"), 25}).state == State::kProgrammed);
    CHECK(n.peer(Net4{ip("10.5.40.0"), 25}).shadowed_by == Net(Net4{}));
  }

  TEST_CASE("the registry is lost: 15 s without a watch, then not ready, until there is one again") {
    Node n;
    n.world.etcd.set_down("10.0.0.1", true);
    n.world.advance(14'000);
    CHECK(n.ready());
    n.world.advance(2'000);
    CHECK(n.unready() == "not ready: watch: there is none for 16 s: connect: Connection refused\n");
    const Status s = n.status();
    CHECK(s.lease.state == std::string("held"));
    CHECK(s.registry.connected == 0);
    CHECK(s.failures[static_cast<std::size_t>(Code::kSystem)] >= 2);
    CHECK(words(s.registry.failure) == "connect: Connection refused");
    n.world.etcd.set_down("10.0.0.1", false);
    REQUIRE(n.world.run_until([&] { return n.ready(); }, 40'000));
    n.world.advance(10'000);
    CHECK(n.status().registry.failure.empty());
    CHECK(n.status().registry.connections == 2);
  }

  TEST_CASE("a watch that is renewed shows nothing, however often it is asked") {
    Node n;
    for (int minute = 0; minute < 60; ++minute) {
      if (minute % 5 == 0) n.world.etcd.cut_all();
      for (int i = 0; i < 600; ++i) {
        n.world.advance(100);
        REQUIRE(n.unready() == "");
      }
    }
    CHECK(n.status().registry.connections >= 12);
  }

  TEST_CASE("a watch that is cut silently is known within 30 s, and stays known when TCP gives it up") {
    Node n;
    CHECK(n.ready());  // who asks has the connection probed
    n.world.advance(60'000);
    n.world.etcd.unplug(true);
    n.world.advance(24'000);
    CHECK(n.ready());
    n.world.advance(5'000);
    CHECK(n.unready() == "not ready: watch: no word from the registry for 29 s\n");
    CHECK(n.status().registry.watch_age / 1'000 == 29);
    n.world.advance(1'000);
    n.world.etcd.time_out_all();
    for (int i = 0; i < 60; ++i) {
      CHECK_FALSE(n.ready());
      n.world.advance(1'000);
    }
    n.world.etcd.unplug(false);
    REQUIRE(n.world.run_until([&] { return n.ready(); }, 40'000));
  }

  TEST_CASE(
      "who asks for the first time after a long silence is not misled: first the connection is probed") {
    Node n;
    n.world.advance(600'000);
    n.world.etcd.unplug(true);
    n.world.advance(40'000);
    CHECK(n.ready());
    CHECK(n.status().registry.watch_age / 1'000 == 40);
    n.world.advance(26'000);
    CHECK_FALSE(n.ready());
  }

  TEST_CASE("asking wakes nobody: an idle node that is asked every 10 s wakes up as if it were not") {
    Node n;
    n.world.advance(60'000);
    const auto before = n.world.wakeups();
    for (int i = 0; i < 60; ++i) {
      n.world.advance(10'000);
      CHECK(n.ready());
    }
    CHECK(n.world.wakeups() - before <= 60 + 20);  // each question is one
  }

  TEST_CASE("behind a proxy that answers requests and no watch a node works, and is not ready") {
    World world;
    world.etcd.every_watch = "";
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(60'000);
    CHECK(words(node.status().unready.watch).starts_with("there is none: "));
    CHECK(node.status().unready.kernel.empty());
    CHECK(node.status().unready.lease.empty());
  }

  TEST_CASE("a node that comes up without the registry has a cached lease, and lacks the watch alone") {
    Node n;
    n.node.stop();
    n.world.etcd.set_down("10.0.0.1", true);
    n.node.reboot();
    REQUIRE(n.world.run_until([&] { return n.node.ready_count() == 2; }));
    const Status s = n.status();
    CHECK(s.lease.state == std::string("cached"));
    CHECK(s.lease.held == 0);
    CHECK(s.unready.lease.empty());
    CHECK(s.unready.kernel.empty());
    CHECK_FALSE(s.unready.watch.empty());
    CHECK(s.peers.programmed == 2);
    n.world.etcd.set_down("10.0.0.1", false);
    REQUIRE(n.world.run_until([&] { return n.ready() && n.status().lease.held == 1; }, 60'000));
    CHECK(n.status().lease.state == std::string("held"));
  }

  TEST_CASE("a rival holds our subnet: not ready for the lease, until it is gone") {
    Node n;
    const std::string key = "subnets/" + n.node.key();
    n.world.put(key, World::peer_value(66));
    n.world.advance(5'000);
    CHECK(n.unready() == "not ready: lease: none, contested\n");
    n.world.etcd.remove(World::kPrefix + key);
    REQUIRE(n.world.run_until([&] { return n.ready(); }));
  }

  TEST_CASE("the lease is renewed: the time that is left goes up again, and nothing else is seen") {
    Node n;
    for (int hour = 0; hour < 48; ++hour) {
      n.world.advance(3'600'000);
      CHECK(n.status().lease.remaining <= 86'400'000);
      CHECK(n.status().lease.remaining > (86'400 - 8 * 3'600 - 60) * 1'000);
    }
    CHECK(n.ready());
  }

  TEST_CASE("the wall clock is set after the start: the time of the start follows") {
    Node n;
    const auto before = n.status().process;
    n.world.clock.wall_at_zero += 1'000'000;
    const auto after = n.status().process;
    CHECK(after.start_time_seconds == before.start_time_seconds + 1'000'000);
    CHECK(after.uptime == before.uptime);
  }

  TEST_CASE("in Kubernetes: the lease is a reservation, the rest is as with etcd") {
    KubeWorld world;
    SimNode& node = world.add_started(1);
    SimNode& other = world.add_started(2);
    REQUIRE(world.run_until_all_know_all());
    world.advance(10'000);
    const Status s = node.status();
    CHECK(s.ready());
    CHECK(s.lease.state == std::string("held"));
    CHECK(s.lease.reservation);
    CHECK(s.lease.remaining == 0);
    CHECK(s.registry.watch == std::string("stable"));
    CHECK(s.peers.programmed == 1);
    CHECK(s.registry.messages >= 1);
    for (int i = 0; i < 600; ++i) {
      if (i % 60 == 0) world.kube.cut_all();
      world.advance(1'000);
      REQUIRE(node.status().ready());
    }
    CHECK(node.status().registry.connections >= 10);
    other.stop();
  }

  /// Invariant 16.
  TEST_CASE("invariant 16: whatever happens, what is shown is what the kernel and the leases are") {
    Node n;
    Rng rng(16);
    for (int turn = 0; turn < 300; ++turn) {
      const auto third = static_cast<unsigned>(50 + rng.below(12));
      switch (rng.below(6)) {
        case 0: n.world.put_peer(third); break;
        case 1: n.world.remove_peer(third); break;
        case 2: n.world.put("subnets/" + World::peer_key(third), "{}"); break;
        case 3: n.delete_route(40); break;
        case 4: n.world.etcd.cut_all(); break;
        case 5: n.node.restart(); break;
        default: break;
      }
      n.world.advance(static_cast<Millis>(rng.below(5'000)));
      const Status s = n.status();
      CHECK(s.peers.wanted == static_cast<std::int64_t>(n.node.counts().peers));
      std::int64_t ignored = 0;
      for (std::size_t why = 2; why < s.ignored.size(); ++why) ignored += s.ignored[why];
      CHECK(ignored == static_cast<std::int64_t>(n.node.counts().ignored));
      std::int64_t programmed = 0;
      status::PeerStatus peer;
      for (std::size_t i = 0; n.node.status_source().peer(i, peer); ++i) {
        if (peer.state != State::kProgrammed) continue;
        ++programmed;
        const Net4 subnet = peer.subnet.v4();
        if (!(subnet == World::peer_subnet(40)))
          CHECK(n.node.has_peer(subnet, peer.mac, peer.public_ip.v4()));
      }
      CHECK(s.peers.programmed == programmed);
      if (s.unready.kernel.empty() && turn % 6 != 3)
        CHECK(static_cast<std::int64_t>(n.node.routes()) + 1 >= s.peers.wanted);
    }
  }
}
