// SPDX-License-Identifier: Apache-2.0
// What happens to the Nodes of a Kubernetes cluster happens in the kernel: first where flanneld does not
// follow (its faults, as seen on a real API server), then the rest.
#include <set>

#include "flannelette/status/status.hpp"
#include "sim/kube_world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

using Texts = ScriptedKube::Texts;

/// A node that watches, and a peer that stays.
struct Watching {
  KubeWorld world;
  ScriptedKube& kube = world.kube;
  SimNode& node = world.add(1);
  Watching() {
    world.add_peer(99);
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1 && kube.watch_count() == 1; }));
    world.advance(6'000);
    REQUIRE(has(99));
  }
  bool has(unsigned third) const { return KubeWorld::has_peer(node, third); }
  bool knows_mac(Mac mac) const {
    return node.entries().find(std::string(text_of(mac).view())) != std::string::npos;
  }
  void shortly() { world.advance(1'000); }
  /// A minute without the API server, in which `what` happens.
  template <class What>
  void cut_off(What what) {
    kube.set_down(KubeWorld::kHost, true);
    world.advance(30'000);
    what();
    world.advance(30'000);
    kube.set_down(KubeWorld::kHost, false);
  }
};

void add_crowd(KubeWorld& world, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    Texts texts = KubeWorld::annotations_of(i);
    texts[kPublicIp] = "172." + std::to_string(64 + i / 65'536) + "." + std::to_string(i / 256 % 256) + "." +
                       std::to_string(i % 256);
    world.kube.create("peer-" + std::to_string(i),
                      {"10." + std::to_string(100 + i / 250) + "." + std::to_string(i % 250) + ".0/24"},
                      texts);
  }
}

}  // namespace

TEST_SUITE("agent/kube_faults_of_flanneld") {
  TEST_CASE("the manager annotation is removed: no peer any more; it is given back: a peer again, at once") {
    Watching w;
    w.world.add_peer(20);
    w.shortly();
    REQUIRE(w.has(20));
    SUBCASE("removed") { w.kube.remove_annotations("peer-20", {kManager}); }
    SUBCASE("set to something else") { w.kube.annotate("peer-20", {{kManager, "false"}}); }
    SUBCASE("all of them removed") {
      w.kube.remove_annotations("peer-20", {kManager, kData, kType, kPublicIp});
    }
    w.shortly();
    CHECK_FALSE(w.has(20));
    CHECK(w.node.routes() == 1);
    CHECK_FALSE(w.knows_mac(mac(20)));
    w.kube.annotate("peer-20", KubeWorld::annotations_of(20));
    w.shortly();
    CHECK(w.has(20));
    CHECK(w.has(99));
  }

  TEST_CASE("a podCIDR that is given late is followed, whichever comes first: it or the annotations") {
    Watching w;
    SUBCASE("annotations first") {
      w.kube.create("peer-20", {}, KubeWorld::annotations_of(20));
      w.shortly();
      CHECK(w.node.routes() == 1);
      w.kube.assign_pod_cidrs("peer-20", {KubeWorld::cidr(20)});
    }
    SUBCASE("podCIDR first") {
      w.kube.create("peer-20", {});
      w.shortly();
      w.kube.assign_pod_cidrs("peer-20", {KubeWorld::cidr(20)});
      w.shortly();
      CHECK(w.node.routes() == 1);
      w.kube.annotate("peer-20", KubeWorld::annotations_of(20));
    }
    SUBCASE("the manager annotation last") {
      Texts others = KubeWorld::annotations_of(20);
      others.erase(kManager);
      w.kube.create("peer-20", {KubeWorld::cidr(20)}, others);
      w.shortly();
      CHECK(w.node.routes() == 1);
      w.kube.annotate("peer-20", {{kManager, "true"}});
    }
    w.shortly();
    CHECK(w.has(20));
  }

  TEST_CASE("a Node that is made anew with another podCIDR is right again, also if we were cut off") {
    Watching w;
    w.world.add_peer(20);
    w.shortly();
    const auto recreate = [&] {
      w.kube.recreate("peer-20", {KubeWorld::cidr(21)}, KubeWorld::annotations_of(20));
    };
    SUBCASE("watched") { recreate(); }
    SUBCASE("cut off") { w.cut_off(recreate); }
    SUBCASE("cut off, and compacted meanwhile") {
      w.cut_off([&] {
        recreate();
        w.kube.compact();
      });
    }
    SUBCASE("annotated only afterwards") {
      w.kube.recreate("peer-20", {KubeWorld::cidr(21)});
      w.shortly();
      CHECK(w.node.routes() == 1);
      w.kube.annotate("peer-20", KubeWorld::annotations_of(20));
    }
    w.world.advance(6'000);
    CHECK(w.node.has_peer(World::peer_subnet(21), mac(20), World::peer_ip(20)));
    CHECK(w.node.routes() == 2);
    CHECK(w.node.entries().find("10.5.20.0") == std::string::npos);
  }

  TEST_CASE(
      "a burst of 1,500 changes: the tables are what the cluster is, and no entry of an old MAC stays") {
    KubeWorld world(KubeWorld::kWide);
    const auto cidr = [](unsigned i) {
      return "10." + std::to_string(100 + i / 250) + "." + std::to_string(i % 250) + ".0/24";
    };
    const auto annotations = [](unsigned i, unsigned mac_of) {
      Texts texts = KubeWorld::annotations_of(i);
      texts[kData] = KubeWorld::data_of(mac(mac_of));
      return texts;
    };
    const auto name = [](unsigned i) { return "peer-" + std::to_string(i); };
    for (unsigned i = 0; i < 1'000; ++i) world.kube.create(name(i), {cidr(i)}, annotations(i, i));
    SimNode& node = world.add_joined(1);
    REQUIRE(node.routes() == 1'000);
    for (unsigned i = 0; i < 500; ++i) world.kube.annotate(name(i), annotations(i, 2'000 + i));
    for (unsigned i = 1'000; i < 1'500; ++i) world.kube.create(name(i), {cidr(i)}, annotations(i, i));
    for (unsigned i = 0; i < 250; ++i) world.kube.annotate(name(i), annotations(i, 3'000 + i));
    for (unsigned i = 750; i < 1'000; ++i) world.kube.remove(name(i));
    world.advance(3'000);
    std::set<std::string> wanted;
    for (const auto& [each, it] : world.kube.nodes()) {
      if (!each.starts_with("peer-")) continue;
      const auto data = it->annotations.at(kData);
      wanted.insert("fdb " + data.substr(data.size() - 19, 17) + " " + it->annotations.at(kPublicIp));
    }
    std::set<std::string> there;
    const std::string entries = node.entries();
    for (std::size_t at = entries.find("fdb "); at != entries.npos; at = entries.find("fdb ", at + 1))
      there.insert(entries.substr(at, entries.find('\n', at) - at));
    CHECK(there == wanted);
    CHECK(node.routes() == 1'250);
    CHECK(world.kube.requests("node") == 1);
  }

  TEST_CASE("what changed in a minute without an API server is followed within six seconds of its return") {
    bool forgets = false;
    bool silent = false;
    SUBCASE("it refuses connections, and can be gone on with") {}
    SUBCASE("it refuses connections, and has forgotten") { forgets = true; }
    SUBCASE("its host is silent") { silent = true; }
    for (unsigned seed = 1; seed <= 10; ++seed) {
      CAPTURE(seed);
      KubeWorld world;
      for (unsigned i = 1; i < seed; ++i) (void)world.World::add(200 + i);  // other chance for the node
      SimNode& node = world.add_started(1);
      world.add_peer(98);
      REQUIRE(world.run_until([&] { return node.ready_count() == 1 && node.routes() == 1; }));
      world.advance(7'000 + static_cast<Millis>(seed) * 311);
      if (silent) {
        world.kube.cut_all();
        world.advance(1);
        world.kube.silence(true);
      } else {
        world.kube.set_down(KubeWorld::kHost, true);
      }
      world.advance(60'000);
      world.add_peer(20);
      world.remove_node(98);
      if (forgets) world.kube.compact();
      world.kube.set_down(KubeWorld::kHost, false);
      if (silent) {
        world.kube.silence(false);
        world.kube.cut_all();
      }
      CHECK(world.run_until([&] { return KubeWorld::has_peer(node, 20) && node.routes() == 1; }, 6'000));
    }
  }

  TEST_CASE("more than 5,100 Nodes are a cluster like any other") {
    KubeWorld world(KubeWorld::kWide);
    world.kube.filler = 0;
    unsigned count = 0;
    SUBCASE("5,200") { count = 5'200; }
    SUBCASE("20,000") { count = 20'000; }
    add_crowd(world, count);
    SimNode& node = world.add_joined(1);
    CHECK(node.routes() == count);
    CHECK(world.kube.requests("list") == 1);
    CHECK(world.kube.requests("page") == count / 500);
    CHECK(world.kube.requests("node") == 1);
    const std::size_t each = world.kube.bytes_sent() / count;
    CHECK(each < 2'500);
    world.kube.create("late", {KubeWorld::cidr(20)}, KubeWorld::annotations_of(30'000));
    world.advance(1'000);
    CHECK(node.has_peer(World::peer_subnet(20), mac(30'000), World::peer_ip(30'000)));
  }

  TEST_CASE("a Node with a podCIDR around those of 1,200 others becomes a peer: they go at once") {
    KubeWorld world(KubeWorld::kWide);
    world.kube.filler = 0;
    world.kube.create("wide", {"10.64.0.0/10"});
    world.advance(5'000);
    add_crowd(world, 1'200);
    SimNode& node = world.add_joined(1);
    REQUIRE(node.routes() == 1'200);
    Texts texts = KubeWorld::annotations_of(3'000);
    texts[kPublicIp] = "172.70.0.1";
    world.kube.annotate("wide", texts);
    CHECK(world.run_until([&] { return node.routes() == 1; }, 5'000));
    CHECK(node.status().unready.kernel.empty());
  }
}

TEST_SUITE("agent/kube_peers") {
  TEST_CASE("a Node that joins is programmed, one that goes is taken out, at once") {
    Watching w;
    w.world.add_peer(20);
    w.world.add_peer(21);
    w.shortly();
    CHECK(w.has(20));
    CHECK(w.has(21));
    w.world.remove_node(20);
    w.shortly();
    CHECK_FALSE(w.has(20));
    CHECK(w.has(21));
    CHECK(w.node.routes() == 2);
  }

  TEST_CASE("a peer's backend, MAC and address change: its entries follow") {
    Watching w;
    w.world.add_peer(20);
    w.shortly();
    w.kube.annotate("peer-20", {{kData, KubeWorld::data_of(mac(500))}});
    w.shortly();
    CHECK(w.node.has_peer(World::peer_subnet(20), mac(500), World::peer_ip(20)));
    CHECK_FALSE(w.knows_mac(mac(20)));
    w.kube.annotate("peer-20", {{kPublicIp, "172.31.9.9"}});
    w.shortly();
    CHECK(w.node.has_peer(World::peer_subnet(20), mac(500), ip("172.31.9.9")));
    w.kube.annotate("peer-20", {{kType, "host-gw"}, {kData, "null"}});
    w.shortly();
    CHECK(w.node.routes() == 1);
    w.kube.annotate("peer-20", KubeWorld::annotations_of(20));
    w.shortly();
    CHECK(w.has(20));
    CHECK(w.node.routes() == 2);
  }

  TEST_CASE("annotations that are no peer's are ignored, and so is a Node without flannel") {
    Watching w;
    w.kube.create("bare", {"10.5.30.0/24"});
    w.kube.create("no-ip", {"10.5.31.0/24"}, {{kManager, "true"}});
    for (const auto& [texts, third] :
         std::vector<std::pair<Texts, int>>{{{{kPublicIp, "not an address"}}, 32},
                                            {{{kData, "not JSON"}}, 33},
                                            {{{kData, "{}"}}, 34},
                                            {{{kData, std::string(5'000, 'x')}}, 35},
                                            {{{kType, "vxlan2"}}, 36},
                                            {{{kPublicIp, "127.0.0.1"}}, 37}}) {
      Texts all = KubeWorld::annotations_of(static_cast<unsigned>(third));
      for (const auto& [key, value] : texts) all[key] = value;
      w.kube.create("bad-" + std::to_string(third), {"10.5." + std::to_string(third) + ".0/24"}, all);
    }
    w.shortly();
    CHECK(w.node.routes() == 1);
    CHECK(w.has(99));
    w.kube.annotate("bad-33", KubeWorld::annotations_of(33));
    w.shortly();
    CHECK(w.has(33));
  }

  TEST_CASE("another prefix is another flannel") {
    KubeWorld world;
    SimNode& node = world.add(1);
    node.kube_settings->annotation_prefix = "example.org/blue-";
    Texts blue;
    for (const auto& [key, value] : KubeWorld::annotations_of(20))
      blue["example.org/blue-" + key.substr(std::string(KubeWorld::kPrefix).size())] = value;
    world.kube.create("peer-20", {KubeWorld::cidr(20)}, blue);
    world.add_peer(21);
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(1'000);
    CHECK(KubeWorld::has_peer(node, 20));
    CHECK(node.routes() == 1);
    CHECK(world.kube.annotation("node-1", "example.org/blue-kube-subnet-manager") == "true");
    CHECK(world.annotation(1, "kube-subnet-manager").empty());
  }

  TEST_CASE("a peer of IPv4 only is a peer in a dual-stack cluster, and so is one of both") {
    KubeWorld world;
    world.kube.create("node-1", {"10.5.1.0/24", "fd00:1::/64"});
    world.kube.create("peer-20", {KubeWorld::cidr(20)}, KubeWorld::annotations_of(20));
    Texts both = KubeWorld::annotations_of(21);
    both[KubeWorld::key("public-ipv6")] = "2001:db8::21";
    both[KubeWorld::key("backend-v6-data")] = KubeWorld::data_of(mac(21));
    world.kube.create("peer-21", {"fd00:21::/64", KubeWorld::cidr(21)}, both);
    SimNode& node = world.add_bare(1);
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    CHECK(KubeWorld::has_peer(node, 20));
    CHECK(KubeWorld::has_peer(node, 21));
    // One family changes.
    world.kube.annotate("peer-21", {{KubeWorld::key("public-ipv6"), "2001:db8::22"}});
    world.advance(6'000);
    world.kube.annotate("peer-21", {{kPublicIp, "172.31.9.9"}});
    world.advance(1'000);
    CHECK(node.has_peer(World::peer_subnet(21), mac(21), ip("172.31.9.9")));
  }

  TEST_CASE("stripped managed fields: each Node is read in full once, and not again for the same uid") {
    KubeWorld world;
    world.kube.strip_managed_fields = true;
    for (unsigned i = 20; i < 40; ++i) world.add_peer(i);
    world.kube.create("bare", {"10.5.200.0/24"});
    SimNode& node = world.add_joined(1);
    CHECK(node.routes() == 20);
    for (unsigned i = 20; i < 40; ++i) CHECK(world.kube.reads_of(KubeWorld::peer_name(i)) == 1);
    CHECK(world.kube.reads_of("bare") == 0);
    for (int i = 0; i < 5; ++i) {
      world.kube.heartbeat_all();
      world.advance(10'000);
    }
    world.kube.annotate("peer-20", {{kPublicIp, "172.31.9.9"}});
    world.advance(1'000);
    CHECK(node.has_peer(World::peer_subnet(20), mac(20), ip("172.31.9.9")));
    world.kube.pass_revisions(10);
    world.kube.restart(true);  // and all are listed again
    world.advance(10'000);
    CHECK(world.kube.requests("list") >= 2);
    for (unsigned i = 20; i < 40; ++i) CHECK(world.kube.reads_of(KubeWorld::peer_name(i)) == 1);

    world.kube.recreate("peer-21", {KubeWorld::cidr(50)}, KubeWorld::annotations_of(21));
    world.add_peer(60);
    world.remove_node(22);
    world.advance(1'000);
    CHECK(node.has_peer(World::peer_subnet(50), mac(21), World::peer_ip(21)));
    CHECK(KubeWorld::has_peer(node, 60));
    CHECK(node.routes() == 20);
    CHECK(world.kube.reads_of("peer-21") == 2);
    CHECK(world.kube.reads_of("peer-60") == 1);
    CHECK(node.entries().find("10.5.21.0") == std::string::npos);
  }

  TEST_CASE("a Node that changes while it is read in full is read once more: the answer may be of before") {
    KubeWorld world;
    world.kube.strip_managed_fields = true;
    SimNode& node = world.add_joined(1);
    world.kube.hold_answer("node");
    world.add_peer(20);
    world.advance(200);
    REQUIRE(world.kube.reads_of("peer-20") == 1);
    for (int i = 0; i < 3; ++i) world.kube.heartbeat("peer-20");
    world.kube.annotate("peer-20", {{kPublicIp, "172.31.9.9"}, {kData, KubeWorld::data_of(mac(99))}});
    world.advance(2'000);
    CHECK(node.has_peer(World::peer_subnet(20), mac(99), ip("172.31.9.9")));
    CHECK(world.kube.reads_of("peer-20") == 2);
  }

  TEST_CASE("a stripped Node that is annotated later, or gets its podCIDR later, is read then") {
    KubeWorld world;
    world.kube.strip_managed_fields = true;
    SimNode& node = world.add_joined(1);
    world.kube.create("peer-20", {KubeWorld::cidr(20)});
    world.kube.create("peer-21", {}, KubeWorld::annotations_of(21));
    world.advance(1'000);
    CHECK(world.kube.reads_of("peer-20") == 0);
    world.kube.annotate("peer-20", KubeWorld::annotations_of(20));
    world.kube.assign_pod_cidrs("peer-21", {KubeWorld::cidr(21)});
    world.advance(2'000);
    CHECK(KubeWorld::has_peer(node, 20));
    CHECK(KubeWorld::has_peer(node, 21));
    CHECK(world.kube.reads_of("peer-20") == 1);
    CHECK(world.kube.reads_of("peer-21") <= 2);
  }

  TEST_CASE("managed fields are stripped from one day on: who goes then, or has no flannel then, goes here") {
    Watching w;
    for (unsigned i = 20; i < 25; ++i) w.world.add_peer(i);
    w.shortly();
    w.kube.strip_managed_fields = true;
    w.world.remove_node(20);
    w.kube.heartbeat_all();
    w.kube.annotate("peer-21", {{kManager, "false"}});
    w.kube.annotate("peer-22", {{kPublicIp, "172.31.9.9"}});
    w.world.advance(8'000);
    CHECK(w.node.routes() == 4);
    CHECK_FALSE(w.has(20));
    CHECK_FALSE(w.has(21));
    CHECK(w.node.has_peer(World::peer_subnet(22), mac(22), ip("172.31.9.9")));
    CHECK(w.has(23));
  }

  TEST_CASE("a server that knows no metadata form is understood all the same") {
    KubeWorld world;
    world.kube.full_only = true;
    world.add_peer(20);
    SimNode& node = world.add_joined(1);
    CHECK(KubeWorld::has_peer(node, 20));
    world.add_peer(21);
    world.remove_node(20);
    world.advance(1'000);
    CHECK(KubeWorld::has_peer(node, 21));
    CHECK(node.routes() == 1);
  }

  TEST_CASE("an expired watch, in either form: listed again at once, and what changed is changed") {
    Watching w;
    for (unsigned i = 20; i < 25; ++i) w.world.add_peer(i);
    w.shortly();
    const auto writes = w.node.kernel.writes;
    const std::size_t lists = w.kube.requests("list");
    w.kube.set_down(KubeWorld::kHost, true);
    w.world.advance(100);
    w.world.remove_node(20);
    w.world.add_peer(30);
    w.kube.annotate("peer-21", {{kPublicIp, "172.31.9.9"}});
    SUBCASE("a line of the watch") { w.kube.compact(); }
    SUBCASE("a refusal of the watch") {
      w.kube.refuse_next("watch", {410, "Expired", "too old resource version"});
    }
    w.kube.set_down(KubeWorld::kHost, false);
    REQUIRE(w.world.run_until([&] { return w.kube.requests("watch") >= 2; }, 6'000));
    w.shortly();
    CHECK(w.has(30));
    CHECK_FALSE(w.has(20));
    CHECK(w.node.has_peer(World::peer_subnet(21), mac(21), ip("172.31.9.9")));
    CHECK(w.kube.requests("list") == lists + 1);
    CHECK(w.node.routes() == 6);
    CHECK(w.node.kernel.writes - writes < 12);
    CHECK(w.node.ready_count() == 1);
  }

  TEST_CASE("a watch that expires while it is open is followed by a list within a second") {
    Watching w;
    w.kube.fail_watches({410, "Expired", "too old resource version: 1 (2)"});
    w.world.add_peer(20);
    w.shortly();
    CHECK(w.has(20));
    CHECK(w.kube.requests("list") == 2);
  }

  TEST_CASE("one gap soon after another: each list follows within a second while the watch brings news") {
    Watching w;
    for (unsigned i = 20; i < 30; ++i) {
      CAPTURE(i);
      w.kube.fail_watches({410, "Expired", "too old resource version: 1 (2)"});
      w.world.add_peer(i);
      REQUIRE(w.world.run_until([&] { return w.has(i); }, 1'100));
      REQUIRE(w.world.run_until([&] { return w.kube.watch_count() == 1; }, 1'000));
      w.world.add_peer(i + 20);
      REQUIRE(w.world.run_until([&] { return w.has(i + 20); }, 1'000));
    }
    CHECK(w.kube.requests("list") == 11);
  }

  TEST_CASE("a list whose version can never be watched is asked again with patience") {
    Watching w;
    for (int i = 0; i < 60; ++i) {
      w.kube.fail_watches({410, "Expired", "too old resource version: 1 (2)"});
      w.world.advance(1'000);
    }
    CHECK(w.kube.requests("list") < 25);
  }

  TEST_CASE("a page that has expired: the list begins anew or goes on, and nothing is missed or removed") {
    KubeWorld world(KubeWorld::kWide);
    for (unsigned i = 0; i < 1'200; ++i) {
      Texts texts = KubeWorld::annotations_of(i);
      world.kube.create("peer-" + std::to_string(i),
                        {"10." + std::to_string(100 + i / 250) + "." + std::to_string(i % 250) + ".0/24"},
                        texts);
    }
    SimNode& node = world.add(1);
    world.kube.before_next("page", [&] {
      world.kube.create("a", {KubeWorld::cidr(20)}, KubeWorld::annotations_of(3'000));
      world.kube.remove("peer-700");
      world.kube.compact();
    });
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(1'000);
    CHECK(node.routes() == 1'200);
    CHECK(node.has_peer(World::peer_subnet(20), mac(3'000), World::peer_ip(3'000)));
  }

  TEST_CASE("a page that is cut and comes again makes no two of a Node: none is read in full for that") {
    KubeWorld world(KubeWorld::kWide);
    add_crowd(world, 1'200);
    SimNode& node = world.add(1);
    std::size_t twice = 0;
    world.kube.before_next("page", [&] { world.kube.cut_after(400'000); });
    SUBCASE("once") {}
    SUBCASE("and once more") {
      world.kube.before_next("page", [&] { world.kube.cut_after(200'000); });
      twice = 1;
    }
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(1'000);
    CHECK(node.routes() == 1'200);
    CHECK(world.kube.requests("list") == 1);
    CHECK(world.kube.requests("page") == 3 + twice);
    CHECK(world.kube.requests("node") == 1);  // ours
  }

  TEST_CASE("a watch goes on from the last bookmark, and lists nothing again, however much was forgotten") {
    Watching w;
    const std::size_t lists = w.kube.requests("list");
    w.kube.pass_revisions(500);
    w.world.advance(61'000);  // a bookmark
    w.kube.compact();
    w.kube.end_watches();
    w.world.add_peer(20);
    w.world.advance(2'000);
    CHECK(w.has(20));
    CHECK(w.kube.requests("list") == lists);
  }

  TEST_CASE("a watch that is ended in order is opened again, and is no failure") {
    Watching w;
    for (int i = 0; i < 20; ++i) {
      w.world.advance(6'000);
      w.kube.end_watches();
      w.world.advance(1'100);
      CHECK(w.kube.watch_count() == 1);
    }
    CHECK_FALSE(w.node.log.has("registry request failed"));
    CHECK(w.kube.requests("list") == 1);
  }

  TEST_CASE("a server that restarts: the watch goes on, and within a second after a list where it forgot") {
    Watching w;
    const bool forgets = w.kube.requests() != 0;
    SUBCASE("it can go on") { w.kube.restart(false); }
    SUBCASE("it forgot") { w.kube.restart(forgets); }
    w.world.add_peer(20);
    w.world.advance(3'000);
    CHECK(w.has(20));
    CHECK(w.has(99));
  }

  TEST_CASE("a store that is restored from a backup: what it says then is true, within minutes") {
    Watching w;
    w.world.add_peer(20);
    w.shortly();
    const ScriptedKube::Nodes then = w.kube.nodes();
    const std::int64_t revision = w.kube.revision();
    w.kube.pass_revisions(10'000);
    w.world.remove_node(20);
    w.world.add_peer(21);
    w.shortly();
    REQUIRE(w.has(21));
    w.kube.go_back_to(then, revision);
    SUBCASE("watches live as long as they may") {}
    SUBCASE("a proxy cuts each watch that was idle for a minute") {
      for (int i = 0; i < 10; ++i) {
        w.world.advance(60'000);
        w.kube.cut_all();
      }
    }
    REQUIRE(w.world.run_until([&] { return w.has(20) && !w.has(21); }, 11 * 60'000));
    w.world.add_peer(22);
    CHECK(w.world.run_until([&] { return w.has(22); }, 11 * 60'000));
    CHECK(w.node.running());
  }

  TEST_CASE(
      "of two Nodes with one podCIDR one is a peer, and the other once that one is gone and it is seen") {
    Watching w;
    w.world.add_peer(20);
    w.shortly();
    w.kube.create("twin", {KubeWorld::cidr(20)}, KubeWorld::annotations_of(21));
    w.shortly();
    CHECK(w.node.routes() == 2);
    w.kube.remove("peer-20");
    w.world.advance(2'000);
    w.kube.heartbeat("twin");
    w.shortly();
    CHECK(w.node.has_peer(World::peer_subnet(20), mac(21), World::peer_ip(21)));
    CHECK(w.node.routes() == 2);
  }

  TEST_CASE("who claims another's podCIDR in managed fields gets nothing by it, and is read once") {
    Watching w;
    w.world.add_peer(20);
    w.shortly();
    const std::string entries = w.node.entries();
    SUBCASE("beside its own") {
      w.kube.create("thief", {"10.5.60.0/24"}, KubeWorld::annotations_of(60));
      w.kube.claim_pod_cidrs("thief", {KubeWorld::cidr(20)});
      w.shortly();
      CHECK(KubeWorld::has_peer(w.node, 60));
      w.kube.remove("thief");
      w.shortly();
    }
    SUBCASE("while it has none") {
      w.kube.create("thief", {}, KubeWorld::annotations_of(60));
      w.kube.claim_pod_cidrs("thief", {KubeWorld::cidr(20)});
    }
    SUBCASE("half of it") {
      w.kube.create("thief", {}, KubeWorld::annotations_of(60));
      w.kube.claim_pod_cidrs("thief", {"10.5.20.128/25"});
    }
    SUBCASE("everybody's") {
      w.kube.create("thief", {}, KubeWorld::annotations_of(60));
      w.kube.claim_pod_cidrs("thief", {"10.5.0.0/17"});
    }
    SUBCASE("ours") {
      w.kube.create("thief", {}, KubeWorld::annotations_of(60));
      w.kube.claim_pod_cidrs("thief", {KubeWorld::cidr(1)});
    }
    w.shortly();
    CHECK(w.node.entries() == entries);
    CHECK(w.node.subnet() == World::peer_subnet(1));
    w.node.restart();
    REQUIRE(w.world.run_until([&] { return w.node.ready_count() == 2; }));
    w.world.advance(6'000);
    CHECK(w.node.entries() == entries);
    const std::size_t reads = w.kube.reads_of("thief");
    CHECK(reads <= 4);
    for (int i = 0; i < 60 && w.kube.find("thief") != nullptr; ++i) {
      w.kube.heartbeat_all();
      w.world.advance(10'000);
    }
    CHECK(w.node.entries() == entries);
    CHECK(w.kube.reads_of("thief") <= reads + 12);
    CHECK(w.kube.reads_of("peer-20") <= 2);
    CHECK(w.kube.reads_of("peer-99") == 0);
  }

  TEST_CASE("Nodes that share a podCIDR, with each other or with us, are not read with each heartbeat") {
    Watching w;
    w.world.add_peer(20);
    w.shortly();
    w.kube.create("twin", {KubeWorld::cidr(20)}, KubeWorld::annotations_of(21));
    w.kube.create("ours", {KubeWorld::cidr(1)}, KubeWorld::annotations_of(22));
    w.shortly();
    const auto lines = w.node.log.lines.size();
    for (int i = 0; i < 60; ++i) {
      w.kube.heartbeat_all();
      w.world.advance(10'000);
    }
    CHECK(w.node.routes() == 2);
    CHECK(w.node.subnet() == World::peer_subnet(1));
    CHECK(w.kube.reads_of("twin") + w.kube.reads_of("ours") + w.kube.reads_of("peer-20") <= 6);
    CHECK(w.node.log.lines.size() <= lines + 12);
  }

  TEST_CASE("a Node that waits for its podCIDR is not read with each heartbeat") {
    KubeWorld world;
    SUBCASE("its managed fields would show it") {}
    SUBCASE("they are stripped") { world.kube.strip_managed_fields = true; }
    SimNode& node = world.add_joined(1);
    for (unsigned i = 20; i < 25; ++i)
      world.kube.create(KubeWorld::peer_name(i), {}, KubeWorld::annotations_of(i));
    world.advance(1'000);
    const std::size_t reads = world.kube.requests("node");
    CHECK(reads <= 1 + 2 * 5);
    for (int i = 0; i < 60; ++i) {
      world.kube.heartbeat_all();
      world.advance(10'000);
    }
    CHECK(world.kube.requests("node") - reads <= (world.kube.strip_managed_fields ? 5 * 12 : 0));
    world.kube.assign_pod_cidrs("peer-20", {KubeWorld::cidr(20)});
    for (int i = 0; i < 7; ++i) {
      world.advance(10'000);
      world.kube.heartbeat_all();
    }
    world.advance(1'000);
    CHECK(KubeWorld::has_peer(node, 20));
  }

  TEST_CASE("a Node of 2 MB is skipped over, in a list, a watch and alone") {
    KubeWorld world;
    world.kube.filler = 2'000'000;
    world.kube.full_only = true;
    world.add_peer(20);
    SimNode& node = world.add_joined(1);
    CHECK(KubeWorld::has_peer(node, 20));
    world.add_peer(21);
    world.advance(1'000);
    CHECK(KubeWorld::has_peer(node, 21));
  }

  TEST_CASE("annotations of 200 KB, and managed fields of as much, are a Node like any other") {
    KubeWorld world;
    world.kube.metadata_filler = 400'000;
    world.add_peer(20);
    SimNode& node = world.add_joined(1);
    CHECK(KubeWorld::has_peer(node, 20));
    world.add_peer(21);
    world.advance(1'000);
    CHECK(KubeWorld::has_peer(node, 21));
  }
}
