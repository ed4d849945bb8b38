// SPDX-License-Identifier: Apache-2.0
// Requests are answered and the watch is not: behind a proxy that buffers answers, or one that refuses what
// it does not know.
#include "sim/kube_world.hpp"
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

constexpr Millis kHour = 3'600'000;
constexpr const char* kSentence = "requests are answered, the watch is not";

std::string html(const std::string& status) {
  const std::string body = "<html><head><title>" + status + "</title></head></html>";
  return "HTTP/1.1 " + status +
         "\r\nContent-Type: text/html\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// All is listed as long as it lasts, and never often. What says the same again writes nothing.
void check_lists(World& world, const SimNode& node, ScriptedServer& server, const char* list) {
  world.advance(kHour);
  const auto writes = node.kernel.writes;
  const auto files = node.files.writes;
  server.reset_counts();
  world.advance(10 * kHour);
  CHECK(node.kernel.writes == writes);
  CHECK(node.files.writes == files);
  const std::size_t lists = server.requests(list) / 2;  // each after a question whether it is needed
  CHECK(lists <= 10 * 12);
  CHECK(lists >= 10 * 9);
  CHECK(node.log.count(kSentence) <= 11 * 6 + 2);
}

}  // namespace

TEST_SUITE("agent/no_watch") {
  TEST_CASE("behind a proxy that answers requests and no watch a node sees who joins later and who goes") {
    World world;
    SUBCASE("it buffers the answer") { world.etcd.every_watch = ""; }
    SUBCASE("it buffers all but the head") {
      world.etcd.every_watch = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    }
    SUBCASE("it refuses with 403") { world.etcd.every_watch = html("403 Forbidden"); }
    SUBCASE("it refuses with 404") { world.etcd.every_watch = html("404 Not Found"); }
    SUBCASE("it answers 200 with a page of its own") { world.etcd.every_watch = html("200 OK"); }
    SUBCASE("it ends each stream after the first line") {
      const std::string line = R"({"result":{"header":{"revision":"9"},"created":true}})";
      world.etcd.every_watch =
          "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(line.size()) + "\r\n\r\n" + line;
    }
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.put_peer(250);
    REQUIRE(world.run_until([&] { return node.routes() == 1; }, 45'000));
    world.advance(2'000);
    CHECK(node.log.has(kSentence));

    check_lists(world, node, world.etcd, "/v3/kv/range");
    world.remove_peer(250);
    REQUIRE(world.run_until([&] { return node.routes() == 0; }, 400'000));

    // And its end, after which it is as if nothing had been.
    CHECK(!node.log.has("registry reachable again"));
    world.etcd.every_watch.reset();
    REQUIRE(world.run_until([&] { return node.log.has("registry reachable again"); }, 60'000));
    world.etcd.reset_counts();
    world.put_peer(251);
    REQUIRE(world.run_until([&] { return node.routes() == 1; }, 1'000));
    world.advance(kHour);
    CHECK(world.etcd.requests("/v3/kv/range") == 0);
  }

  TEST_CASE("an API server that answers requests and no watch: who joins later and who goes is seen") {
    KubeWorld world;
    SUBCASE("a proxy buffers the answer") { world.kube.every_watch = ""; }
    SUBCASE("a proxy refuses with 404") { world.kube.every_watch = html("404 Not Found"); }
    SUBCASE("a proxy answers 200 with a page of its own") { world.kube.every_watch = html("200 OK"); }
    SUBCASE("a proxy ends each stream at once") {
      world.kube.every_watch = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    }
    SUBCASE("the right to watch is missing") { world.kube.denied = {"watch nodes"}; }
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.add_peer(20);
    REQUIRE(world.run_until([&] { return node.routes() == 1; }, 45'000));
    world.advance(2'000);
    CHECK(node.log.has(kSentence));

    check_lists(world, node, world.kube, "list");
    world.remove_node(20);
    world.kube.remove_annotations("node-1", {kManager});
    REQUIRE(world.run_until([&] { return node.routes() == 0; }, 400'000));
    world.advance(2'000);
    CHECK(world.annotation(1, "kube-subnet-manager") == "true");

    CHECK(!node.log.has("registry reachable again"));
    world.kube.every_watch.reset();
    world.kube.denied.clear();
    REQUIRE(world.run_until([&] { return node.log.has("registry reachable again"); }, 60'000));
    world.kube.reset_counts();
    world.add_peer(21);
    REQUIRE(world.run_until([&] { return node.routes() == 1; }, 1'000));
    world.advance(kHour);
    CHECK(world.kube.requests("list") == 0);
  }

  TEST_CASE("after minutes without an API server the watch goes on, and nobody lists again") {
    KubeWorld world;
    std::vector<SimNode*> nodes;
    for (unsigned i = 1; i <= 20; ++i) nodes.push_back(&world.add_started(i));
    const auto all_know = [&](std::size_t routes) {
      bool all = true;
      for (SimNode* node : nodes) all = all && node->routes() == routes;
      return all;
    };
    REQUIRE(world.run_until([&] { return all_know(19); }));
    world.advance(10'000);
    SUBCASE("refusing") { world.kube.set_down(KubeWorld::kHost, true); }
    SUBCASE("silent") {
      world.kube.cut_all();
      world.advance(10);
      world.kube.silence(true);
    }
    world.advance(600'000);
    world.kube.set_down(KubeWorld::kHost, false);
    world.kube.silence(false);
    world.kube.cut_all();
    world.kube.reset_counts();
    world.add_peer(250);
    REQUIRE(world.run_until([&] { return all_know(20); }, 60'000));
    world.advance(kHour);
    // One question each, and at most a list by chance.
    CHECK(world.kube.requests("list") <= 20 + 2);
    for (SimNode* node : nodes) CHECK(!node->log.has(kSentence));
  }

  TEST_CASE("a claim is held and kept alive also without a watch") {
    World world;
    world.etcd.every_watch = "";
    SimNode& node = world.add_started(1);
    node.etcd_settings.lease_ttl_seconds = 600;
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(10 * kHour);
    CHECK(!world.value_of(node.key()).empty());
    world.etcd.remove(std::string(World::kPrefix) + "subnets/" + node.key());
    REQUIRE(world.run_until([&] { return !world.value_of(node.key()).empty(); }, 400'000));
  }

  TEST_CASE("after minutes without any answer the watch goes on where it stood, and nobody lists again") {
    World world;
    std::vector<SimNode*> nodes;
    for (unsigned i = 1; i <= 20; ++i) nodes.push_back(&world.add_started(i));
    REQUIRE(world.run_until_all_know_all());
    world.advance(10'000);
    SUBCASE("refusing") { world.etcd.set_down("10.0.0.1", true); }
    SUBCASE("silent") {
      world.etcd.cut_all();
      world.advance(10);
      world.etcd.silence(true);
    }
    world.advance(600'000);
    world.etcd.set_down("10.0.0.1", false);
    world.etcd.silence(false);
    world.etcd.cut_all();
    world.etcd.reset_counts();
    world.put_peer(250);
    REQUIRE(world.run_until(
        [&] {
          bool all = true;
          for (SimNode* node : nodes) all = all && node->routes() == 20;
          return all;
        },
        60'000));
    world.advance(kHour);
    // One question each, which found that requests are answered again, and at most a list by chance.
    CHECK(world.etcd.requests("/v3/kv/range") <= 20 + 2);
    for (SimNode* node : nodes) CHECK(!node->log.has(kSentence));
  }
}
