// SPDX-License-Identifier: Apache-2.0
// How a node comes into a Kubernetes cluster, and what it keeps true of its own Node.
#include "flannelette/status/status.hpp"
#include "sim/kube_world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

using Texts = ScriptedKube::Texts;

/// A node that is a member.
struct Joined {
  KubeWorld world;
  ScriptedKube& kube = world.kube;
  SimNode& node = world.add_joined(1);
  std::string env_subnet() const { return node.subnet_text(); }
  bool annotated() const { return annotated(node); }
  bool annotated(const SimNode& of) const {
    return world.annotation(1, "kube-subnet-manager") == "true" &&
           world.annotation(1, "backend-type") == "vxlan" &&
           world.annotation(1, "backend-data") == KubeWorld::data_of(of.mac()) &&
           world.annotation(1, "public-ip") == std::string(text_of(of.address).view());
  }
};

}  // namespace

TEST_SUITE("agent/kube_join") {
  TEST_CASE("a rehearsal gets as far as a node that joins, and its Node stays as it is") {
    KubeWorld world;
    SimNode& node = world.add(1);
    node.kube_settings->rehearsal = true;
    const auto before = world.kube.find("node-1")->resource_version;
    node.start();
    REQUIRE_MESSAGE(world.run_until([&] { return node.ready_count() == 1; }), node.log.text());
    world.advance(6'000);
    CHECK(world.kube.requests("patch") >= 1);
    CHECK(world.kube.find("node-1")->annotations.empty());
    CHECK(world.kube.find("node-1")->resource_version == before);
  }

  TEST_CASE("a node joins: device, subnet.env and annotations are what flanneld makes, in five requests") {
    KubeWorld world;
    SimNode& node = world.add_joined(11);
    const auto* device = node.device();
    REQUIRE(device != nullptr);
    CHECK(device->vni == 1);
    CHECK(device->port == 8472);
    CHECK(device->local == node.address);
    CHECK(device->mtu == 1450);
    CHECK(
        node.subnet_env() ==
        "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.11.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n");
    CHECK(world.kube.find("node-11")->annotations == Texts{{kData, KubeWorld::data_of(node.mac())},
                                                           {kType, "vxlan"},
                                                           {kManager, "true"},
                                                           {kPublicIp, "172.30.0.11"}});
    const Texts condition = world.kube.find("node-11")->conditions.at("NetworkUnavailable");
    CHECK(condition.at("status") == "False");
    CHECK(condition.at("reason") == "FlannelIsUp");
    CHECK(condition.at("message") == "Flannel is running on this node");
    CHECK(condition.at("lastTransitionTime").ends_with("Z"));
    CHECK(world.kube.find("node-11")->conditions.size() == 3);  // the kubelet's are there still
    CHECK(world.kube.requests("list") == 1);
    CHECK(world.kube.requests("node") == 1);
    CHECK(world.kube.full_reads_of("node-11") == 1);
    CHECK(world.kube.requests("patch") == 2);
    CHECK(world.kube.requests("watch") == 1);
    CHECK(world.kube.requests() == 5);
    CHECK(world.kube.connections() <= 2);
    CHECK_FALSE(node.log.has("error:"));
    CHECK_FALSE(node.log.has("warning:"));
  }

  TEST_CASE("three nodes program each other") {
    KubeWorld world;
    for (unsigned i = 1; i <= 3; ++i) world.add_started(i);
    REQUIRE(world.run_until_all_know_all());
    world.add_started(4);
    CHECK(world.run_until_all_know_all(3'000));
  }

  TEST_CASE("a restart writes nothing that is right already: no annotation, no condition, no kernel entry") {
    Joined j;
    j.world.add_peer(20);
    j.world.advance(70'000);
    const auto writes = j.node.kernel.writes;
    const auto files = j.node.files.writes;
    const std::int64_t revision = j.kube.revision();
    j.kube.reset_counts();
    j.node.restart();
    REQUIRE(j.world.run_until([&] { return j.node.ready_count() == 2; }));
    j.world.advance(70'000);
    CHECK(j.node.kernel.writes == writes);
    CHECK(j.node.files.writes == files);
    CHECK(j.kube.revision() == revision);
    CHECK(j.kube.requests("patch") == 0);
    CHECK(j.kube.requests() == 3);
  }

  TEST_CASE("the MAC survives the loss of device and state files: it is on the Node") {
    Joined j;
    const Mac mac = j.node.mac();
    j.node.stop();
    j.node.files.all.erase(SimNode::kNodeFile);
    j.node.files.all.erase(SimNode::kPeersFile);
    j.node.reboot();
    REQUIRE(j.world.run_until([&] { return j.node.ready_count() == 2; }));
    CHECK(j.node.mac() == mac);
    CHECK(j.annotated());
  }

  TEST_CASE("a copy of another node's state gives that node's MAC to nobody else") {
    KubeWorld world;
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    SimNode& copy = world.add(2);
    copy.files.all[SimNode::kNodeFile] = node.files.all.at(SimNode::kNodeFile);
    copy.start();
    REQUIRE(world.run_until_all_know_all());
    CHECK(copy.mac() != node.mac());
  }

  TEST_CASE("the network is said to be available once the data plane is, and only where it is not said yet") {
    KubeWorld world;
    SimNode& node = world.add(1);
    SUBCASE("said already") {
      world.kube.set_condition("node-1", "NetworkUnavailable", "False");
      node.start();
      REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
      world.advance(5'000);
      CHECK(world.kube.requests("patch") == 1);
    }
    SUBCASE("not wanted") {
      node.kube_settings->set_network_available = false;
      node.start();
      REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
      world.advance(5'000);
      CHECK(world.kube.requests("patch") == 1);
      CHECK(world.kube.find("node-1")->conditions.count("NetworkUnavailable") == 0);
    }
    SUBCASE("the opposite is said") {
      world.kube.set_condition("node-1", "NetworkUnavailable", "True");
      int ready_before = -1;
      world.kube.before_next("patch", [] {});
      world.kube.before_next("patch", [&] { ready_before = node.ready_count(); });
      node.start();
      REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
      world.advance(5'000);
      CHECK(ready_before == 1);
      CHECK(world.kube.find("node-1")->conditions.at("NetworkUnavailable").at("status") == "False");
    }
  }

  TEST_CASE("which Node is ours is read of our Pod, where its name is not given") {
    KubeWorld world;
    SimNode& node = world.add(1);
    node.kube_settings->node_name.clear();
    node.kube_settings->pod_name = "flannelette-x7k2p";
    node.kube_settings->pod_namespace = "kube-flannel";
    SUBCASE("it is there") {
      world.kube.pods["kube-flannel/flannelette-x7k2p"] = "node-1";
      node.start();
    }
    SUBCASE("it may not be read at first") {
      world.kube.pods["kube-flannel/flannelette-x7k2p"] = "node-1";
      world.kube.denied = {"get pods"};
      node.start();
      world.advance(10'000);
      CHECK(world.kube.requests("patch") == 0);
      CHECK(node.log.has("cannot get resource"));
      world.kube.denied.clear();
    }
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    CHECK(world.annotation(1, "kube-subnet-manager") == "true");
    CHECK(world.kube.requests("list") == 1);
  }
}

TEST_SUITE("agent/kube_own_node") {
  TEST_CASE("flanneld exits here: a Node without a podCIDR is waited for, named, and joined at once then") {
    KubeWorld world;
    bool there = true;
    SUBCASE("no podCIDR yet") { world.kube.create("node-1", {}); }
    SUBCASE("no podCIDR yet, and managed fields would not show it") {
      world.kube.strip_managed_fields = true;
      world.kube.create("node-1", {});
    }
    SUBCASE("only one of IPv6") { world.kube.create("node-1", {"fd00:1::/64"}), there = false; }
    SUBCASE("no Node yet") { there = false; }
    world.add_peer(20);
    SimNode& node = world.add_bare(1);
    node.start();
    world.advance(600'000);
    CHECK(node.ready_count() == 0);
    CHECK(node.log.has("node-1"));
    CHECK(node.log.lines.size() < 12);
    CHECK(world.kube.requests("patch") == 0);
    CHECK(world.kube.requests("node") < 4);
    if (there) {
      world.kube.assign_pod_cidrs("node-1", {KubeWorld::cidr(1)});
    } else {
      world.kube.recreate("node-1", {KubeWorld::cidr(1)});
    }
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }, 2'000));
    CHECK(node.subnet() == World::peer_subnet(1));
    CHECK(KubeWorld::has_peer(node, 20));
    world.advance(2'000);
    CHECK(world.annotation(1, "kube-subnet-manager") == "true");
  }

  TEST_CASE("its own annotations are wiped, or one of them is changed: they are written again") {
    Joined j;
    const auto writes = j.node.kernel.writes;
    j.kube.reset_counts();
    SUBCASE("all") { j.kube.remove_annotations("node-1", {kManager, kData, kType, kPublicIp}); }
    SUBCASE("the manager") { j.kube.remove_annotations("node-1", {kManager}); }
    SUBCASE("the MAC") { j.kube.remove_annotations("node-1", {kData}); }
    SUBCASE("the address") { j.kube.annotate("node-1", {{kPublicIp, "192.0.2.77"}}); }
    SUBCASE("another form of the same") {
      j.kube.annotate("node-1",
                      {{kData, R"({"VNI": 1, "VtepMAC": "02:00:00:00:00:01"})"}, {kManager, "false"}});
    }
    SUBCASE("while it is away") {
      j.kube.set_down(KubeWorld::kHost, true);
      j.world.advance(10'000);
      j.kube.remove_annotations("node-1", {kManager, kData, kType, kPublicIp});
      j.kube.set_down(KubeWorld::kHost, false);
      j.world.advance(5'000);
    }
    SUBCASE("while it is away, and nobody can be told any more") {
      j.kube.set_down(KubeWorld::kHost, true);
      j.world.advance(10'000);
      j.kube.remove_annotations("node-1", {kManager, kData, kType, kPublicIp});
      j.kube.compact();
      j.kube.set_down(KubeWorld::kHost, false);
      j.world.advance(5'000);
    }
    j.world.advance(3'000);
    CHECK(j.annotated());
    CHECK(j.kube.requests("patch") == 1);
    CHECK(j.kube.requests("node") == 0);
    CHECK(j.node.kernel.writes == writes);
  }

  TEST_CASE("who wipes them again and again is not raced") {
    Joined j;
    j.kube.reset_counts();
    for (int i = 0; i < 600; ++i) {
      j.kube.remove_annotations("node-1", {kManager});
      j.world.advance(1'000);
    }
    CHECK(j.kube.requests("patch") < 100);
    CHECK(j.node.log.lines.size() < 100);
    j.world.advance(120'000);
    CHECK(j.annotated());
  }

  TEST_CASE("its own Node is made anew: annotated again; with another podCIDR the node moves there") {
    Joined j;
    j.world.add_peer(20);
    j.world.advance(1'000);
    const auto recreate = [&](unsigned third) { j.kube.recreate("node-1", {KubeWorld::cidr(third)}); };
    unsigned third = 1;
    SUBCASE("the same podCIDR") { recreate(1); }
    SUBCASE("another one") { recreate(third = 2); }
    SUBCASE("another one, given later") {
      j.kube.recreate("node-1", {});
      j.world.advance(5'000);
      CHECK(j.node.routes() == 1);  // the data plane stays
      j.kube.assign_pod_cidrs("node-1", {KubeWorld::cidr(third = 2)});
    }
    SUBCASE("cut off") {
      j.kube.set_down(KubeWorld::kHost, true);
      j.world.advance(10'000);
      recreate(third = 2);
      j.kube.compact();
      j.kube.set_down(KubeWorld::kHost, false);
    }
    SUBCASE("deleted while we are cut off, and made anew later") {
      j.kube.set_down(KubeWorld::kHost, true);
      j.world.advance(10'000);
      j.kube.remove("node-1");
      j.kube.pass_revisions(10);
      j.kube.compact();
      j.kube.set_down(KubeWorld::kHost, false);
      j.world.advance(10'000);
      j.kube.create("node-1", {KubeWorld::cidr(third = 2)});
    }
    SUBCASE("gone for minutes") {
      j.kube.remove("node-1");
      j.world.advance(200'000);
      CHECK(j.node.routes() == 1);
      CHECK(j.node.log.has("node-1"));
      recreate(third = 2);
    }
    j.world.advance(8'000);
    CHECK(j.annotated());
    CHECK(j.node.subnet() == World::peer_subnet(third));
    CHECK(KubeWorld::has_peer(j.node, 20));
    CHECK(j.node.running());
    CHECK(j.kube.find("node-1")->conditions.at("NetworkUnavailable").at("status") == "False");
  }

  TEST_CASE("the Node is made anew between our read and our write: nothing of the old one is written on it") {
    KubeWorld world;
    world.kube.uid_is_conflict = false;
    SUBCASE("422 Invalid, as the API server says it of a patch") {}
    SUBCASE("409 Conflict") { world.kube.uid_is_conflict = true; }
    SUBCASE("and there is no watch that tells") { world.kube.denied = {"watch nodes"}; }
    SimNode& node = world.add(1);
    world.kube.before_next("patch", [&] { world.kube.recreate("node-1", {KubeWorld::cidr(7)}); });
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }, 10'000));
    world.advance(5'000);
    CHECK(node.subnet() == World::peer_subnet(7));
    CHECK(world.annotation(1, "backend-data") == KubeWorld::data_of(node.mac()));
  }

  TEST_CASE("flanneld says nothing here: a missing right is named by verb and resource, until it is there") {
    struct {
      const char *right, *words;
      bool ready_without;
    } const all[] = {{"list nodes", "cannot list resource \\\"nodes\\\"", false},
                     {"get nodes", "cannot get resource \\\"nodes\\\"", false},
                     {"patch nodes/status", "cannot patch resource \\\"nodes/status\\\"", false},
                     {"watch nodes", "cannot watch resource \\\"nodes\\\"", true}};
    for (const auto& each : all) {
      CAPTURE(each.right);
      KubeWorld world;
      world.kube.denied = {each.right};
      SimNode& node = world.add_started(1);
      world.advance(60'000);
      CHECK(node.log.has(each.words));
      CHECK(node.log.lines.size() < 20);
      if (!each.ready_without) CHECK(node.ready_count() == 0);
      world.kube.denied.clear();
      CHECK(world.run_until([&] { return node.ready_count() == 1 && world.kube.watch_count() == 1; }, 7'000));
      world.advance(6'000);
      CHECK(node.log.has("registry reachable again"));
    }
  }

  TEST_CASE("an overwrite annotation forces the public IP, at the start and while running, and no device") {
    Joined j;
    const auto device = *j.node.device();
    j.kube.annotate("node-1", {{kOverwrite, "203.0.113.7"}});
    j.world.advance(2'000);
    CHECK(j.world.annotation(1, "public-ip") == "203.0.113.7");
    j.node.restart();
    REQUIRE(j.world.run_until([&] { return j.node.ready_count() == 2; }));
    j.world.advance(2'000);
    CHECK(j.world.annotation(1, "public-ip") == "203.0.113.7");
    CHECK(j.node.device()->local == device.local);
    j.kube.annotate("node-1", {{kOverwrite, "203.0.113.8"}});
    j.world.advance(2'000);
    CHECK(j.world.annotation(1, "public-ip") == "203.0.113.8");
    j.kube.annotate("node-1", {{kOverwrite, "nonsense"}});
    j.world.advance(15'000);
    CHECK(j.world.annotation(1, "public-ip") == "172.30.0.1");
    j.kube.remove_annotations("node-1", {kOverwrite});
    j.world.advance(15'000);
    CHECK(j.annotated());
  }

  TEST_CASE("another address of the machine is published, and nothing else is written") {
    Joined j;
    const auto patches = j.kube.requests("patch");
    j.node.change_address(ip("172.30.7.7"));
    REQUIRE(j.world.run_until([&] { return j.world.annotation(1, "public-ip") == "172.30.7.7"; }, 10'000));
    j.world.advance(10'000);
    CHECK(j.annotated());
    CHECK(j.kube.requests("patch") == patches + 1);
    CHECK(j.kube.watch_count() == 1);
  }

  TEST_CASE("another address while the API server is away is published when it is back") {
    Joined j;
    j.kube.set_down(KubeWorld::kHost, true);
    j.node.change_address(ip("172.30.7.7"));
    j.world.advance(60'000);
    j.kube.set_down(KubeWorld::kHost, false);
    j.world.advance(6'000);
    CHECK(j.annotated());
  }

  TEST_CASE("another flannel's annotations on our Node are reported, and ours come back when they go") {
    Joined j;
    j.kube.annotate("node-1", {{kData, KubeWorld::data_of(mac(77))}, {kPublicIp, "172.31.7.7"}});
    j.world.advance(60'000);
    CHECK(j.world.annotation(1, "backend-data") == KubeWorld::data_of(mac(77)));
    CHECK(j.node.log.has("02:00:00:00:00:4d"));
    CHECK(j.node.log.lines.size() < 20);
    j.kube.remove_annotations("node-1", {kData, kPublicIp});
    j.world.advance(3'000);
    CHECK(j.annotated());
  }

  TEST_CASE("a store restored from a backup has our address of before: it is ours, and written again") {
    const char* config = World::kConfig;
    SUBCASE("vxlan, where the MAC tells") {}
    SUBCASE("host-gw, where no MAC tells") {
      config = R"({"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}})";
    }
    KubeWorld world(config);
    SimNode& node = world.add_joined(1);
    const ScriptedKube::Nodes then = world.kube.nodes();
    const std::int64_t revision = world.kube.revision();
    world.kube.pass_revisions(1'000);
    node.change_address(ip("172.30.7.7"));
    world.advance(120'000);
    REQUIRE(world.annotation(1, "public-ip") == "172.30.7.7");
    world.kube.go_back_to(then, revision);
    REQUIRE(world.annotation(1, "public-ip") == "172.30.0.1");
    REQUIRE(world.run_until([&] { return world.annotation(1, "public-ip") == "172.30.7.7"; }, 11 * 60'000));
    world.kube.heartbeat("node-1");
    world.advance(1'000);
    CHECK(node.status().unready.lease.empty());
    CHECK(!node.log.has("another program publishes itself"));

    // Who writes after us is another.
    world.kube.annotate("node-1", {{kPublicIp, "172.31.7.7"}, {kData, KubeWorld::data_of(mac(77))}});
    world.advance(60'000);
    CHECK(node.log.has("another program publishes itself"));
    CHECK(world.annotation(1, "public-ip") == "172.31.7.7");
  }

  TEST_CASE("a 404 for our Node that is wrong is over with its next event") {
    Joined j;
    const ScriptedKube::Refusal wrong{404, "NotFound", "default backend - 404"};
    SUBCASE("the read") {
      j.kube.refuse_next("node", wrong);
      j.node.change_address(ip("172.30.7.7"));
    }
    SUBCASE("the write") {
      j.kube.refuse_next("patch", wrong);
      j.kube.remove_annotations("node-1", {kManager});
    }
    j.world.advance(10'000);
    CHECK(!j.annotated());
    CHECK(!j.node.status().unready.lease.empty());
    j.kube.heartbeat("node-1");
    j.world.advance(5'000);
    CHECK(j.annotated());
    CHECK(j.node.status().unready.lease.empty());
  }

  TEST_CASE("a 404 for a Node that was restored as it was is over with its next event") {
    Joined j;
    const ScriptedKube::Nodes then = j.kube.nodes();
    const std::int64_t revision = j.kube.revision();
    j.kube.pass_revisions(1'000);
    j.kube.set_down(KubeWorld::kHost, true);
    j.kube.remove("node-1");
    j.world.advance(5'000);
    j.node.change_address(ip("172.30.7.7"));
    j.kube.set_down(KubeWorld::kHost, false);
    j.world.advance(60'000);
    CHECK(j.kube.find("node-1") == nullptr);
    j.kube.go_back_to(then, revision);
    j.world.advance(11 * 60'000);
    j.kube.heartbeat("node-1");
    j.world.advance(3'000);
    CHECK(j.annotated());
  }

  TEST_CASE("our Node goes while it is written: a peer that waits to be read is read") {
    KubeWorld world;
    world.kube.strip_managed_fields = true;
    SimNode& node = world.add_joined(1);
    const std::size_t patches = world.kube.requests("patch");
    world.kube.hold_answer("patch");
    world.kube.remove_annotations("node-1", {kData});
    REQUIRE(world.run_until([&] { return world.kube.requests("patch") > patches; }, 70'000));
    world.advance(10);
    world.add_peer(20);
    world.advance(100);
    REQUIRE(world.kube.reads_of("peer-20") == 0);
    world.kube.remove("node-1");
    world.advance(1'000);
    CHECK(KubeWorld::has_peer(node, 20));
  }

  TEST_CASE("annotations that cannot be written keep nobody from what is known: the data plane follows") {
    Joined j;
    j.kube.denied = {"patch nodes/status"};
    j.kube.remove_annotations("node-1", {kManager});
    j.world.add_peer(20);
    j.world.advance(10'000);
    CHECK(KubeWorld::has_peer(j.node, 20));
    j.kube.denied.clear();
    j.world.advance(10'000);
    CHECK(j.annotated());
  }
}

TEST_SUITE("agent/kube_config") {
  TEST_CASE("nothing is asked of the API server before the config in the file is good") {
    KubeWorld world;
    SimNode& node = world.add(1);
    std::string bad;
    SUBCASE("no file") { node.files.all.erase(KubeWorld::kConfigFile); }
    SUBCASE("no JSON") { bad = "{"; }
    SUBCASE("no Network") { bad = R"({"Backend":{"Type":"vxlan"}})"; }
    SUBCASE("a backend that is not there") { bad = R"({"Network":"10.5.0.0/16","Backend":{"Type":"udp"}})"; }
    if (!bad.empty()) node.files.all[KubeWorld::kConfigFile] = bad;
    node.start();
    world.advance(120'000);
    CHECK(world.kube.requests() == 0);
    CHECK(world.kube.connections() == 0);
    CHECK(node.log.has(KubeWorld::kConfigFile));
    CHECK(node.log.lines.size() < 12);
    node.files.all[KubeWorld::kConfigFile] = World::kConfig;
    CHECK(world.run_until([&] { return node.ready_count() == 1; }, 8'000));
  }

  TEST_CASE("flanneld writes first here: with a podCIDR that does not fit the config nothing is written") {
    KubeWorld world;
    std::string cidr, words = "podCIDR";
    SUBCASE("outside of Network") { cidr = "10.6.1.0/24"; }
    SUBCASE("Network itself") { cidr = "10.5.0.0/16"; }
    SUBCASE("larger than Network") { cidr = "10.0.0.0/8"; }
    SUBCASE("it holds the API server") { cidr = "10.5.0.0/24"; }
    if (cidr == "10.5.0.0/24") {
      world.kube.create("node-1", {cidr});
      SimNode& node = world.add_bare(1);
      node.kube_settings->servers[0] = {false, {"10.5.0.9"}, 6443};
    } else {
      world.kube.create("node-1", {cidr});
      (void)world.add_bare(1);
    }
    SimNode& node = world.node(0);
    node.start();
    world.advance(60'000);
    CHECK(world.kube.requests("patch") == 0);
    CHECK(world.kube.find("node-1")->annotations.empty());
    CHECK(node.ready_count() == 0);
    CHECK(node.device() == nullptr);
    CHECK(node.log.has(cidr));
    CHECK(node.log.lines.size() < 12);
    world.kube.recreate("node-1", {KubeWorld::cidr(9)});
    CHECK(world.run_until([&] { return node.ready_count() == 1; }, 5'000));
  }

  TEST_CASE("SubnetLen, SubnetMin and SubnetMax mean nothing here, as to flanneld") {
    KubeWorld world(
        R"({"Network":"10.5.0.0/16","SubnetLen":30,"SubnetMin":"10.5.200.0","Backend":{"Type":"vxlan"}})");
    world.kube.create("node-1", {"10.5.1.0/25"});
    world.kube.create("peer-20", {"10.5.20.0/23"}, KubeWorld::annotations_of(20));
    SimNode& node = world.add_bare(1);
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(1'000);
    CHECK(node.routes() == 1);
    CHECK(node.subnet_env().find("FLANNEL_SUBNET=10.5.1.1/25") != std::string::npos);
  }

  TEST_CASE("a change of the file is said, once; an invalid or missing one changes nothing") {
    Joined j;
    const std::string env = j.node.subnet_env();
    const auto writes = j.node.kernel.writes;
    const std::size_t lines = j.node.log.lines.size();
    SUBCASE("another network") {
      j.node.files.all[KubeWorld::kConfigFile] = KubeWorld::kWide;
      j.world.advance(600'000);
      CHECK(j.node.log.lines.size() == lines + 1);
      CHECK(j.node.log.has("the network config has changed"));
    }
    SUBCASE("no JSON") {
      j.node.files.all[KubeWorld::kConfigFile] = "{";
      j.world.advance(600'000);
      CHECK(j.node.log.lines.size() == lines + 1);
    }
    SUBCASE("gone") {
      j.node.files.all.erase(KubeWorld::kConfigFile);
      j.world.advance(600'000);
      CHECK(j.node.log.lines.size() == lines);
    }
    SUBCASE("written again in other words") {
      j.node.files.all[KubeWorld::kConfigFile] = std::string(World::kConfig) + "\n\n";
      j.world.advance(600'000);
      CHECK(j.node.log.lines.size() == lines);
    }
    CHECK(j.node.running());
    CHECK(j.node.subnet_env() == env);
    CHECK(j.node.kernel.writes == writes);
    j.world.add_peer(20);
    j.world.advance(1'000);
    CHECK(KubeWorld::has_peer(j.node, 20));
  }
}
