// SPDX-License-Identifier: Apache-2.0
// The scripted API server says what a real one says, as far as the decoder of Nodes is concerned.
#include "sim/scripted_kube.hpp"

#include <doctest/doctest.h>

#include "flannelette/http/client.hpp"
#include "registry/kube/node_decoder.hpp"
#include "unit/manual_clock.hpp"

namespace flannelette::registry::kube {
namespace {

const char* const kMetadataOnly =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
const char* const kMetadataList =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
const std::string kPrefix = "flannel.alpha.coreos.com/";

/// Asks, and writes down what is answered.
class Asker final : private http::Client::Handler, private NodeDecoder::Sink {
 public:
  struct Question {
    std::string method, path;
    std::vector<http::Parameter> query{};
    const char* accept = "";
    std::string authorization{}, content_type{}, body{};
  };

  ManualClock clock;
  io::Loop loop{clock};
  tests::ScriptedKube kube{loop, clock};
  int status = 0;
  bool over = false;
  std::string heard, token;
  std::int64_t version = 0;
  PodCidrs cidrs;

  void ask(const Question& question) {
    status = 0;
    over = false;
    heard.clear();
    decoder_.reset(*this);
    const http::Header accept{"Accept", question.accept};
    http::Request request{.method = question.method, .path = question.path};
    request.query = question.query;
    request.headers = {&accept, 1};
    request.authorization = question.authorization;
    request.content_type = question.content_type;
    request.body = question.body;
    client_.request(*io::parse_endpoint("http://10.0.0.1:6443", 443), request, *this);
    run(1);
  }
  void run(Millis time) {
    const Millis end = clock.time + time;
    for (Millis next = loop.next_deadline(); next >= 0 && next <= end; next = loop.next_deadline()) {
      clock.time = std::max(clock.time, next);
      REQUIRE(loop.step(0));
    }
    clock.time = end;
  }
  void list(std::vector<http::Parameter> query = {}) {
    ask({"GET", "/api/v1/nodes", std::move(query), kMetadataList});
  }
  void watch(const std::string& from, const char* accept = kMetadataOnly) {
    ask({"GET",
         "/api/v1/nodes",
         {{"watch", "true"},
          {"resourceVersion", from},
          {"allowWatchBookmarks", "true"},
          {"timeoutSeconds", "300"}},
         accept});
  }
  void patch(const std::string& body) {
    ask({"PATCH",
         "/api/v1/nodes/a/status",
         {},
         kMetadataOnly,
         {},
         "application/strategic-merge-patch+json",
         body});
  }

 private:
  void on_head(const http::ResponseHead& head) override { status = head.status; }
  void on_body(std::string_view bytes) override {
    decoder_.feed(bytes);
    for (;;) {
      const NodeDecoder::Step step = decoder_.next();
      REQUIRE(step != NodeDecoder::Step::kBad);
      if (step == NodeDecoder::Step::kNeedMore) return;
      const Message& message = decoder_.message();
      if (message.resource_version != 0) version = message.resource_version;
      token = message.continue_token.view();
      if (message.kind == Kind::kStatus) heard += std::to_string(message.code) + " ";
      if (message.event == Event::kBookmark) heard += "bookmark ";
    }
  }
  void on_done() override { over = true; }
  void on_error(const Error& error, std::string_view) override { heard += error.context; }
  void on_node(const Node& node, Event event) override {
    const char* const kinds[] = {"", "+", "~", "-"};
    heard += kinds[static_cast<int>(event)] + std::string(node.name.view()) + (node.full ? "(full)" : "") +
             (node.network_available ? "(up)" : "") + " ";
    cidrs = node.pod_cidrs();
  }

