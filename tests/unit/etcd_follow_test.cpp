// SPDX-License-Identifier: Apache-2.0
// Config, listing and watch of EtcdRegistry against the scripted etcd.
#include <doctest/doctest.h>

#include "unit/etcd_harness.hpp"

namespace flannelette::registry {
namespace {

std::string numbered(int n) {
  return "10." + std::to_string(n / 256) + "." + std::to_string(n % 256) + ".0-24";
}

bool equal_to_truth(const Node& node, const tests::ScriptedEtcd& etcd) {
  std::map<std::string, std::int64_t> truth;
  const std::string folder = lease_key("");
  for (const auto& [key, pair] : etcd.keys()) {
    if (key.starts_with(folder)) truth[key.substr(folder.size())] = pair.mod_revision;
  }
  return node.told.peers == truth;
}

}  // namespace

TEST_SUITE("registry/etcd_follow") {
  TEST_CASE("the config is read once, or told to be missing") {
    World world;
    Node node(world);
    node.registry.read_config();
    CHECK(world.run_until([&] { return node.told.missing == 1; }));
    world.etcd.put("/net/config", R"({"Network":"10.0.0.0/8"})");
    node.registry.read_config();
    CHECK(world.run_until([&] { return node.told.configs == 1; }));
    CHECK(node.told.config == R"({"Network":"10.0.0.0/8"})");
    world.run(60'000);
    CHECK(node.told.configs == 1);
    CHECK(world.etcd.requests() == 2);
  }

  TEST_CASE("a complete answer that is no use is asked for less and less often") {
    World world;
    Node node(world);
    SUBCASE("a config over the limit") {
      world.etcd.put("/net/config", std::string(EtcdRegistry::kMaxValue + 1, ' '));
      node.registry.read_config();
    }
    SUBCASE("a list without a revision") {
      for (int i = 0; i < 1000; ++i)
        world.etcd.answer_next(kRange, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
      node.registry.follow();
    }
    world.run(600'000);
    CHECK(world.etcd.requests(kRange) < 60);
    CHECK(node.told.last_retry >= EtcdRegistry::kBackoffMax / 2);
  }

  TEST_CASE("reading the config outlasts a registry that is down, with back-off and the next endpoint") {
    World world;
    world.etcd.put("/net/config", "{}");
    EtcdSettings settings = Node::standard();
    settings.endpoints[1] = *io::parse_endpoint("http://two:2379");
    settings.endpoint_count = 2;
    world.etcd.set_down("one", true);
    world.etcd.set_down("two", true);
    Node node(world, settings);
    node.registry.read_config();
    world.run(3'600'000);
    CHECK(world.etcd.connections() < 260);  // 15 to 30 s apart in the end
    CHECK(node.told.last_retry >= EtcdRegistry::kBackoffMax / 2);
    world.etcd.set_down("two", false);
    CHECK(world.run_until([&] { return node.told.configs == 1; }, 61'000));
    CHECK(node.told.working == 1);
  }

  TEST_CASE("a config over its limit is trouble and not a missing one") {
    World world;
    world.etcd.put("/net/config", std::string(20'000, 'x'));
    Node node(world);
    node.registry.read_config();
    world.run(1'000);
    CHECK(node.told.configs + node.told.missing == 0);
    CHECK(!node.told.troubles.empty());
    world.etcd.put("/net/config", "{}");
    CHECK(world.run_until([&] { return node.told.configs == 1; }));
  }

  TEST_CASE("1200 keys are listed in three requests of one revision, and none is asked for by itself") {
    World world;
    for (int i = 0; i < 1200; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    world.etcd.before_next(kRange, [](tests::ScriptedEtcd&) {});
    world.etcd.before_next(kRange, [](tests::ScriptedEtcd& etcd) {
      etcd.remove(lease_key(numbered(1100)));
      etcd.put(lease_key("10.99.0.0-24"), kOne);
    });
    Node node(world);
    node.follow();
    CHECK(world.etcd.requests(kRange) == 3);
    CHECK(world.etcd.requests() == 4);
    CHECK(node.told.records == 1201);
    CHECK(equal_to_truth(node, world.etcd));
  }

  TEST_CASE("a full last page needs no request more") {
    World world;
    for (int i = 0; i < 500; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    Node node(world);
    node.follow();
    CHECK(world.etcd.requests(kRange) == 1);
  }

  TEST_CASE("foreign keys, unreadable and oversized values are told, and block nobody") {
    World world;
    world.etcd.put(lease_key("readme"), "hello");
    world.etcd.put(lease_key("10.0.1.0-24"), "no json");
    world.etcd.put(lease_key("10.0.2.0-24"), std::string(1'500'000, 'x'));
    world.etcd.put(lease_key(std::string(600, 'k')), "x");
    world.etcd.put("/net/subnets2/10.0.9.0-24", kOne);
    world.etcd.put(lease_key("10.0.3.0-24"), kOne);
    Node node(world);
    node.follow();
    CHECK(node.told.records == 3);
    CHECK(node.told.unreadable == 2);
    CHECK(node.told.skipped.size() == 3);
    CHECK(node.told.skipped.at(lease_key("readme")) == Skipped::kForeignKey);
    CHECK(node.told.skipped.at(lease_key("10.0.2.0-24")) == Skipped::kTooLarge);
    world.etcd.put(lease_key("readme"), "again");
    world.etcd.put(lease_key("10.0.4.0-24"), std::string(100'000, 'x'));
    world.etcd.remove(lease_key("readme"));
    world.etcd.put(lease_key("10.0.5.0-24"), kOne);
    world.run(10);
    CHECK(node.told.peers.size() == 5);
  }

  TEST_CASE("pages that end in overlong keys lead on to the next page") {
    World world;
    for (int i = 0; i < 1100; ++i)
      world.etcd.put(lease_key(std::string(600 + static_cast<unsigned>(i), '0')), "x");
    world.etcd.put(lease_key("10.0.0.0-24"), kOne);
    Node node(world);
    node.follow();
    CHECK(node.told.records == 1);
    CHECK(world.etcd.requests(kRange) <= 4);
  }

  TEST_CASE("a compaction between pages aborts the listing, and another follows") {
    World world;
    for (int i = 0; i < 700; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    world.etcd.before_next(kRange, [](tests::ScriptedEtcd&) {});
    world.etcd.before_next(kRange, [](tests::ScriptedEtcd& etcd) { etcd.compact(etcd.put("/x", "y")); });
    Node node(world);
    node.follow();
    CHECK(node.told.aborts == 1);
    CHECK(node.told.listings == 1);
    CHECK(equal_to_truth(node, world.etcd));
  }

  TEST_CASE("a conversation cut at any byte, in pieces of any size, ends with the truth") {
    for (const auto version : {tests::ScriptedEtcd::Version::k34, tests::ScriptedEtcd::Version::k36}) {
      std::size_t total = 100'000;
      for (std::size_t cut = 1; cut < total; cut += 3) {
        World world;
        world.etcd.version = version;
        world.etcd.blanks = version == tests::ScriptedEtcd::Version::k36;
        world.etcd.piece = cut % 7;
        for (int i = 0; i < 4; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
        Node node(world);
        world.etcd.cut_after(cut);
        node.follow();
        world.etcd.put_all({{lease_key(numbered(7)), kOne}, {lease_key(numbered(8)), kOne}});
        world.etcd.remove(lease_key(numbered(1)));
        world.run(2'000);
        if (!equal_to_truth(node, world.etcd)) FAIL("cut after byte " << cut);
        if (node.told.troubles.empty()) total = cut;  // the cut came too late to be seen
      }
    }
  }

  TEST_CASE("events come in order, those of one transaction together, deletions too") {
    World world;
    Node node(world);
    node.follow();
    node.told.calls.clear();
    world.etcd.put(lease_key("10.0.1.0-24"), kOne);
    world.etcd.put_all({{lease_key("10.0.3.0-24"), kOne}, {lease_key("10.0.2.0-24"), kOne}});
    world.etcd.remove(lease_key("10.0.1.0-24"));
    world.run(10);
    CHECK(node.told.calls == "+10.0.1.0-24 . +10.0.3.0-24 +10.0.2.0-24 . -10.0.1.0-24 . ");
  }

  TEST_CASE("10000 single puts and 100 in one transaction: none is lost") {
    World world;
    Node node(world);
    node.follow();
    for (int i = 0; i < 10'000; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    std::vector<std::pair<std::string, std::string>> hundred;
    for (int i = 0; i < 100; ++i) hundred.emplace_back(lease_key(numbered(20'000 + i)), kOne);
    world.etcd.put_all(hundred);
    world.run(100);
    CHECK(node.told.records == 10'100);
    CHECK(equal_to_truth(node, world.etcd));
  }

  TEST_CASE(
      "what happened while the watch was cut comes after, without a new listing, as events of their own "
      "revision") {
    World world;
    Node node(world);
    node.follow();
    world.run(10'000);
    world.etcd.set_down("one", true);
    for (int i = 0; i < 2500; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    world.run(1'000);
    world.etcd.set_down("one", false);
    // Cut once more in the middle of catching up: each message of 1000 revisions carries the newest revision
    // in its header.
    world.etcd.cut_after(250'000);
    CHECK(world.run_until([&] { return node.told.peers.size() == 2500; }));
    world.run(1'000);
    CHECK(equal_to_truth(node, world.etcd));
    CHECK(node.told.listings == 1);
  }

  TEST_CASE("a response in fragments that is cut is had again from its beginning") {
    World world;
    world.etcd.fragment = 2;
    Node node(world);
    node.follow();
    std::vector<std::pair<std::string, std::string>> nine;
    for (int i = 0; i < 9; ++i) nine.emplace_back(lease_key(numbered(i)), kOne);
    world.etcd.cut_after(1'000);
    world.etcd.put_all(nine);
    world.run(1'000);
    CHECK(!node.told.troubles.empty());
    CHECK(equal_to_truth(node, world.etcd));
    CHECK(node.told.listings == 1);
  }

  TEST_CASE("a progress notice moves the revision to go on from, so that a compaction does no harm") {
    World world;
    Node node(world);
    node.follow();
    for (int i = 0; i < 10; ++i) world.etcd.put("/elsewhere", "x");
    world.etcd.send_progress();
    world.run(10'000);
    world.etcd.compact(world.etcd.revision());
    world.etcd.cut_all();
    world.run(1'000);
    CHECK(node.told.listings == 1);
    CHECK(world.etcd.watch_count() == 1);
  }

  TEST_CASE("a compaction under the watch leads to one new listing") {
    World world;
    world.etcd.put(lease_key("10.0.1.0-24"), kOne);
    Node node(world);
    node.follow();
    world.run(10'000);
    world.etcd.set_down("one", true);
    world.etcd.remove(lease_key("10.0.1.0-24"));
    world.etcd.put(lease_key("10.0.2.0-24"), kOne);
    world.etcd.compact(world.etcd.put("/x", "y"));
    world.etcd.set_down("one", false);
    world.run(5'000);
    CHECK(node.told.listings == 2);
    CHECK(equal_to_truth(node, world.etcd));
  }

  TEST_CASE("a store that went back to an older revision is listed again") {
    World world;
    const auto old = world.etcd.put(lease_key("10.0.1.0-24"), kOne);
    world.etcd.put(lease_key("10.0.2.0-24"), kOne);
    world.etcd.put(lease_key("10.0.3.0-24"), kOne);
    Node node(world);
    node.follow();
    world.etcd.go_back_to(old);
    world.run(5'000);
    CHECK(node.told.listings == 2);
    CHECK(equal_to_truth(node, world.etcd));
  }

  TEST_CASE(
      "a store of another cluster, or one whose term went back, is listed again, whatever its revision") {
    World world;
    for (int i = 0; i < 5; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    world.etcd.raft_term = 7;
    Node node(world);
    node.follow();
    world.run(10'000);
    std::string why = "watch: etcd: this is not the store that was listed ";
    SUBCASE("made anew, a new cluster") {
      world.etcd.wipe();
      ++world.etcd.cluster_id;
    }
    SUBCASE("made anew under the same name, so that its ID is the same") {
      world.etcd.wipe();
      world.etcd.raft_term = 2;
    }
    SUBCASE("a snapshot, no term and no ID tell") { world.etcd.go_back_to(world.etcd.revision() - 2); }
    SUBCASE("a snapshot") {
      world.etcd.go_back_to(world.etcd.revision() - 2);
      world.etcd.raft_term = 2;
    }
    for (int i = 10; i < 30; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    world.run(5'000);
    CHECK(node.told.listings == 2);
    CHECK(equal_to_truth(node, world.etcd));
    REQUIRE(node.told.troubles.size() == 1);
    CHECK(node.told.troubles[0] == why);
    world.run(60'000);
    CHECK(node.told.listings == 2);
    CHECK(node.told.working == 2);
  }

  TEST_CASE("a store made anew in all but name is known by our lease, of which it knows nothing") {
    World world;
    Node node(world);
    node.follow();
    (void)node.claim("10.0.200.0/24", kOne);
    world.run(10'000);
    world.etcd.wipe();
    world.etcd.set_down("one", true);
    world.run(1'000);
    for (int i = 10; i < 30; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    world.etcd.set_down("one", false);
    world.run(5'000);
    CHECK(node.told.lost == 1);
    CHECK(node.told.listings == 2);
    CHECK(equal_to_truth(node, world.etcd));
  }

  TEST_CASE("a new leader's higher term is no other store") {
    World world;
    Node node(world);
    node.follow();
    for (int i = 0; i < 3; ++i) {
      world.run(10'000);
      world.etcd.lose_leader();
      world.run(2'000);
      world.etcd.elect_leader();
    }
    world.run(10'000);
    CHECK(node.told.listings == 1);
  }

  TEST_CASE("pages of a list that come from two stores are not put together") {
    World world;
    for (int i = 0; i < 700; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    world.etcd.before_next(kRange, [](tests::ScriptedEtcd&) {});
    world.etcd.before_next(kRange, [](tests::ScriptedEtcd& etcd) { ++etcd.cluster_id; });
    Node node(world);
    node.follow();
    CHECK(node.told.aborts == 1);
    CHECK(node.told.listings == 1);
    CHECK(node.told.troubles.at(0) == "list: etcd: pages of the list from two stores ");
  }

  TEST_CASE("an answer that drips for ever ends, and the next one counts") {
    World world;
    world.etcd.put("/net/config", "{}");
    Node node(world);
    SUBCASE("of a request") {
      world.etcd.drip_next(kRange);
      node.registry.read_config();
      world.run(EtcdRegistry::kRequestLimit - 1'000);
      CHECK(node.told.troubles.empty());
      world.run(2'000);
      CHECK(node.told.configs == 1);
      REQUIRE(node.told.troubles.size() == 1);
      CHECK(node.told.troubles[0] == "config: etcd: the answer does not come to its end ");
    }
    SUBCASE("of a watch") {
      world.etcd.drip_next(kWatch);
      node.registry.follow();
      world.run(EtcdRegistry::kRequestLimit + 2'000);
      CHECK(world.etcd.watch_count() == 1);
      REQUIRE(node.told.troubles.size() == 1);
      CHECK(node.told.troubles[0] == "watch: etcd: the watch does not come to its first line ");
    }
    world.run(10'000);
    CHECK(node.told.working == 1 + (world.etcd.requests(kWatch) > 0 ? 1 : 0));
  }

  TEST_CASE("a watch that a proxy ends now and then is no trouble, one that cannot be had again is") {
    World world;
    Node node(world);
    node.follow();
    for (int i = 0; i < 10; ++i) {
      world.run(60'000);
      world.etcd.cut_all();
    }
    world.run(10'000);
    CHECK(node.told.troubles.empty());
    world.etcd.set_down("one", true);
    world.run(1'000);
    CHECK(node.told.troubles.at(0) == "watch: connect ");
    CHECK(node.told.listings == 1);
  }

  TEST_CASE("working is told when all of it works, not in turns with trouble") {
    World world;
    Node node(world);
    node.follow();
    world.run(10'000);
    const int before = node.told.working;
    // Reads are refused, everything else is well.
    for (int i = 0; i < 1'000; ++i) world.etcd.refuse_next(kRange, 7, "etcdserver: permission denied");
    node.registry.read_config();
    (void)node.claim("10.0.200.0/24", kOne);
    world.run(3'600'000);
    CHECK(node.told.troubles.at(0) == "config: etcd: no permission etcdserver: permission denied");
    CHECK(node.told.working == before);
  }

  TEST_CASE("after an outage the list that is due does not wait for the back-off of the watch") {
    World world;
    world.etcd.put(lease_key("10.0.1.0-24"), kOne);
    Node node(world);
    node.follow();
    world.run(10'000);
    world.etcd.set_down("one", true);
    world.etcd.put(lease_key("10.0.2.0-24"), kOne);
    world.etcd.compact(world.etcd.put("/x", "y"));
    world.run(1'800'000);
    world.etcd.set_down("one", false);
    CHECK(
        world.run_until([&] { return equal_to_truth(node, world.etcd); }, EtcdRegistry::kBackoffMax + 1'000));
  }

  TEST_CASE("an error line, a cancelled watch, an answer that never comes: the watch is opened again") {
    for (const auto version : {tests::ScriptedEtcd::Version::k34, tests::ScriptedEtcd::Version::k36}) {
      World world;
      world.etcd.version = version;
      Node node(world);
      node.follow();
      world.run(10'000);
      world.etcd.end_watches(14, "etcdserver: no leader");
      world.run(1'000);
      REQUIRE(node.told.troubles.size() == 1);
      CHECK(node.told.troubles[0] == "watch: etcd: it cannot serve now etcdserver: no leader");
      world.etcd.cancel_watches("for a reason");
      world.run(1'000);
      CHECK(node.told.troubles.back() == "watch: etcd: the watch was refused for a reason");
      world.etcd.answer_next(kWatch, "");
      world.etcd.cut_all();
      world.run(EtcdRegistry::kRequestTimeout + 5'000);
      CHECK(node.told.troubles.back().starts_with("watch: http: the server is silent"));
      world.etcd.put(lease_key("10.0.1.0-24"), kOne);
      world.run(10'000);
      CHECK(equal_to_truth(node, world.etcd));
      CHECK(node.told.listings == 1);
    }
  }

  TEST_CASE("a watch may be silent for days but for progress notices, and costs no wake-up of its own then") {
    World world;
    Node node(world);
    node.follow();
    world.etcd.reset_counts();
    const std::uint64_t before = world.loop.wakeups();
    constexpr int kNotices = 3 * 24 * 6;
    for (int i = 0; i < kNotices; ++i) {
      world.run(600'000);
      world.etcd.send_progress();
    }
    CHECK(node.told.troubles.empty());
    CHECK(world.etcd.requests() == 0);
    CHECK(world.loop.wakeups() - before <= 3 * kNotices);
  }

  TEST_CASE("connections that died without a word are given up when that is asked for, at no loss") {
    World world;
    Node node(world);
    node.follow();
    world.etcd.silence(true);
    node.registry.read_config();
    world.run(1'000);
    world.etcd.put("/net/config", "{}");
    world.etcd.put(lease_key("10.0.1.0-24"), kOne);
    world.run(1'000);
    world.etcd.silence(false);
    node.registry.reconnect();
    world.run(100);
    CHECK(node.told.configs == 1);
    CHECK(equal_to_truth(node, world.etcd));
    CHECK(node.told.listings == 1);
    CHECK(node.told.troubles.empty());
    world.run(EtcdRegistry::kRequestTimeout);
    CHECK(node.told.troubles.empty());
  }

  TEST_CASE("a watch whose progress notices stay away is opened again: the member hangs") {
    World world;
    Node node(world);
    node.follow();
    world.etcd.reset_counts();
    world.run(EtcdRegistry::kWatchSilence - 1'000);
    CHECK(world.etcd.requests() == 0);
    world.run(10'000);
    CHECK(world.etcd.requests(kWatch) == 1);
    CHECK(world.etcd.requests(kRange) == 0);
    REQUIRE(node.told.troubles.size() == 1);
    CHECK(node.told.troubles[0].starts_with("watch: etcd: the watch says nothing"));
  }

  TEST_CASE("a server that ends each watch at once is not asked in a hot loop") {
    World world;
    Node node(world);
    node.follow();
    world.etcd.reset_counts();
    const std::string line = R"({"result":{"header":{"revision":"1"},"created":true}})";
    const std::string raw =
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(line.size()) + "\r\n\r\n" + line;
    for (int i = 0; i < 10'000; ++i) world.etcd.answer_next(kWatch, raw);
    world.etcd.cut_all();
    world.run(600'000);
    CHECK(world.etcd.requests(kWatch) < 60);
  }

  TEST_CASE("a server that has always just compacted is not asked in a hot loop") {
    World world;
    Node node(world);
    node.follow();
    world.etcd.reset_counts();
    const std::string gone = R"({"result":{"header":{"revision":"1"},"created":true}})"
                             "\n"
                             R"({"result":{"header":{},"canceled":true,"compact_revision":"6"}})"
                             "\n";
    const std::string raw =
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(gone.size()) + "\r\n\r\n" + gone;
    for (int i = 0; i < 10'000; ++i) world.etcd.answer_next(kWatch, raw);
    world.etcd.cut_all();
    world.run(600'000);
    CHECK(world.etcd.requests() < 120);
  }

  TEST_CASE("answers that are none of etcd's are trouble, and the next try counts") {
    World world;
    world.etcd.put("/net/config", "{}");
    Node node(world);
    world.etcd.answer_next(kRange, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<html>\r\n\n");
    world.etcd.answer_next(
        kRange,
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nNot Found\n");
    world.etcd.answer_next(kRange, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"header\":{}");
    world.etcd.answer_next(kRange, "SSH-2.0-OpenSSH\r\n");
    node.registry.read_config();
    CHECK(world.run_until([&] { return node.told.configs == 1; }));
    REQUIRE(node.told.troubles.size() == 4);
    CHECK(node.told.troubles[1] == "config: etcd: no JSON gateway here Not Found");
  }

  TEST_CASE("after stop there is no call and no byte more, also if it is called from a call") {
    World world;
    for (int i = 0; i < 700; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    Node node(world);
    node.told.stop_on_record = &node.registry;
    node.registry.follow();
    world.run(60'000);
    CHECK(node.told.records == 1);
    CHECK(node.told.listings + node.told.aborts == 0);
    CHECK(world.etcd.requests() == 1);
    CHECK(world.loop.next_deadline() == -1);
  }
}

}  // namespace flannelette::registry
