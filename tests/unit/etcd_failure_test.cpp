// SPDX-License-Identifier: Apache-2.0
// EtcdRegistry and a store that becomes another one, answers that never end, and what is told of failure.
#include <doctest/doctest.h>

#include "unit/etcd_harness.hpp"

namespace flannelette::registry {

TEST_SUITE("registry/etcd_failure") {
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
    CHECK(node.heard.listings == 2);
    CHECK(equal_to_truth(node, world.etcd));
    REQUIRE(node.heard.failures.size() == 1);
    CHECK(node.heard.failures[0] == why);
    world.run(60'000);
    CHECK(node.heard.listings == 2);
    CHECK(node.heard.working == 2);
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
    CHECK(node.heard.lost == 1);
    CHECK(node.heard.listings == 2);
    CHECK(equal_to_truth(node, world.etcd));
  }

  TEST_CASE("a snapshot that other changes bring past us is known by what it undoes or adds") {
    World world;
    for (int i = 0; i < 5; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    int back = 1;
    int newcomers = 0;
    SUBCASE("a removal that no list shows") { world.etcd.remove(lease_key(numbered(4))); }
    SUBCASE("such a removal when the newest record is compacted") {
      world.etcd.compact(world.etcd.put("/elsewhere", "x"));
      world.etcd.put("/elsewhere", "x");
      world.etcd.remove(lease_key(numbered(4)));
    }
    SUBCASE("changes where there was none") {
      back = 10;
      newcomers = 15;
      for (int i = 0; i < back; ++i) world.etcd.put("/elsewhere", "x");
    }
    Node node(world);
    node.follow();
    world.run(10'000);
    world.etcd.go_back_to(world.etcd.revision() - back);
    for (int i = 5; i < 5 + newcomers; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    for (int i = 0; i < 20; ++i) world.etcd.put("/elsewhere", "x");
    world.run(10'000);
    CHECK(node.heard.listings == 2);
    CHECK(equal_to_truth(node, world.etcd));
  }

  TEST_CASE("what another store tells is not spoken before it is listed") {
    World world;
    for (int i = 0; i < 5; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    world.etcd.fragment = 1;
    Node node(world);
    node.follow();
    world.run(10'000);
    const int before = node.heard.records;
    world.etcd.go_back_to(world.etcd.revision() - 2);
    for (int i = 10; i < 30; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    world.run(10'000);
    CHECK(node.heard.listings == 2);
    CHECK(node.heard.records - before == 3 + 20);
    CHECK(equal_to_truth(node, world.etcd));
  }

  TEST_CASE("what came and went before the list is not spoken") {
    World world;
    for (int i = 0; i < 3; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    world.etcd.before_next("/v3/kv/range", [](tests::ScriptedEtcd& etcd) {
      etcd.put(lease_key(numbered(9)), kOne);
      etcd.remove(lease_key(numbered(9)));
      etcd.remove(lease_key(numbered(2)));
    });
    Node node(world);
    node.follow();
    world.run(10'000);
    world.etcd.cut_all();
    world.run(10'000);
    CHECK(node.heard.listings == 1);
    CHECK(node.heard.records == 2);
    CHECK(node.heard.calls.find(" -") == std::string::npos);
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
    CHECK(node.heard.listings == 1);
  }

  TEST_CASE("pages of a list that come from two stores are not put together") {
    World world;
    for (int i = 0; i < 700; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    world.etcd.before_next(kRange, [](tests::ScriptedEtcd&) {});
    world.etcd.before_next(kRange, [](tests::ScriptedEtcd& etcd) { ++etcd.cluster_id; });
    Node node(world);
    node.follow();
    CHECK(node.heard.aborts == 1);
    CHECK(node.heard.listings == 1);
    CHECK(node.heard.failures.at(0) == "list: etcd: pages of the list from two stores ");
  }

  TEST_CASE("an answer that drips for ever ends, and the next one counts") {
    World world;
    world.etcd.put("/net/config", kConfig);
    world.etcd.put(lease_key(numbered(1)), kOne);
    Node node(world);
    int working = 1;
    SUBCASE("of a request") {
      world.etcd.drip_next(kRange);
      node.registry.config.begin({});
      world.run(EtcdRegistry::kAnswerLimit - 1'000);
      CHECK(node.heard.failures.empty());
      world.run(2'000);
      CHECK(node.heard.configs == 1);
      REQUIRE(node.heard.failures.size() == 1);
      CHECK(node.heard.failures[0] == "config: registry: the answer does not come to its end ");
    }
    SUBCASE("of a page of the list, which may be large and the link slow") {
      world.etcd.drip_next(kRange);
      node.registry.list();
      world.run(EtcdRegistry::kPageLimit - 1'000);
      CHECK(node.heard.failures.empty());
      world.run(2'000);
      CHECK(node.heard.peers.size() == 1);
      REQUIRE(node.heard.failures.size() == 1);
      CHECK(node.heard.failures[0] == "list: registry: the answer does not come to its end ");
    }
    SUBCASE("of a watch") {
      world.etcd.drip_next(kWatch);
      node.registry.list();
      world.run(EtcdRegistry::kAnswerLimit + 2'000);
      CHECK(world.etcd.watch_count() == 1);
      REQUIRE(node.heard.failures.size() == 1);
      CHECK(node.heard.failures[0] == "watch: etcd: the watch does not come to its first line ");
      working = 2;  // the list had worked before
    }
    world.run(10'000);
    CHECK(node.heard.working == working);
  }

  TEST_CASE("a watch that a proxy ends now and then is no failure, one that cannot be had again is") {
    World world;
    Node node(world);
    node.follow();
    for (int i = 0; i < 10; ++i) {
      world.run(60'000);
      world.etcd.cut_all();
    }
    world.run(10'000);
    CHECK(node.heard.failures.empty());
    world.etcd.set_down("one", true);
    world.run(1'000);
    CHECK(node.heard.failures.at(0) == "watch: connect ");
    CHECK(node.heard.listings == 1);
  }

  TEST_CASE(
      "numbers at the ends of their range do no harm (for UBSan), and a lease of ages is not asked about "
      "each second") {
    for (const char* number :
         {"9223372036854775807", "9223372036854775806", "-9223372036854775808", "-1", "281474976710655",
          "281474976710656", "9223372036854775", "18446744073709551615"}) {
      CAPTURE(std::string(number));
      World world;
      Node node(world);
      const std::string n = number;
      const std::string pair =
          R"("key":"L25ldC9zdWJuZXRzLzEwLjAuMS4wLTI0","value":"e30=","create_revision":")" + n +
          R"(","mod_revision":")" + n + R"(","lease":")" + n + "\"";
      const std::string header = R"("header":{"revision":")" + n + R"(","raft_term":")" + n + R"("})";
      const std::string created = R"({"result":{)" + header + R"(,"created":true}})";
      world.etcd.answer_next(kRange, http_response("{" + header + R"(,"kvs":[{)" + pair + "}]}"));
      SUBCASE("events") {
        world.etcd.every_watch = http_response(created + R"({"result":{)" + header + R"(,"events":[{"kv":{)" +
                                               pair + R"(}},{"type":"DELETE","kv":{)" + pair + "}}]}}");
      }
      SUBCASE("compaction") {
        world.etcd.every_watch = http_response(created + R"({"result":{)" + header +
                                               R"(,"canceled":true,"compact_revision":")" + n + R"("}})");
      }
      node.registry.list();
      world.run(60'000);
      CHECK(world.etcd.requests(kRange) < 25);
      CHECK(world.etcd.requests(kWatch) < 25);

      const std::string lease = "{" + header + R"(,"ID":"7","TTL":")" + n + "\"}";
      world.etcd.answer_next(kGrant, http_response(lease));
      world.etcd.answer_next(kTxn, http_response("{" + header + R"(,"succeeded":true})"));
      Claim claim;
      claim.key.subnet = *parse_net4("10.0.9.0/24");
      claim.value = kOne;
      world.etcd.reset_counts();
      node.registry.claimer.begin(claim);
      world.run(200'000);
      CHECK(world.etcd.requests(kKeepalive) <= 2);
    }
  }

  TEST_CASE("a longer life than a keepalive's answer can mean is no reason to ask each second") {
    World world;
    Node node(world);
    (void)node.claim("10.0.1.0/24", kOne);
    const std::string lease = std::to_string(world.etcd.find(lease_key("10.0.1.0-24"))->lease);
    for (int i = 0; i < 1'000; ++i) {
      world.etcd.answer_next(
          kKeepalive, http_response(R"({"result":{"ID":")" + lease + R"(","TTL":"9223372036854775807"}})"));
    }
    world.run(3'600'000);
    CHECK(world.etcd.requests(kKeepalive) == 1);
  }

  TEST_CASE("working is told when all of it works, not in turns with failure") {
    World world;
    Node node(world);
    node.follow();
    world.run(10'000);
    const int before = node.heard.working;
    // Reads are refused, everything else is well.
    for (int i = 0; i < 1'000; ++i) world.etcd.refuse_next(kRange, 7, "etcdserver: permission denied");
    node.registry.config.begin({});
    (void)node.claim("10.0.200.0/24", kOne);
    world.run(3'600'000);
    CHECK(node.heard.failures.at(0) == "config: etcd: PERMISSION_DENIED etcdserver: permission denied");
    CHECK(node.heard.working == before);
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
}

}  // namespace flannelette::registry
