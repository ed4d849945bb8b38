// SPDX-License-Identifier: Apache-2.0
// Claims, lease life and authentication of EtcdRegistry against the scripted etcd.
#include <doctest/doctest.h>

#include "unit/etcd_harness.hpp"

namespace flannelette::registry {

TEST_SUITE("registry/etcd_claim") {
  TEST_CASE("a free subnet is held with a lease of the wanted life") {
    World world;
    Node node(world);
    const ClaimResult result = node.claim("10.0.1.0/24", kOne);
    CHECK(result.outcome == ClaimOutcome::kHeld);
    CHECK(result.written);
    CHECK(!result.reservation);
    CHECK(result.ttl_seconds == 600);
    const auto* pair = world.etcd.find(lease_key("10.0.1.0-24"));
    REQUIRE(pair != nullptr);
    CHECK(pair->value == kOne);
    CHECK(pair->mod_revision == result.mod_revision);
    CHECK(world.etcd.has_lease(pair->lease));
  }

  TEST_CASE("a dual-stack key of the same subnet blocks it, and so does a foreign one") {
    World world;
    world.etcd.put(lease_key("10.0.1.0-24&fd00::-64"), kTwo);
    world.etcd.put(lease_key("10.0.2.0-oops"), kTwo);
    Node node(world);
    CHECK(node.claim("10.0.1.0/24", kOne).outcome == ClaimOutcome::kTaken);
    CHECK(node.heard.calls == "+10.0.1.0-24&fd00::-64 . ");
    CHECK(node.claim("10.0.2.0/24", kOne).outcome == ClaimOutcome::kTaken);
    CHECK(world.etcd.find(lease_key("10.0.2.0-24")) == nullptr);
  }

  TEST_CASE("fifty race for one subnet: one has it, and the others need no new lease for the next") {
    World world;
    std::vector<std::unique_ptr<Node>> nodes;
    for (int i = 0; i < 50; ++i) nodes.push_back(std::make_unique<Node>(world));
    for (auto& node : nodes) {
      Claim claim;
      claim.key.subnet = *parse_net4("10.0.0.0/24");
      claim.value = kOne;
      node->registry.claimer.begin(claim);
    }
    world.run(1'000);
    int held = 0;
    int next = 1;
    for (auto& node : nodes) {
      REQUIRE(node->heard.claims.size() == 1);
      if (node->heard.claims[0].outcome == ClaimOutcome::kHeld) {
        ++held;
      } else {
        CHECK(node->heard.peers.count("10.0.0.0-24") == 1);
        CHECK(node->claim("10.0." + std::to_string(next++) + ".0/24", kOne).outcome == ClaimOutcome::kHeld);
      }
    }
    CHECK(held == 1);
    CHECK(world.etcd.requests(kGrant) == 50);
    CHECK(world.etcd.lease_count() == 50);
    CHECK(world.etcd.keys().size() == 50);
  }

  TEST_CASE("the lease of a lost race is given back when it is not needed, and at stop") {
    World world;
    Node node(world);
    const auto mine = world.etcd.put(lease_key("10.0.1.0-24"), kOne, world.etcd.grant(600));
    world.etcd.put(lease_key("10.0.2.0-24"), kTwo);
    CHECK(node.claim("10.0.2.0/24", kOne).outcome == ClaimOutcome::kTaken);
    CHECK(world.etcd.lease_count() == 2);
    SUBCASE("not needed") {
      CHECK(node.claim("10.0.1.0/24", kOne, mine).outcome == ClaimOutcome::kHeld);
      world.run(1'000);
    }
    SUBCASE("stop") {
      node.registry.stop();
      world.run(1'000);
    }
    CHECK(world.etcd.lease_count() == 1);
    CHECK(world.etcd.find(lease_key("10.0.1.0-24")) != nullptr);
  }

  TEST_CASE("the answer to a put is lost: the key is looked up, and put once in effect") {
    for (const bool executed : {true, false}) {
      World world;
      Node node(world);
      world.etcd.lose_answer(kTxn, executed);
      const ClaimResult result = node.claim("10.0.1.0/24", kOne);
      CHECK(result.outcome == ClaimOutcome::kHeld);
      CHECK(result.mod_revision == world.etcd.find(lease_key("10.0.1.0-24"))->mod_revision);
      CHECK(world.etcd.find(lease_key("10.0.1.0-24"))->version == 1);
      CHECK(world.etcd.requests(kTxn) == (executed ? 1 : 2));
      CHECK(world.etcd.requests(kGrant) == 1);
      CHECK(node.heard.failures.empty());  // most often the server closed a connection that was idle
    }
  }

  TEST_CASE("the answer to a change of our key is lost: it is looked up too") {
    for (const bool executed : {true, false}) {
      World world;
      Node node(world);
      const ClaimResult first = node.claim("10.0.1.0/24", kOne);
      world.etcd.lose_answer(kTxn, executed);
      const ClaimResult second = node.claim("10.0.1.0/24", kTwo, first.mod_revision);
      CHECK(second.outcome == ClaimOutcome::kHeld);
      CHECK(second.mod_revision > first.mod_revision);
      CHECK(world.etcd.find(lease_key("10.0.1.0-24"))->value == kTwo);
      CHECK(world.etcd.find(lease_key("10.0.1.0-24"))->version == 2);
    }
  }

  TEST_CASE("a put that is carried out only after it was looked up is recognised") {
    World world;
    Node node(world);
    world.etcd.lose_answer(kTxn, false);
    world.etcd.before_next(kTxn, [](tests::ScriptedEtcd&) {});
    world.etcd.before_next(kTxn, [](tests::ScriptedEtcd& etcd) {
      etcd.put(lease_key("10.0.1.0-24"), kOne, 7587800000000000002);  // the first lease it grants
    });
    const ClaimResult result = node.claim("10.0.1.0/24", kOne);
    CHECK(result.outcome == ClaimOutcome::kHeld);
    CHECK(world.etcd.find(lease_key("10.0.1.0-24"))->version == 1);
  }

  TEST_CASE("a server that loses each put is not asked in a hot loop") {
    World world;
    Node node(world);
    for (int i = 0; i < 1000; ++i) world.etcd.lose_answer(kTxn, false);
    Claim claim;
    claim.key.subnet = *parse_net4("10.0.1.0/24");
    claim.value = kOne;
    node.registry.claimer.begin(claim);
    world.run(60'000);
    CHECK(world.etcd.requests(kTxn) < 20);
    CHECK(!node.heard.failures.empty());
  }

  TEST_CASE("leases that are gone as soon as they are granted are not asked for in a hot loop") {
    World world;
    Node node(world);
    for (int i = 0; i < 5'000; ++i) world.etcd.refuse_next(kTxn, 5, "etcdserver: requested lease not found");
    Claim claim;
    claim.key.subnet = *parse_net4("10.0.1.0/24");
    claim.value = kOne;
    node.registry.claimer.begin(claim);
    world.run(60'000);
    CHECK(world.etcd.requests(kGrant) < 15);
    CHECK(node.heard.failures.at(0).starts_with("claim: etcd: NOT_FOUND"));
  }

  TEST_CASE("a claim that is lost again and again is slower each time, and takes no second lease") {
    World world;
    Node node(world);
    SUBCASE("somebody is always first") { world.etcd.puts = tests::ScriptedEtcd::Puts::kFailed; }
    SUBCASE("the key is always removed") { world.etcd.puts = tests::ScriptedEtcd::Puts::kRemoved; }
    SUBCASE("the key is never there") { world.etcd.puts = tests::ScriptedEtcd::Puts::kForgotten; }
    const Millis before = world.clock.time;
    (void)node.claim("10.0.1.0/24", kOne);
    CHECK(world.clock.time - before < 50);
    for (int i = 0; i < 8; ++i) (void)node.claim("10.0.1.0/24", kOne);
    CHECK(world.clock.time - before > 10'000);
    CHECK(world.etcd.requests(kGrant) == 1);
    // A claim after a while of peace is carried out at once.
    world.run(120'000);
    const Millis later = world.clock.time;
    (void)node.claim("10.0.1.0/24", kOne);
    CHECK(world.clock.time - later < 50);
  }

  TEST_CASE("an answer about another lease is no reason for a new one, and one without a revision is none") {
    World world;
    Node node(world);
    const auto mod = world.etcd.put(lease_key("10.0.1.0-24"), kOne, world.etcd.grant(600));
    std::string path, body;
    SUBCASE("keepalive, another lease") {
      path = kKeepalive;
      body = R"({"result":{"ID":"5","TTL":"600"}})";
    }
    SUBCASE("keepalive, nothing") {
      path = kKeepalive;
      body = "{}";
    }
    SUBCASE("a look") {
      path = kRange;
      body = "{}";
    }
    world.etcd.answer_next(path, http_response(body));
    CHECK(node.claim("10.0.1.0/24", kOne, mod).outcome == ClaimOutcome::kHeld);
    CHECK(world.etcd.requests(kGrant) == 0);
    CHECK(world.etcd.find(lease_key("10.0.1.0-24"))->version == 1);
    CHECK(node.heard.failures.size() == 1);
  }

  TEST_CASE("a put that is answered without a revision is looked up") {
    World world;
    Node node(world);
    world.etcd.answer_next(kTxn, http_response(R"({"succeeded":true})"));
    const ClaimResult result = node.claim("10.0.1.0/24", kOne);
    CHECK(result.outcome == ClaimOutcome::kHeld);
    CHECK(result.mod_revision == world.etcd.find(lease_key("10.0.1.0-24"))->mod_revision);
  }

  TEST_CASE("etcd grants longer leases than asked for: the one that is held is no reason for another") {
    World world;
    world.etcd.min_ttl = 900;
    Node node(world);
    ClaimResult result = node.claim("10.0.1.0/24", kOne);
    CHECK(result.ttl_seconds == 900);
    for (int i = 0; i < 3; ++i) result = node.claim("10.0.1.0/24", kTwo, result.mod_revision, true);
    CHECK(world.etcd.requests(kGrant) == 1);
  }

  TEST_CASE("our own key with the right value and life is kept alive and not written") {
    World world;
    Node first(world);
    const ClaimResult before = first.claim("10.0.1.0/24", kOne);
    first.registry.stop();
    Node again(world);
    const auto revision = world.etcd.revision();
    const ClaimResult result = again.claim("10.0.1.0/24", kOne, before.mod_revision);
    CHECK(result.outcome == ClaimOutcome::kHeld);
    CHECK(!result.written);
    CHECK(result.mod_revision == before.mod_revision);
    CHECK(world.etcd.revision() == revision);
    CHECK(world.etcd.requests(kGrant) == 1);
    CHECK(again.claim("10.0.1.0/24", kOne, before.mod_revision, true).written);
  }

  TEST_CASE("a lease of another life is replaced and then revoked") {
    World world;
    Node node(world);
    const auto old = world.etcd.grant(3'000);
    const auto mod = world.etcd.put(lease_key("10.0.1.0-24"), kOne, old);
    const ClaimResult result = node.claim("10.0.1.0/24", kOne, mod);
    CHECK(result.outcome == ClaimOutcome::kHeld);
    CHECK(result.ttl_seconds == 600);
    world.run(1'000);
    CHECK(!world.etcd.has_lease(old));
    CHECK(world.etcd.find(lease_key("10.0.1.0-24")) != nullptr);
  }

  TEST_CASE("a reservation stays one, and is written only if its value differs") {
    World world;
    Node node(world);
    const auto mod = world.etcd.put(lease_key("10.0.1.0-24"), kOne);
    ClaimResult result = node.claim("10.0.1.0/24", kOne, mod);
    CHECK(result.outcome == ClaimOutcome::kHeld);
    CHECK(result.reservation);
    CHECK(!result.written);
    result = node.claim("10.0.1.0/24", kTwo, mod);
    CHECK(result.reservation);
    CHECK(result.written);
    CHECK(world.etcd.find(lease_key("10.0.1.0-24"))->lease == 0);
    CHECK(world.etcd.lease_count() == 0);
    world.run(86'400'000);
    CHECK(world.etcd.requests(kKeepalive) == 0);
  }

  TEST_CASE("a key that somebody changed or removed is not touched, and what is there is told first") {
    World world;
    Node node(world);
    const auto mod = world.etcd.put(lease_key("10.0.1.0-24"), kOne);
    world.etcd.put(lease_key("10.0.1.0-24"), kTwo);
    CHECK(node.claim("10.0.1.0/24", kOne, mod).outcome == ClaimOutcome::kTaken);
    CHECK(node.heard.calls == "+10.0.1.0-24 . ");
    CHECK(world.etcd.find(lease_key("10.0.1.0-24"))->value == kTwo);
    node.heard.calls.clear();
    world.etcd.remove(lease_key("10.0.1.0-24"));
    CHECK(node.claim("10.0.1.0/24", kOne, mod).outcome == ClaimOutcome::kTaken);
    CHECK(node.heard.calls == "-10.0.1.0-24 . ");
    CHECK(world.etcd.keys().empty());
  }

  TEST_CASE("an answer older than what the watch has told is not told") {
    World world;
    world.etcd.put(lease_key("10.0.1.0-24"), kTwo);
    Node node(world);
    node.follow();
    // The put fails because of the rival; before the answer is there, the watch tells that the rival has
    // gone.
    world.etcd.before_next(kTxn, [](tests::ScriptedEtcd& etcd) {
      const std::string body =
          R"({"header":{"revision":")" + std::to_string(etcd.revision()) +
          R"("},"responses":[{"response_range":{"kvs":[{"key":"L25ldC9zdWJuZXRzLzEwLjAuMS4wLTI0","mod_revision":"2"}]}}]})";
      etcd.remove(lease_key("10.0.1.0-24"));
      etcd.answer_next(
          kTxn, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    });
    CHECK(node.claim("10.0.1.0/24", kOne).outcome == ClaimOutcome::kTaken);
    world.run(100);
    CHECK(node.heard.peers.empty());
  }

  TEST_CASE("a refusal is told with the registry's words") {
    World world;
    Node node(world);
    world.etcd.refuse_next(kTxn, 7, "etcdserver: permission denied");
    const ClaimResult result = node.claim("10.0.1.0/24", kOne);
    CHECK(result.outcome == ClaimOutcome::kRefused);
    CHECK(result.error.code == Code::kDenied);
    CHECK(result.detail.view() == "etcdserver: permission denied");
    CHECK(node.claim("10.0.1.0/24", kOne).outcome == ClaimOutcome::kHeld);
    CHECK(world.etcd.requests(kGrant) == 1);
  }

  TEST_CASE("a lease that is gone before it is used is replaced") {
    World world;
    Node node(world);
    world.etcd.put(lease_key("10.0.2.0-24"), kTwo);
    CHECK(node.claim("10.0.2.0/24", kOne).outcome == ClaimOutcome::kTaken);
    world.run(700'000);
    CHECK(world.etcd.lease_count() == 0);
    CHECK(node.claim("10.0.3.0/24", kOne).outcome == ClaimOutcome::kHeld);
  }

  TEST_CASE("a day of lease life: kept alive every third of it, never written, nothing else asked") {
    World world;
    EtcdSettings settings = Node::standard();
    settings.lease_ttl_seconds = 86'400;
    settings.renew_margin_seconds = 3'600;
    Node node(world, settings);
    const ClaimResult result = node.claim("10.0.1.0/24", kOne);
    world.etcd.reset_counts();
    world.run(2 * 86'400'000 + 1000);
    CHECK(world.etcd.requests(kKeepalive) == 6);
    CHECK(world.etcd.requests() == 6);
    CHECK(world.etcd.find(lease_key("10.0.1.0-24"))->mod_revision == result.mod_revision);
    CHECK(node.heard.failures.empty());
  }

  TEST_CASE("a kept-alive connection that the server closed while it was idle is no failure") {
    World world;
    Node node(world);
    node.claim("10.0.1.0/24", kOne);
    world.run(1'000);
    world.etcd.cut_idle();
    world.run(800'000);
    CHECK(node.heard.failures.empty());
    CHECK(world.etcd.find(lease_key("10.0.1.0-24")) != nullptr);
  }

  TEST_CASE("a connection is kept for the next request, and closed after a minute without one") {
    World world;
    world.etcd.put("/net/config", kConfig);
    Node node(world);
    const auto ask = [&] {
      const int before = node.heard.configs;
      node.registry.config.begin({});
      CHECK(world.run_until([&] { return node.heard.configs > before; }));
      return world.etcd.connections();
    };
    CHECK(ask() == 1);
    world.run(EtcdRegistry::kIdleConnection - 10);
    CHECK(ask() == 1);
    world.run(EtcdRegistry::kIdleConnection + 10);
    CHECK(ask() == 2);
    CHECK(node.heard.failures.empty());
  }

  TEST_CASE("a lease that has expired is told once; while etcd cannot be asked it counts as alive") {
    World world;
    Node node(world);
    node.claim("10.0.1.0/24", kOne);
    world.etcd.set_down("one", true);
    world.run(3 * 600'000);
    CHECK(node.heard.lost == 0);
    CHECK(world.etcd.find(lease_key("10.0.1.0-24")) == nullptr);
    world.etcd.set_down("one", false);
    CHECK(world.run_until([&] { return node.heard.lost == 1; }, 31'000));
    world.run(3'600'000);
    CHECK(node.heard.lost == 1);
    CHECK(node.claim("10.0.1.0/24", kOne).outcome == ClaimOutcome::kHeld);
  }

  TEST_CASE("an answer that says nothing of our lease is not the end of it") {
    World world;
    Node node(world);
    (void)node.claim("10.0.200.0/24", kOne);
    world.etcd.answer_next(kKeepalive, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    world.run(300'000);
    CHECK(node.heard.lost == 0);
    REQUIRE(node.heard.failures.size() == 1);
    CHECK(node.heard.failures[0] == "keepalive: etcd: not about our lease ");
    CHECK(node.heard.working == 2);
  }

  TEST_CASE("a conversation cut at any byte: the subnet is held all the same, once") {
    bool was_cut = true;
    for (std::size_t cut = 1; was_cut; cut += 2) {
      World world;
      world.etcd.piece = cut % 5;
      Node node(world);
      world.etcd.cut_after(cut);
      const ClaimResult result = node.claim("10.0.1.0/24", kOne);
      if (result.outcome != ClaimOutcome::kHeld) FAIL("cut after byte " << cut);
      CHECK(world.etcd.find(lease_key("10.0.1.0-24"))->version == 1);
      world.run(500'000);
      CHECK(world.etcd.find(lease_key("10.0.1.0-24"))->mod_revision == result.mod_revision);
      was_cut = !world.etcd.cut_is_to_come();
    }
  }
}

TEST_SUITE("registry/etcd_auth") {
  EtcdSettings with_user() {
    EtcdSettings settings = Node::standard();
    settings.username = "node";
    settings.password = "s3cret";
    return settings;
  }

  TEST_CASE("with a user the token comes first, for the requests and for the watch") {
    World world;
    world.etcd.add_user("node", "s3cret");
    world.etcd.enable_auth(true);
    world.etcd.put(lease_key("10.0.1.0-24"), kTwo);
    Node node(world, with_user());
    node.follow();
    CHECK(node.heard.peers.size() == 1);
    CHECK(world.etcd.requests(kLogin) == 1);
    CHECK(node.heard.failures.empty());
  }

  TEST_CASE("an expired token is renewed without a word, once, and the request sent again") {
    World world;
    world.etcd.add_user("node", "s3cret");
    world.etcd.enable_auth(true);
    Node node(world, with_user());
    const ClaimResult first = node.claim("10.0.1.0/24", kOne);
    world.etcd.expire_tokens();
    CHECK(node.claim("10.0.1.0/24", kTwo, first.mod_revision).outcome == ClaimOutcome::kHeld);
    CHECK(world.etcd.requests(kLogin) == 2);
    CHECK(node.heard.failures.empty());
  }

  TEST_CASE("a watch that is refused for its expired token comes back with a new one") {
    World world;
    world.etcd.add_user("node", "s3cret");
    world.etcd.enable_auth(true);
    Node node(world, with_user());
    node.follow();
    world.run(10'000);
    world.etcd.expire_tokens();
    world.etcd.cut_all();
    world.run(5'000);
    CHECK(world.etcd.watch_count() == 1);
    CHECK(world.etcd.requests(kLogin) == 2);
  }

  TEST_CASE("where authentication is off a user does no harm, and may be needed later") {
    World world;
    world.etcd.add_user("node", "s3cret");
    world.etcd.put("/net/config", kConfig);
    Node node(world, with_user());
    node.registry.config.begin({});
    CHECK(world.run_until([&] { return node.heard.configs == 1; }));
    CHECK(node.heard.failures.empty());
    world.etcd.enable_auth(true);
    node.registry.config.begin({});
    CHECK(world.run_until([&] { return node.heard.configs == 2; }));
    world.etcd.enable_auth(false);
    node.registry.config.begin({});
    CHECK(world.run_until([&] { return node.heard.configs == 3; }));
    world.etcd.expire_tokens();
    node.registry.config.begin({});
    CHECK(world.run_until([&] { return node.heard.configs == 4; }));
    CHECK(node.heard.failures.empty());
  }

  TEST_CASE("a wrong password is failure named so, with back-off, and without the password") {
    World world;
    world.etcd.add_user("node", "other");
    world.etcd.enable_auth(true);
    Node node(world, with_user());
    node.registry.config.begin({});
    world.run(600'000);
    CHECK(world.etcd.requests(kLogin) < 60);
    CHECK(world.etcd.requests(kRange) == 0);
    REQUIRE(!node.heard.failures.empty());
    for (const std::string& failure : node.heard.failures) {
      CHECK(failure.starts_with("authenticate: "));
      CHECK(failure.find("s3cret") == std::string::npos);
    }
  }

  TEST_CASE("tokens that are refused as soon as they are had are not asked for in a hot loop") {
    World world;
    world.etcd.add_user("node", "s3cret");
    world.etcd.enable_auth(true);
    Node node(world, with_user());
    for (int i = 0; i < 50'000; ++i) {
      world.etcd.before_next(kRange, [](tests::ScriptedEtcd& etcd) { etcd.expire_tokens(); });
      world.etcd.before_next(kWatch, [](tests::ScriptedEtcd& etcd) { etcd.expire_tokens(); });
    }
    SUBCASE("by a request") { node.registry.config.begin({}); }
    SUBCASE("by a list") { node.registry.list(); }
    world.run(600'000);
    CHECK(world.etcd.requests(kLogin) < 130);
    CHECK(!node.heard.failures.empty());
  }

  TEST_CASE("a token that no header may hold is thrown away and asked for again, with back-off") {
    for (const char* bad :
         {R"(line\nend)", R"(\r\nX-Evil: 1)", R"(nul\u0000)", R"(del\u007f)", R"(\u0001)"}) {
      World world;
      world.etcd.add_user("node", "s3cret");
      world.etcd.enable_auth(true);
      world.etcd.put("/net/config", kConfig);
      const std::string token = R"({"header":{"revision":"2"},"token":")" + std::string(bad) + "\"}";
      for (int i = 0; i < 5; ++i) world.etcd.answer_next(kLogin, http_response(token));
      Node node(world, with_user());
      node.registry.config.begin({});
      CHECK(world.run_until([&] { return node.heard.configs == 1; }, 10'000));
      CHECK(world.etcd.requests(kLogin) == 6);
      CHECK(world.etcd.requests(kRange) == 1);
      CHECK(node.heard.failures.size() == 5);
      CHECK(node.heard.failures.at(0).starts_with("authenticate: etcd: a token that no header may hold"));
    }
  }

  TEST_CASE("no user where one is needed is failure, and waits") {
    World world;
    world.etcd.enable_auth(true);
    Node node(world);
    node.registry.config.begin({});
    world.run(600'000);
    REQUIRE(!node.heard.failures.empty());
    CHECK(node.heard.failures[0].find("user name is empty") != std::string::npos);
    CHECK(world.etcd.requests() < 60);
    CHECK(node.claim("10.0.1.0/24", kOne).outcome == ClaimOutcome::kRefused);
  }
}

}  // namespace flannelette::registry
