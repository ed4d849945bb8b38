// SPDX-License-Identifier: Apache-2.0
// The API server refuses, breaks off, is busy or away: what is known stays, the load on it is small, and in
// the end everything is as it should be.
#include "sim/kube_world.hpp"
#include "support/rng.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

constexpr Millis kMinute = 60'000;
constexpr Millis kHour = 60 * kMinute;

/// From cut to cut. The sanitizers and emulators, under which all is ten times as slow, see some of what the
/// plain run sees.
#if defined(FLANNELETTE_SANITIZE)
constexpr std::size_t kStep = 7;
#else
const auto kStep = static_cast<std::size_t>(10 / rounds(10));
#endif

}  // namespace

TEST_SUITE("agent/kube_cut") {
  TEST_CASE("the first conversation is cut at each byte: the node joins, and its peers are programmed") {
    for (std::size_t cut = 0;; cut += kStep) {
      CAPTURE(cut);
      KubeWorld world;
      world.kube.filler = 100;
      world.kube.metadata_filler = 40;
      world.add_peer(250);
      world.add_peer(251);
      SimNode& node = world.add_started(1);
      world.kube.cut_after(cut);
      REQUIRE(world.run_until([&] { return node.running() && node.routes() == 2; }, 30'000));
      world.advance(10'000);
      REQUIRE(world.annotation(1, "backend-data") == KubeWorld::data_of(node.mac()));
      REQUIRE(node.log.lines.size() < 20);
      if (world.kube.cut_is_to_come()) break;
    }
  }

  TEST_CASE("a restart's conversation is cut at each byte: nothing right is touched or written") {
    KubeWorld world;
    world.kube.filler = 100;
    world.kube.metadata_filler = 40;
    for (unsigned i = 240; i < 244; ++i) world.add_peer(i);
    SimNode& node = world.add_joined(1);
    REQUIRE(node.routes() == 4);
    const std::string entries = node.entries();
    const auto writes = node.kernel.writes;
    const auto revision = world.kube.revision();
    for (std::size_t cut = 0;; cut += kStep) {
      CAPTURE(cut);
      node.stop();
      node.log.lines.clear();
      world.kube.cut_after(cut);
      node.start();
      REQUIRE(world.run_until([&] { return node.running() && node.counts().peers == 4; }, 30'000));
      world.advance(10'000);
      REQUIRE(node.entries() == entries);
      REQUIRE(node.kernel.writes == writes);
      REQUIRE(world.kube.revision() == revision);
      REQUIRE(node.log.lines.size() < 20);
      if (world.kube.cut_is_to_come()) break;
    }
  }

  TEST_CASE("a list of pages is cut at any byte: nobody is removed, and in the end all is as it should be") {
    KubeWorld world(KubeWorld::kWide);
    world.kube.filler = 0;
    world.kube.metadata_filler = 0;
    for (unsigned i = 0; i < 1'100; ++i) {
      world.kube.create("peer-" + std::to_string(i),
                        {"10." + std::to_string(100 + i / 250) + "." + std::to_string(i % 250) + ".0/24"},
                        KubeWorld::annotations_of(i));
    }
    SimNode& node = world.add_joined(1);
    REQUIRE(node.routes() == 1'100);
    const std::string entries = node.entries();
    const auto writes = node.kernel.writes;
    const std::size_t size = world.kube.bytes_sent("list") + world.kube.bytes_sent("page");
    for (std::size_t cut = 0; cut < size; cut += kStep * (1 + size / 60)) {
      CAPTURE(cut);
      node.stop();
      world.kube.clear_faults();
      node.start();
      world.kube.cut_after(cut);
      REQUIRE(world.run_until([&] { return node.running() && node.counts().peers == 1'100; }, 30'000));
      world.advance(6'000);
      REQUIRE(node.entries() == entries);
      REQUIRE(node.kernel.writes == writes);
    }
  }

  TEST_CASE("a watch is cut at each byte of its events: they are followed, and none is missed or undone") {
    KubeWorld world;
    world.kube.filler = 0;
    world.kube.metadata_filler = 40;
    bool pieces = false;
    SUBCASE("whole") {}
    SUBCASE("in pieces of a byte") { pieces = true; }
    world.add_peer(99);
    SimNode& node = world.add_joined(1);
    for (std::size_t cut = 0;; cut += kStep) {
      CAPTURE(cut);
      if (pieces) world.kube.piece = 1;
      world.kube.cut_after(cut);
      world.add_peer(20);
      world.kube.recreate("peer-99", {KubeWorld::cidr(99)}, KubeWorld::annotations_of(99));
      world.kube.annotate("peer-20", {{kData, KubeWorld::data_of(mac(21))}});
      world.advance(7'000);
      REQUIRE(node.has_peer(World::peer_subnet(20), mac(21), World::peer_ip(20)));
      REQUIRE(KubeWorld::has_peer(node, 99));
      REQUIRE(node.routes() == 2);
      world.kube.piece = 0;
      const bool last = world.kube.cut_is_to_come();
      world.remove_node(20);
      world.advance(7'000);
      REQUIRE(node.routes() == 1);
      if (last) break;
    }
    CHECK(world.kube.requests("list") == 1);
  }

  TEST_CASE("cuts, refusals, compactions at random while Nodes come and go: it always converges") {
    Rng rng;
    KubeWorld world;
    world.kube.filler = 200;
    world.kube.strip_managed_fields = rng.one_in(3);
    SimNode& node = world.add_joined(1);
    const char* const kinds[] = {"list", "watch", "node", "patch"};
    for (int round = 0; round < rounds(200); ++round) {
      if (rng.one_in(2)) world.kube.cut_after(rng.below(6'000));
      world.kube.piece = rng.one_in(4) ? 1 + rng.below(40) : 0;
      for (std::uint64_t i = rng.below(6); i > 0; --i) {
        const auto third = static_cast<unsigned>(2 + rng.below(40));
        const std::string name = KubeWorld::peer_name(third);
        if (world.kube.find(name) == nullptr) {
          world.add_peer(third);
        } else if (rng.one_in(3)) {
          world.kube.remove(name);
        } else if (rng.one_in(3)) {
          world.kube.recreate(name, {KubeWorld::cidr(third + (rng.one_in(2) ? 100 : 0))},
                              KubeWorld::annotations_of(third));
        } else if (rng.one_in(2)) {
          world.kube.heartbeat(name);
        } else {
          world.kube.annotate(name, {{kManager, rng.one_in(2) ? "true" : "false"}});
        }
        world.advance(static_cast<Millis>(rng.below(50)));
      }
      if (rng.one_in(10)) world.kube.compact();
      if (rng.one_in(10)) world.kube.cut_all();
      if (rng.one_in(10)) world.kube.restart(rng.one_in(2));
      if (rng.one_in(10)) world.kube.end_watches();
      if (rng.one_in(8)) world.kube.remove_annotations("node-1", {kManager});
      if (rng.one_in(6)) {
        const int codes[] = {401, 403, 409, 410, 429, 500, 503, 504};
        world.kube.refuse_next(kinds[rng.below(4)],
                               {codes[rng.below(8)], "Because", "chance", static_cast<int>(rng.below(3))});
      }
      if (rng.one_in(15)) world.kube.lose_answer(kinds[rng.below(4)], rng.one_in(2));
      if (rng.one_in(20)) node.restart();
      world.advance(static_cast<Millis>(rng.below(3'000)));
    }
    world.kube.clear_faults();
    std::size_t peers = 0;
    for (const auto& [name, it] : world.kube.nodes()) {
      const auto manager = it->annotations.find(kManager);
      peers += name.starts_with("peer-") && manager->second == "true";
    }
    REQUIRE_MESSAGE(world.run_until([&] { return node.running() && node.routes() == peers; }, kMinute),
                    node.routes(), " routes for ", peers, " peers\n", node.log.text());
    world.advance(10'000);
    CHECK(node.routes() == peers);
    // Who wipes annotations that often is answered with a back-off.
    CHECK(world.run_until([&] { return world.annotation(1, "kube-subnet-manager") == "true"; }, 90'000));
  }
}

TEST_SUITE("agent/kube_refused") {
  TEST_CASE(
      "flanneld needs 86 s here: a rotated token is used at once on a 401, for requests and the watch") {
    KubeWorld world;
    SimNode& node = world.add(1);
    world.use_token(node, "token-one");
    world.kube.tokens = {"token-one"};
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1 && world.kube.watch_count() == 1; }));
    world.advance(10'000);
    world.kube.tokens = {"token-two"};
    node.files.all[KubeWorld::kTokenFile] = "token-two\n";
    SUBCASE("the watch") {
      world.kube.end_watches();
      world.add_peer(20);
      world.advance(1'500);
      CHECK(KubeWorld::has_peer(node, 20));
    }
    SUBCASE("a request") {
      world.kube.remove_annotations("node-1", {kManager});
      world.advance(1'500);
      CHECK(world.annotation(1, "kube-subnet-manager") == "true");
    }
    SUBCASE("a list") {
      world.kube.fail_watches({410, "Expired", "too old"});
      world.add_peer(20);
      world.advance(1'500);
      CHECK(KubeWorld::has_peer(node, 20));
    }
    CHECK_FALSE(node.log.has("does not accept our credentials"));
  }

  TEST_CASE(
      "a token that comes some time after it was needed is used within 5 s, for requests and the watch") {
    KubeWorld world;
    SimNode& node = world.add(1);
    world.use_token(node, "token-0");
    world.kube.tokens = {"token-0"};
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1 && world.kube.watch_count() == 1; }));
    for (unsigned i = 1; i < 20; ++i) {
      CAPTURE(i);
      const std::string token = "token-" + std::to_string(i);
      world.kube.tokens = {token};
      world.kube.end_watches();
      world.kube.remove_annotations("node-1", {kManager});
      world.add_peer(20 + i);
      world.advance(static_cast<Millis>(3'000 * i + 137 * i));
      node.files.all[KubeWorld::kTokenFile] = token;
      CHECK(world.run_until([&] { return KubeWorld::has_peer(node, 20 + i); }, 5'000));
      CHECK(world.run_until([&] { return world.annotation(1, "kube-subnet-manager") == "true"; }, 5'000));
      world.advance(60'000);
    }
  }

  TEST_CASE("a token that is no good is said, asked again with patience, and in no line") {
    KubeWorld world;
    SimNode& node = world.add(1);
    world.use_token(node, "secret-one");
    world.kube.tokens = {"secret-two"};
    node.settings.log_level = Level::kDebug;
    node.start();
    world.advance(10 * kMinute);
    CHECK(node.log.has("does not accept our credentials"));
    CHECK(world.kube.requests() < 10 * 60 / 2);
    CHECK(node.log.count("warning:") < 30);
    node.files.all[KubeWorld::kTokenFile] = "secret-two";
    CHECK(world.run_until([&] { return node.ready_count() == 1; }, 7'000));
    for (int i = 0; i < 10; ++i) {
      world.kube.cut_after(static_cast<std::size_t>(i * 37));
      world.kube.cut_all();
      world.advance(10'000);
    }
    CHECK_FALSE(node.log.has("secret-"));
  }

  TEST_CASE(
      "in a Pod: the Service's address that kube-proxy has not set up yet is called that; then all is well") {
    constexpr const char* kAccount = "/var/run/secrets/kubernetes.io/serviceaccount/";
    KubeWorld world;
    SimNode& node = world.add(1);
    node.kube_settings->server_count = 0;
    node.kube_settings->service_host = "10.43.0.1";
    node.files.all[kAccount + std::string("token")] = "of-the-pod\n";
    node.files.all[kAccount + std::string("ca.crt")] = "-----BEGIN CERTIFICATE-----\n";
    world.kube.tokens = {"of-the-pod"};
    world.kube.set_down("10.43.0.1", true);
    node.start();
    world.advance(2 * kMinute);
    CHECK(node.log.has("kube-proxy"));
    CHECK(node.log.lines.size() < 12);
    world.kube.set_down("10.43.0.1", false);
    CHECK(world.run_until([&] { return node.ready_count() == 1; }, 6'000));
    // The kubelet replaces the token before it ends.
    world.advance(10'000);
    node.files.all[kAccount + std::string("token")] = "another";
    world.kube.tokens = {"another"};
    world.kube.end_watches();
    world.add_peer(20);
    CHECK(world.run_until([&] { return KubeWorld::has_peer(node, 20); }, 2'000));
    CHECK_FALSE(node.log.has("credentials"));
  }

  TEST_CASE("a server that asks for time is given it, up to a minute, and is no failure of the data plane") {
    struct {
      int code, retry_after;
      Millis least, most;
    } const all[] = {{429, 7, 7'000, 17'000},
                     {504, 1, 1'000, 8'000},
                     {503, 0, 0, 6'000},
                     {500, 0, 0, 6'000},
                     {429, 3'600, 60'000, 96'000}};
    for (const auto& each : all) {
      for (const std::string kind : {"list", "watch"}) {
        CAPTURE(each.code);
        CAPTURE(each.retry_after);
        CAPTURE(kind);
        KubeWorld world;
        world.add_peer(99);
        SimNode& node = world.add_joined(1);
        const auto writes = node.kernel.writes;
        if (kind == "list") {
          world.kube.fail_watches({410, "Expired", "too old"});
        } else {
          world.kube.end_watches();
        }
        world.kube.reset_counts();
        world.kube.refuse_next(kind, {each.code, "Busy", "please wait", each.retry_after});
        REQUIRE(world.run_until([&] { return world.kube.requests(kind) == 1; }, 2'000));
        const Millis asked = world.clock.time;
        REQUIRE(world.run_until([&] { return world.kube.requests(kind) == 2; }, 100'000));
        CHECK(world.clock.time - asked >= each.least);
        CHECK(world.clock.time - asked <= each.most);
        world.add_peer(20);
        REQUIRE(world.run_until([&] { return KubeWorld::has_peer(node, 20); }, 7'000));
        CHECK(node.kernel.writes - writes <= 6);
        CHECK(KubeWorld::has_peer(node, 99));
      }
    }
  }

  TEST_CASE("answers that are no answers change nothing, and the next one is taken") {
    const auto html = [](const std::string& status) {
      const std::string body = "<html>" + status + "</html>";
      return "HTTP/1.1 " + status +
             "\r\nContent-Type: text/html\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
             body;
    };
    const std::string json_head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
    const std::string foreign = R"({"kind":"PodList","metadata":{"resourceVersion":"7"},"items":[]})";
    const std::string torn = R"({"kind":"NodeList","metadata":{"resourceVersion":"7"},"items":[)";
    for (const std::string& raw :
         {html("200 OK"), html("403 Forbidden"), html("502 Bad Gateway"), json_head + "0\r\n\r\n",
          json_head + "2\r\n\r\n{}", json_head + std::to_string(foreign.size()) + "\r\n\r\n" + foreign,
          json_head + std::to_string(torn.size()) + "\r\n\r\n" + torn, std::string("SSH-2.0-OpenSSH\r\n")}) {
      for (const std::string kind : {"list", "watch", "node", "patch"}) {
        CAPTURE(raw);
        CAPTURE(kind);
        KubeWorld world;
        for (unsigned i = 98; i < 100; ++i) world.add_peer(i);
        SimNode& node = world.add_started(1);
        world.kube.answer_next(kind, raw);
        REQUIRE(world.run_until([&] { return node.running() && node.routes() == 2; }, 20'000));
        world.advance(20'000);
        const auto writes = node.kernel.writes;
        world.kube.fail_watches({410, "Expired", "too old"});
        world.kube.answer_next(kind, raw);
        world.advance(20'000);
        CHECK(node.kernel.writes == writes);
        CHECK(node.routes() == 2);
      }
    }
  }

  TEST_CASE("a URL that is no API server's is said, and asked again with patience") {
    KubeWorld world;
    SimNode& node = world.add(1);
    world.kube.refuse_all = ScriptedKube::Refusal{404, "NotFound", "the server could not find the resource"};
    node.start();
    world.advance(10 * kMinute);
    CHECK(node.log.has("could not find the resource"));
    CHECK(world.kube.requests() < 10 * 60 / 2);
    CHECK(node.log.lines.size() < 40);
    world.kube.refuse_all.reset();
    CHECK(world.run_until([&] { return node.ready_count() == 1; }, 7'000));
  }

  TEST_CASE("a server that forgets faster than it is listed is not asked without pause") {
    KubeWorld world;
    world.add_peer(99);
    SimNode& node = world.add_joined(1);
    const auto writes = node.kernel.writes;
    world.kube.reset_counts();
    for (int i = 0; i < 6'000; ++i) {
      world.kube.pass_revisions(1);
      world.kube.compact();
      world.kube.end_watches();
      world.advance(100);
    }
    CHECK(world.kube.requests("list") < 10 * 60);
    CHECK(node.kernel.writes == writes);
    CHECK(KubeWorld::has_peer(node, 99));
    world.add_peer(20);
    CHECK(world.run_until([&] { return KubeWorld::has_peer(node, 20); }, 7'000));
  }

  TEST_CASE("lines of a watch that say nothing of Nodes are passed over") {
    KubeWorld world;
    world.add_peer(99);
    SimNode& node = world.add_joined(1);
    world.kube.send_line(R"({"type":"SOMETHING","object":{"kind":"Node","metadata":{"name":"x"}}})");
    world.kube.send_line(R"({"type":"ADDED","object":{"kind":"Table","metadata":{},"rows":[]}})");
    world.kube.send_line("{}");
    world.kube.send_line("");
    world.add_peer(20);
    world.advance(3'000);
    CHECK(KubeWorld::has_peer(node, 20));
    CHECK(KubeWorld::has_peer(node, 99));
    // A watch that breaks off in words of its own is asked for again.
    world.kube.send_line("tcp reset by somebody");
    world.add_peer(21);
    CHECK(world.run_until([&] { return KubeWorld::has_peer(node, 21); }, 6'000));
    world.kube.fail_watches({500, "InternalError", "etcdserver: no leader"});
    world.add_peer(22);
    CHECK(world.run_until([&] { return KubeWorld::has_peer(node, 22); }, 6'000));
    CHECK(world.kube.requests("list") <= 2);
  }
}

TEST_SUITE("agent/kube_load") {
  TEST_CASE("heartbeats of 100 nodes: no kernel write, no state write, no request, no line") {
    KubeWorld world;
    for (unsigned i = 20; i < 120; ++i) world.add_peer(i);
    SimNode& node = world.add_joined(1);
    REQUIRE(node.routes() == 100);
    world.advance(2 * kMinute);
    const auto writes = node.kernel.writes;
    const auto dumps = node.kernel.dumps;
    const auto files = node.files.writes;
    const auto lines = node.log.lines.size();
    world.kube.reset_counts();
    for (int i = 0; i < 30; ++i) {
      world.kube.heartbeat_all();
      world.advance(10'000);
    }
    CHECK(node.kernel.writes == writes);
    CHECK(node.kernel.dumps - dumps <= 5);  // audits
    CHECK(node.files.writes == files);
    CHECK(node.log.lines.size() == lines);
    CHECK(world.kube.requests() <= 2);  // the watch, opened again
    CHECK(world.kube.requests("watch") == world.kube.requests());
  }

  TEST_CASE("a quiet day: the watch is opened again every five to ten minutes, nothing else is asked") {
    KubeWorld world;
    for (unsigned i = 20; i < 30; ++i) world.add_peer(i);
    SimNode& node = world.add_joined(1);
    world.advance(10 * kMinute);
    world.kube.reset_counts();
    const auto lines = node.log.lines.size();
    const auto wakeups = world.wakeups();
    const auto sent = world.kube.events_sent();
    world.advance(24 * kHour);
    const std::size_t watches = world.kube.requests("watch");
    CHECK(watches >= 24 * 6);
    CHECK(watches <= 24 * 12);
    CHECK(world.kube.requests() == watches);
    CHECK(node.log.lines.size() == lines);
    CHECK(world.kube.connections() <= 2);
    // Bookmarks are the server's, and each is a turn of its own there and here.
    const std::uint64_t bookmarks = world.kube.events_sent() - sent;
    CHECK(world.wakeups() - wakeups <= 2 * 60 * 24 + 2 * bookmarks);
  }

  TEST_CASE("a day in which nothing changes at all, and so no bookmark comes, costs no list of all Nodes") {
    KubeWorld world;
    world.kube.bookmark_every = 0;
    for (unsigned i = 20; i < 120; ++i) world.add_peer(i);
    SimNode& node = world.add_joined(1);
    const auto writes = node.kernel.writes;
    const auto lines = node.log.lines.size();
    world.kube.reset_counts();
    world.kube.before_end_bookmark = false;
    world.advance(24 * kHour);
    CHECK(world.kube.requests("page") == 0);
    CHECK(world.kube.bytes_sent("list") < 3'000 * world.kube.requests("list"));
    CHECK(world.kube.requests() <= 2 * 24 * 12);
    CHECK(node.kernel.writes == writes);
    CHECK(node.log.lines.size() == lines);
    world.add_peer(120);
    world.advance(2'000);
    CHECK(KubeWorld::has_peer(node, 120));
  }

  TEST_CASE("what the watch tells is not asked for: a hundred changes are a hundred events") {
    KubeWorld world;
    SimNode& node = world.add_joined(1);
    world.kube.reset_counts();
    for (unsigned i = 20; i < 120; ++i) world.add_peer(i);
    world.advance(1'000);
    CHECK(node.routes() == 100);
    CHECK(world.kube.requests() == 0);
    CHECK(world.kube.bytes_sent() < 100 * 2'600);
  }

  TEST_CASE("an API server that is away for a day: the data plane stays, and log and noise are small") {
    KubeWorld world;
    world.add_peer(99);
    SimNode& node = world.add_joined(1);
    const auto writes = node.kernel.writes;
    SUBCASE("refusing") { world.kube.set_down(KubeWorld::kHost, true); }
    SUBCASE("silent") {
      world.kube.cut_all();
      world.advance(10);
      world.kube.silence(true);
    }
    SUBCASE("refusing each request") {
      world.kube.refuse_all = ScriptedKube::Refusal{503, "ServiceUnavailable", "apiserver not ready"};
      world.kube.cut_all();
    }
    world.kube.reset_counts();
    world.advance(24 * kHour);
    CHECK(node.kernel.writes == writes);
    CHECK(KubeWorld::has_peer(node, 99));
    CHECK(world.kube.connections() <= 24 * 3'600 / 2);
    CHECK(node.log.lines.size() < 24 * 60);
    world.kube.set_down(KubeWorld::kHost, false);
    world.kube.silence(false);
    world.kube.refuse_all.reset();
    world.add_peer(20);
    CHECK(world.run_until([&] { return KubeWorld::has_peer(node, 20); }, 40'000));
    world.advance(6'000);
    CHECK(node.log.has("registry reachable again"));
  }

  TEST_CASE("nodes that come back together do not come in step") {
    KubeWorld world;
    for (unsigned i = 1; i <= 20; ++i) world.add_started(i);
    REQUIRE(world.run_until_all_know_all());
    world.advance(10'000);
    world.kube.set_down(KubeWorld::kHost, true);
    world.advance(kMinute);
    world.kube.compact(world.kube.revision());
    world.kube.set_down(KubeWorld::kHost, false);
    world.kube.reset_counts();
    std::size_t most = 0;
    for (int i = 0; i < 60; ++i) {
      const std::size_t before = world.kube.requests();
      world.advance(100);
      most = std::max(most, world.kube.requests() - before);
    }
    CHECK(world.kube.watch_count() == 20);
    CHECK(most <= 10);
  }

  TEST_CASE("the agent of a k3s node, on the loopback, restarts now and then: changes are followed soon") {
    KubeWorld world;
    SimNode& node = world.add(1);
    node.kube_settings->servers[0] = {false, {"127.0.0.1"}, 6444};
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(6'000);
    CHECK_FALSE(node.log.has("error:"));
    CHECK_FALSE(node.log.has("warning:"));
    for (unsigned i = 20; i < 40; ++i) {
      world.kube.set_down("127.0.0.1", true);
      world.advance(i * 500);
      world.add_peer(i);
      world.kube.set_down("127.0.0.1", false);
      CHECK(world.run_until([&] { return KubeWorld::has_peer(node, i); }, 6'000));
      world.advance(20'000);
    }
    CHECK(world.kube.requests("list") == 1);
    CHECK(node.ready_count() == 1);
  }

  TEST_CASE("one server of several is down: another one is asked") {
    KubeWorld world;
    SimNode& node = world.add(1);
    node.kube_settings->servers[1] = {false, {"10.0.0.2"}, 6443};
    node.kube_settings->server_count = 2;
    world.add_peer(99);
    world.kube.set_down("10.0.0.1", true);
    node.start();
    REQUIRE(
        world.run_until([&] { return node.ready_count() == 1 && world.kube.watch_count() == 1; }, 15'000));
    world.kube.set_down("10.0.0.1", false);
    world.kube.set_down("10.0.0.2", true);
    world.add_peer(20);
    CHECK(world.run_until([&] { return KubeWorld::has_peer(node, 20); }, 12'000));
  }
}

TEST_SUITE("agent/kube_degraded") {
  TEST_CASE("after a reboot without the API server the node comes up as it was, and is put right by it") {
    KubeWorld world;
    world.add_peer(20);
    world.add_peer(21);
    SimNode& node = world.add_joined(1);
    world.advance(70'000);
    const Mac mac = node.mac();
    const std::string entries = node.entries(), env = node.subnet_env();
    world.kube.set_down(KubeWorld::kHost, true);
    node.reboot();
    REQUIRE(node.device() == nullptr);
    REQUIRE(world.run_until([&] { return node.ready_count() == 2; }, 2'000));
    CHECK(node.mac() == mac);
    CHECK(node.entries() == entries);
    CHECK(node.subnet_env() == env);
    world.advance(kHour);
    CHECK(node.log.count("degraded") == 1);

    const auto writes = node.kernel.writes;
    const bool changed = node.log.lines.empty();
    SUBCASE("nothing has changed") {
      world.kube.set_down(KubeWorld::kHost, false);
      REQUIRE(world.run_until([&] { return node.running(); }, 7'000));
      world.advance(2'000);
      CHECK(node.kernel.writes == writes);
      CHECK(node.entries() == entries);
    }
    SUBCASE("peers and our podCIDR have changed") {
      world.remove_node(20);
      world.add_peer(22);
      world.kube.recreate("node-1", {KubeWorld::cidr(9)});
      world.kube.set_down(KubeWorld::kHost, false);
      REQUIRE(world.run_until([&] { return node.running(); }, 7'000));
      world.advance(2'000);
      CHECK(node.subnet() == World::peer_subnet(9));
      CHECK(node.routes() == 2);
      CHECK(KubeWorld::has_peer(node, 22));
      CHECK(world.annotation(1, "backend-data") == KubeWorld::data_of(mac));
    }
    CHECK_FALSE(changed);
    CHECK(node.log.count("no longer degraded") == 1);
  }

  TEST_CASE("a restart of the program without the API server touches nothing, and goes on with it") {
    KubeWorld world;
    world.add_peer(20);
    SimNode& node = world.add_joined(1);
    world.advance(70'000);
    const auto writes = node.kernel.writes;
    world.kube.set_down(KubeWorld::kHost, true);
    node.restart();
    world.advance(10 * kMinute);
    CHECK(node.ready_count() == 2);
    CHECK(node.kernel.writes == writes);
    world.add_peer(21);
    world.kube.set_down(KubeWorld::kHost, false);
    CHECK(world.run_until([&] { return KubeWorld::has_peer(node, 21) && node.running(); }, 7'000));
    CHECK(KubeWorld::has_peer(node, 20));
  }

  TEST_CASE("a cluster that is made anew with the same addresses: in the end each node is what it says") {
    KubeWorld world;
    world.add_peer(20);
    SimNode& node = world.add_joined(1);
    world.kube.wipe();
    world.advance(20'000);
    world.kube.create("node-1", {KubeWorld::cidr(5)});
    world.kube.create("peer-20", {KubeWorld::cidr(6)}, KubeWorld::annotations_of(20));
    world.advance(12 * kMinute);
    CHECK(node.subnet() == World::peer_subnet(5));
    CHECK(node.has_peer(World::peer_subnet(6), mac(20), World::peer_ip(20)));
    CHECK(node.routes() == 1);
    CHECK(world.annotation(1, "backend-data") == KubeWorld::data_of(node.mac()));
  }

  TEST_CASE("no node is ready before the first complete list, and none removes anybody before") {
    KubeWorld world(KubeWorld::kWide);
    world.kube.filler = 0;
    for (unsigned i = 0; i < 1'200; ++i) {
      world.kube.create("peer-" + std::to_string(i),
                        {"10." + std::to_string(100 + i / 250) + "." + std::to_string(i % 250) + ".0/24"},
                        KubeWorld::annotations_of(i));
    }
    SimNode& node = world.add(1);
    for (int i = 0; i < 2; ++i) {
      CAPTURE(i);
      const std::size_t routes = node.routes();
      world.kube.reset_counts();
      for (int page = 0; page < 40; ++page) world.kube.refuse_next("page", {503, "No", "not yet"});
      node.start();
      REQUIRE(world.run_until([&] { return world.kube.requests("page") >= 1; }, 10'000));
      world.advance(500);
      CHECK(node.ready_count() == i);
      CHECK(node.routes() == routes);
      world.kube.clear_faults();
      REQUIRE(world.run_until([&] { return node.ready_count() == i + 1; }, 20'000));
      CHECK(node.routes() == 1'200);
      world.advance(70'000);
      node.stop();
    }
  }
}
