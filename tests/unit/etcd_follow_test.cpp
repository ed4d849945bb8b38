// SPDX-License-Identifier: Apache-2.0
// Config, listing and watch of EtcdRegistry against the scripted etcd.
#include <doctest/doctest.h>

#include "registry/etcd/decode.hpp"
#include "unit/etcd_harness.hpp"

namespace flannelette::registry {

TEST_SUITE("registry/etcd_follow") {
  TEST_CASE(
      "the addresses of all endpoints are told at the start, those of names before the first connection") {
    World world;
    EtcdSettings settings = Node::standard();
    settings.endpoints[1] = *io::parse_endpoint("https://192.0.2.7:2379", 2379);
    settings.endpoints[2] = *io::parse_endpoint("http://[fd00::1]:2379", 2379);
    settings.endpoint_count = 3;
    Node node(world, settings);
    CHECK(node.heard.servers == std::vector<Ip>{*parse_ip4("192.0.2.7")});
    world.etcd.names["one"] = *parse_ip4("192.0.2.1");
    node.registry.config.begin({});
    world.run(10);
    CHECK(node.heard.servers == std::vector<Ip>{*parse_ip4("192.0.2.7"), *parse_ip4("192.0.2.1")});
  }

  TEST_CASE("the config is read once; a missing or a wrong one again and again, until there is a good one") {
    World world;
    Node node(world);
    node.registry.config.begin({});
    CHECK(world.run_until([&] { return node.heard.missing == 1; }));
    world.etcd.put("/net/config", R"({"Network":"10.0.0.0/33"})");
    CHECK(world.run_until([&] { return node.heard.problems == 1; }, EtcdRegistry::kConfigFirst));
    world.run(60'000);
    CHECK(node.heard.missing == 1);
    CHECK(node.heard.problems <= 60'000 / EtcdRegistry::kConfigMax + 2);
    world.etcd.put("/net/config", kConfig);
    world.etcd.reset_counts();
    CHECK(world.run_until([&] { return node.heard.configs == 1; }, EtcdRegistry::kConfigMax));
    CHECK(node.heard.config.network == *parse_net4("10.0.0.0/8"));
    world.run(60'000);
    CHECK(node.heard.configs == 1);
    CHECK(world.etcd.requests() == 1);
  }

  TEST_CASE("a config that is there and empty is wrong, not missing; its key can be named") {
    World world;
    world.etcd.put("/net/config", "");
    Node node(world);
    node.registry.config.begin({});
    CHECK(world.run_until([&] { return node.heard.problems == 1; }));
    CHECK(node.heard.missing == 0);
    CHECK(node.registry.core.keys.config().view() == "/net/config");
  }

  TEST_CASE("a complete answer that is no use is asked for less and less often") {
    World world;
    Node node(world);
    SUBCASE("a config over the limit") {
      world.etcd.put("/net/config", std::string(EtcdRegistry::kMaxValue + 1, ' '));
      node.registry.config.begin({});
    }
    SUBCASE("a list without a revision") {
      for (int i = 0; i < 1000; ++i)
        world.etcd.answer_next(kRange, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
      node.registry.list();
    }
    world.run(600'000);
    CHECK(world.etcd.requests(kRange) < 60);
    CHECK(node.heard.last_retry >= EtcdRegistry::kBackoffMax / 2);
  }

  TEST_CASE("a list whose second page never comes is asked for less and less often") {
    World world;
    for (int i = 0; i < 700; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    void (*fault)(tests::ScriptedEtcd&) = nullptr;
    SUBCASE("no leader") {
      fault = [](tests::ScriptedEtcd& etcd) { etcd.refuse_next(kRange, 14, "etcdserver: no leader"); };
    }
    SUBCASE("its revision was compacted") {
      fault = [](tests::ScriptedEtcd& etcd) { etcd.compact(etcd.put("/elsewhere", "x")); };
    }
    SUBCASE("it leads nowhere") {
      fault = [](tests::ScriptedEtcd& etcd) {
        etcd.answer_next(kRange, http_response(R"({"header":{"revision":"701"},"more":true})"));
      };
    }
    SUBCASE("it is another store's") {
      fault = [](tests::ScriptedEtcd& etcd) { ++etcd.cluster_id; };
    }
    for (int i = 0; i < 5'000; ++i) {
      world.etcd.before_next(kRange, [](tests::ScriptedEtcd&) {});
      world.etcd.before_next(kRange, fault);
    }
    Node node(world);
    node.registry.list();
    world.run(600'000);
    CHECK(node.heard.listings == 0);
    CHECK(world.etcd.requests(kRange) < 120);
  }

  TEST_CASE("reading the config outlasts a registry that is down, with back-off and the next endpoint") {
    World world;
    world.etcd.put("/net/config", kConfig);
    EtcdSettings settings = Node::standard();
    settings.endpoints[1] = *io::parse_endpoint("http://two:2379", 2379);
    settings.endpoint_count = 2;
    world.etcd.set_down("one", true);
    world.etcd.set_down("two", true);
    Node node(world, settings);
    node.registry.config.begin({});
    world.run(3'600'000);
    CHECK(world.etcd.connections() < 260);  // 15 to 30 s apart in the end
    CHECK(node.heard.last_retry >= EtcdRegistry::kBackoffMax / 2);
    world.etcd.set_down("two", false);
    CHECK(world.run_until([&] { return node.heard.configs == 1; }, 61'000));
    CHECK(node.heard.working == 1);
  }

  TEST_CASE("a config over its limit is failure and not a missing one") {
    World world;
    world.etcd.put("/net/config", std::string(20'000, 'x'));
    Node node(world);
    node.registry.config.begin({});
    world.run(1'000);
    CHECK(node.heard.configs + node.heard.missing == 0);
    CHECK(!node.heard.failures.empty());
    world.etcd.put("/net/config", kConfig);
    CHECK(world.run_until([&] { return node.heard.configs == 1; }));
  }

  TEST_CASE("1600 keys are listed in three requests of one revision, and none is asked for by itself") {
    World world;
    for (int i = 0; i < 1600; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    world.etcd.before_next(kRange, [](tests::ScriptedEtcd&) {});
    world.etcd.before_next(kRange, [](tests::ScriptedEtcd& etcd) {
      etcd.remove(lease_key(numbered(1100)));
      etcd.put(lease_key("10.99.0.0-24"), kOne);
    });
    Node node(world);
    node.follow();
    CHECK(world.etcd.requests(kRange) == 3);
    CHECK(world.etcd.requests() == 4);
    CHECK(node.heard.records == 1601);
    CHECK(equal_to_truth(node, world.etcd));
  }

  TEST_CASE("pages grow while they come quickly, up to 8,000 keys, and are small again after a slow one") {
    World world;
    for (int i = 0; i < 20'000; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    Node quick(world);
    quick.follow();
    CHECK(world.etcd.requests(kRange) == 6);  // 500, 1,000, 2,000, 4,000, 8,000, the rest
    CHECK(equal_to_truth(quick, world.etcd));

    world.etcd.delay = EtcdRegistry::kQuickPage;
    Node slow(world);
    slow.follow();
    CHECK(world.etcd.requests(kRange) == 6 + 40);
    CHECK(equal_to_truth(slow, world.etcd));
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
    CHECK(node.heard.records == 3);
    CHECK(node.heard.unreadable == 2);
    CHECK(node.heard.skipped.size() == 3);
    CHECK(node.heard.skipped.at(lease_key("readme")) == Skipped::kForeignKey);
    CHECK(node.heard.skipped.at(lease_key("10.0.2.0-24")) == Skipped::kTooLarge);
    world.etcd.put(lease_key("readme"), "again");
    world.etcd.put(lease_key("10.0.4.0-24"), std::string(100'000, 'x'));
    world.etcd.remove(lease_key("readme"));
    world.etcd.put(lease_key("10.0.5.0-24"), kOne);
    world.run(10);
    CHECK(node.heard.peers.size() == 5);
  }

  TEST_CASE(
      "at every limit and one byte beside it the records that follow are read, in the list and in the "
      "watch") {
    constexpr std::size_t kKey = EtcdRegistry::kMaxKey, kValue = EtcdRegistry::kMaxValue;
    constexpr std::size_t kScratch = etcd::Decoder::kScratch;  // of one JSON token, here of base64
    for (const bool watched : {false, true}) {
      World world;
      Node node(world);
      if (watched) node.follow();
      int large = 0;
      for (std::size_t size :
           {kValue - 1, kValue, kValue + 1, kScratch / 4 * 3, kScratch, kScratch + 1, 100 * kValue}) {
        world.etcd.put(lease_key(numbered(large++)), std::string(size, 'x'));
      }
      const std::size_t folder = lease_key("").size();
      for (std::size_t size : {kKey - 1, kKey, kKey + 1, kScratch, kScratch + 1, 10 * kScratch}) {
        world.etcd.put(lease_key(std::string(size - folder, 'k')), kOne);
      }
      world.etcd.put(lease_key("10.99.0.0-24"), kOne);
      world.etcd.piece = 1'000;
      if (!watched) node.follow();
      world.run(100);
      CHECK(node.heard.peers.count("10.99.0.0-24") == 1);
      CHECK(node.heard.unreadable == large);
      CHECK(node.heard.listings == 1);
      CHECK(node.heard.failures.empty());
      int too_large = 0;
      for (const auto& [key, why] : node.heard.skipped) too_large += why == Skipped::kTooLarge ? 1 : 0;
      CHECK(too_large >= 5 + 2);  // the overlong keys that begin alike may count as one
    }
  }

  TEST_CASE("pages that end in overlong keys lead on to the next page") {
    World world;
    for (int i = 0; i < 1100; ++i)
      world.etcd.put(lease_key(std::string(600 + static_cast<unsigned>(i), '0')), "x");
    world.etcd.put(lease_key("10.0.0.0-24"), kOne);
    Node node(world);
    node.follow();
    CHECK(node.heard.records == 1);
    CHECK(world.etcd.requests(kRange) <= 4);
  }

  TEST_CASE("a compaction between pages aborts the listing, and another follows") {
    World world;
    for (int i = 0; i < 700; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    world.etcd.before_next(kRange, [](tests::ScriptedEtcd&) {});
    world.etcd.before_next(kRange, [](tests::ScriptedEtcd& etcd) { etcd.compact(etcd.put("/x", "y")); });
    Node node(world);
    node.follow();
    CHECK(node.heard.aborts == 1);
    CHECK(node.heard.listings == 1);
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
        if (node.heard.failures.empty()) total = cut;  // the cut came too late to be seen
      }
    }
  }

  TEST_CASE("events come in order, those of one transaction together, deletions too") {
    World world;
    Node node(world);
    node.follow();
    node.heard.calls.clear();
    world.etcd.put(lease_key("10.0.1.0-24"), kOne);
    world.etcd.put_all({{lease_key("10.0.3.0-24"), kOne}, {lease_key("10.0.2.0-24"), kOne}});
    world.etcd.remove(lease_key("10.0.1.0-24"));
    world.run(10);
    CHECK(node.heard.calls == "+10.0.1.0-24 . +10.0.3.0-24 +10.0.2.0-24 . -10.0.1.0-24 . ");
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
    CHECK(node.heard.records == 10'100);
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
    CHECK(world.run_until([&] { return node.heard.peers.size() == 2500; }));
    world.run(1'000);
    CHECK(equal_to_truth(node, world.etcd));
    CHECK(node.heard.listings == 1);
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
    CHECK(!node.heard.failures.empty());
    CHECK(equal_to_truth(node, world.etcd));
    CHECK(node.heard.listings == 1);
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
    CHECK(node.heard.listings == 1);
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
    CHECK(node.heard.listings == 2);
    CHECK(equal_to_truth(node, world.etcd));
  }

  TEST_CASE("a list that is asked for under a settled watch leaves the next watch nothing of it") {
    World world;
    Node node(world);
    node.follow();
    world.run(10'000);
    node.follow();
    world.run(60'000);
    CHECK(node.heard.failures.empty());
  }

  TEST_CASE(
      "a removal in the very revision of a compaction, which etcd does not tell again, is no other store") {
    World world;
    for (int i = 0; i < 2; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    Node node(world);
    node.follow();
    world.etcd.remove(lease_key(numbered(1)));
    world.run(10'000);
    world.etcd.compact(world.etcd.revision());
    world.etcd.cut_all();
    world.run(60'000);
    CHECK(node.heard.listings == 1);
    CHECK(node.heard.failures.empty());
  }

  TEST_CASE("a removal while we were away, in the very revision that is compacted, is not missed") {
    World world;
    for (int i = 0; i < 2; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    Node node(world);
    node.follow();
    world.run(10'000);
    world.etcd.put("/elsewhere", "x");
    world.etcd.send_progress();
    world.run(10'000);
    world.etcd.compact(world.etcd.revision());
    world.etcd.cut_all();
    world.run(10'000);
    CHECK(node.heard.listings == 1);
    world.etcd.set_down("one", true);
    world.etcd.remove(lease_key(numbered(1)));
    world.etcd.compact(world.etcd.revision());
    world.etcd.set_down("one", false);
    world.run(60'000);
    CHECK(equal_to_truth(node, world.etcd));
  }

  TEST_CASE("a member that is behind the one that was listed is left alone; only a second one means a list") {
    World world;
    for (int i = 0; i < 5; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    Node node(world);
    world.etcd.answer_next(kWatch,
                           "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
                           R"({"result":{"header":{"revision":"2"},"created":true}})"
                           "\n");
    node.registry.list();
    world.run(20'000);
    CHECK(node.heard.listings == 1);
    CHECK(node.heard.failures.empty());
    CHECK(world.etcd.watch_count() == 1);
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
    CHECK(node.heard.listings == 2);
    CHECK(equal_to_truth(node, world.etcd));
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
      REQUIRE(node.heard.failures.size() == 1);
      CHECK(node.heard.failures[0] == "watch: etcd: UNAVAILABLE etcdserver: no leader");
      world.etcd.cancel_watches("for a reason");
      world.run(1'000);
      CHECK(node.heard.failures.back() == "watch: etcd: the watch was refused for a reason");
      world.etcd.answer_next(kWatch, "");
      world.etcd.cut_all();
      world.run(EtcdRegistry::kRequestTimeout + 5'000);
      CHECK(node.heard.failures.back().starts_with("watch: http: the server is silent"));
      world.etcd.put(lease_key("10.0.1.0-24"), kOne);
      world.run(10'000);
      CHECK(equal_to_truth(node, world.etcd));
      CHECK(node.heard.listings == 1);
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
    CHECK(node.heard.failures.empty());
    CHECK(world.etcd.requests() == 0);
    CHECK(world.loop.wakeups() - before <= 3 * kNotices);
  }

  TEST_CASE("connections that died without a word are given up when that is asked for, at no loss") {
    World world;
    Node node(world);
    node.follow();
    world.etcd.silence(true);
    node.registry.config.begin({});
    world.run(1'000);
    world.etcd.put("/net/config", kConfig);
    world.etcd.put(lease_key("10.0.1.0-24"), kOne);
    world.run(1'000);
    world.etcd.silence(false);
    node.registry.reconnect();
    world.run(100);
    CHECK(node.heard.configs == 1);
    CHECK(equal_to_truth(node, world.etcd));
    CHECK(node.heard.listings == 1);
    CHECK(node.heard.failures.empty());
    world.run(EtcdRegistry::kRequestTimeout);
    CHECK(node.heard.failures.empty());
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
    REQUIRE(node.heard.failures.size() == 1);
    CHECK(node.heard.failures[0].starts_with("watch: etcd: the watch says nothing"));
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

  TEST_CASE(
      "a watch that brought news was a good one: cuts that each follow one do not add up to a long wait") {
    World world;
    Node node(world);
    node.follow();
    for (int i = 0; i < 20; ++i) {
      world.etcd.put(lease_key(numbered(i)), kOne);
      world.run(1'000);
      REQUIRE(equal_to_truth(node, world.etcd));
      world.etcd.cut_all();
      world.run(10);
    }
    CHECK(node.heard.last_retry <= 2 * EtcdRegistry::kBackoffFirst);
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

  TEST_CASE("a server that compacts one revision more each time is not asked in a hot loop") {
    World world;
    for (int i = 0; i < 900; ++i) world.etcd.put("/elsewhere", "x");
    Node node(world);
    const auto gone = [](int revision) {
      const std::string lines = R"({"result":{"header":{"revision":"901"},"created":true}})"
                                "\n"
                                R"({"result":{"header":{},"canceled":true,"compact_revision":")" +
                                std::to_string(revision) + "\"}}\n";
      return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(lines.size()) + "\r\n\r\n" + lines;
    };
    for (int revision = 2; revision < 800; ++revision) world.etcd.answer_next(kWatch, gone(revision));
    node.registry.list();
    world.run(60'000);
    CHECK(world.etcd.requests(kWatch) < 60);
  }

  TEST_CASE(
      "a server that answers requests now and then and ends each watch at once is not asked in a hot loop") {
    World world;
    Node node(world);
    node.follow();
    (void)node.claim("10.0.200.0/24", kOne);
    world.run(10'000);
    const std::string lease = std::to_string(world.etcd.find(lease_key("10.0.200.0-24"))->lease);
    const auto answer = [](const std::string& status, const std::string& body) {
      return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    };
    for (int i = 0; i < 5'000; ++i) {
      world.etcd.answer_next(kWatch,
                             answer("200 OK", R"({"result":{"header":{"revision":"9"},"created":true}})"));
      world.etcd.answer_next(kKeepalive, answer("503 No", "no"));
      world.etcd.answer_next(kKeepalive,
                             answer("200 OK", R"({"result":{"ID":")" + lease + R"(","TTL":"600"}})"));
    }
    world.etcd.reset_counts();
    world.etcd.cut_all();
    world.run(60'000);
    CHECK(world.etcd.requests(kWatch) < 80);
  }

  TEST_CASE("answers that are none of etcd's are failure, and the next try counts") {
    World world;
    world.etcd.put("/net/config", kConfig);
    Node node(world);
    world.etcd.answer_next(kRange, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<html>\r\n\n");
    world.etcd.answer_next(
        kRange,
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nNot Found\n");
    world.etcd.answer_next(kRange, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"header\":{}");
    world.etcd.answer_next(kRange, "SSH-2.0-OpenSSH\r\n");
    node.registry.config.begin({});
    CHECK(world.run_until([&] { return node.heard.configs == 1; }));
    REQUIRE(node.heard.failures.size() == 4);
    CHECK(node.heard.failures[1] == "config: etcd: UNIMPLEMENTED (is the JSON gateway off?) Not Found");
  }

  TEST_CASE("each transition of the watch is a debug line") {
    World world;
    Node node(world);
    node.follow();
    world.run(10'000);
    world.etcd.cut_all();
    world.run(1'000);
    node.registry.stop();
    std::string states = "off";
    for (const std::string& line : world.log_lines.lines) {
      REQUIRE(line.starts_with("debug: watch: "));
      states += line.substr(line.find(" -> "));
    }
    CHECK(states ==
          "off -> waiting -> opening -> streaming -> stable -> waiting -> opening -> streaming -> off");
  }

  TEST_CASE("after stop there is no call and no byte more, also if it is called from a call") {
    World world;
    for (int i = 0; i < 700; ++i) world.etcd.put(lease_key(numbered(i)), kOne);
    Node node(world);
    node.heard.stop_on_record = &node.registry;
    node.registry.list();
    world.run(60'000);
    CHECK(node.heard.records == 1);
    CHECK(node.heard.listings + node.heard.aborts == 0);
    CHECK(world.etcd.requests() == 1);
    CHECK(world.loop.next_deadline() == -1);
  }
}

}  // namespace flannelette::registry