  std::unique_ptr<io::Stream> stream_ = kube.make_stream();
  http::Client client_{loop, *stream_};
  AnnotationPrefix prefix_;
  std::array<char, NodeDecoder::kScratch> scratch_{};
  NodeDecoder decoder_{prefix_, scratch_};
};

}  // namespace

TEST_SUITE("tests/scripted_kube") {
  TEST_CASE("a list in pages is of one state, and says with a 410 where it goes on without it") {
    Asker a;
    for (const char* name : {"a", "b", "c", "d"}) a.kube.create(name, {"10.42.1.0/24", "fd00:1::/64"});
    const std::int64_t then = a.kube.revision();
    a.list({{"limit", "2"}});
    CHECK(a.heard == "a b ");
    CHECK(a.cidrs.v4 == parse_net4("10.42.1.0/24"));
    CHECK(a.cidrs.v6);
    a.kube.remove("c");
    const std::string token = a.token;
    a.list({{"limit", "2"}, {"continue", token}});
    CHECK(a.heard == "c d ");
    CHECK(a.version == then);
    CHECK(a.token.empty());
    a.kube.compact();
    a.list({{"limit", "2"}, {"continue", token}});
    CHECK(a.status == 410);
    CHECK(a.heard == "410 ");
    const std::string anyhow = a.token;
    a.list({{"limit", "2"}, {"continue", anyhow}});
    CHECK(a.heard == "d ");
    a.list({{"limit", "1"}, {"resourceVersion", "0"}});
    CHECK(a.heard == "a b d ");
    a.list({{"resourceVersion", "999999"}});
    CHECK(a.status == 504);
    CHECK(a.kube.requests("list") == 3);
    CHECK(a.kube.requests("page") == 3);
    CHECK(a.kube.bytes_sent("list") + a.kube.bytes_sent("page") == a.kube.bytes_sent());
  }

  TEST_CASE("a watch says what changes in the form that was asked for, bookmarks, and ends in order") {
    Asker a;
    a.kube.create("a", {"10.42.1.0/24"});
    SUBCASE("metadata") {
      a.watch(std::to_string(a.kube.revision()));
      a.kube.heartbeat("a");
      a.kube.recreate("a", {});
      a.run(1);
      CHECK(a.heard == "~a -a +a ");
    }
    SUBCASE("full") {
      a.watch(std::to_string(a.kube.revision()), "application/json");
      a.kube.annotate("a", {{"x", "y"}});
      a.run(1);
      CHECK(a.heard == "~a(full) ");
    }
    a.heard.clear();
    a.run(60'000);
    CHECK(a.heard == "bookmark ");
    CHECK(a.version == a.kube.revision());
    CHECK_FALSE(a.over);
    a.run(240'000);
    CHECK(a.over);
    CHECK(a.kube.watch_count() == 0);
    CHECK(a.kube.connections() == 1);
  }

  TEST_CASE("a watch of what is forgotten is told so in its first line, one of the future hears nothing") {
    Asker a;
    const std::string old = std::to_string(a.kube.revision());
    a.kube.create("a", {});
    a.kube.compact();
    a.watch(old);
    CHECK(a.status == 200);
    CHECK(a.heard == "410 ");
    CHECK(a.over);
    a.watch(std::to_string(a.kube.revision() + 5));
    a.kube.heartbeat("a");
    a.run(120'000);
    CHECK(a.heard.empty());
  }

  TEST_CASE("a patch merges, deletes with null, keeps other conditions, and is refused for another uid") {
    Asker a;
    a.kube.create("a", {"10.42.1.0/24"}, {{"x", "1"}, {"y", "2"}});
    a.patch(R"({"metadata":{"annotations":{"x":null,"z":"3"}}})");
    CHECK(a.status == 200);
    CHECK(a.heard == "a ");
    CHECK(a.kube.find("a")->annotations == tests::ScriptedKube::Texts{{"y", "2"}, {"z", "3"}});
    a.patch(R"({"status":{"conditions":[{"type":"NetworkUnavailable","status":"False"}]}})");
    CHECK(a.kube.find("a")->conditions.size() == 3);
    const std::int64_t before = a.kube.revision();
    a.patch(R"({"metadata":{"annotations":{"z":"3"}}})");
    CHECK(a.kube.revision() == before);
    a.patch(R"({"metadata":{"uid":"another","annotations":{"z":"4"}}})");
    CHECK(a.status == 422);
    a.kube.uid_is_conflict = true;
    a.patch(R"({"metadata":{"uid":"another","annotations":{"z":"4"}}})");
    CHECK(a.status == 409);
    CHECK(a.kube.annotation("a", "z") == "3");
    a.ask({"GET", "/api/v1/nodes/a", {}, "application/json"});
    CHECK(a.heard == "a(full)(up) ");
  }

  TEST_CASE("without a token nobody may do anything, with a wrong one nobody is known") {
    Asker a;
    a.kube.tokens = {"good"};
    const auto ask = [&](const char* authorization) {
      a.ask({"GET", "/api/v1/nodes", {}, kMetadataList, authorization});
      return a.status;
    };
    CHECK(ask("") == 403);
    CHECK(ask("Bearer bad") == 401);
    CHECK(ask("Bearer good") == 200);
    a.kube.denied = {"list nodes"};
    CHECK(ask("Bearer good") == 403);
    a.kube.denied.clear();
    a.ask({"GET", "/api/v1/nodes", {}, kMetadataOnly, "Bearer good"});
    CHECK(a.status == 406);  // a list in the form of one object
    a.kube.refuse_next("list", {429, "TooManyRequests", "too many requests", 3});
    CHECK(ask("Bearer good") == 429);
  }
}

}  // namespace flannelette::registry::kube
