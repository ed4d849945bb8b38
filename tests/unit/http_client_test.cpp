// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "flannelette/http/client.hpp"
#include "unit/manual_clock.hpp"
#include "unit/scripted_stream.hpp"

using namespace flannelette;
using namespace flannelette::http;

namespace {

struct World;

struct Recorder final : Client::Handler {
  void on_head(const ResponseHead& head) override {
    log += std::to_string(head.status) + " ";
    if (in_head) in_head(*world);
  }
  void on_body(std::string_view bytes) override {
    log += bytes;
    if (in_body) in_body(*world);
  }
  void on_done() override {
    log += " done ";
    if (in_done) in_done(*world);
  }
  void on_error(const Error& error, std::string_view detail) override {
    log += std::string("error: ") + error.context;
    if (!detail.empty()) log += " (" + std::string(detail) + ")";
    code = error.code;
    if (in_error) in_error(*world);
  }
  using Action = void (*)(World&);
  World* world = nullptr;
  std::string log;
  Code code = Code::kInvalid;
  Action in_head = nullptr, in_body = nullptr, in_done = nullptr, in_error = nullptr;
};

struct World {
  World() { handler.world = second.world = this; }
  void post(Recorder& who, bool repeatable = true, Millis timeout = 1000,
            std::string_view path = "/v3/kv/range") {
    request.path = path;
    request.repeatable = repeatable;
    request.silence = timeout;
    client->request(endpoint, request, who);
  }
  void advance(Millis by) {
    clock.time += by;
    CHECK(loop.step(0));
  }
  void first_exchange() {
    post(handler);
    stream.accept();
    stream.give("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    REQUIRE(handler.log == "200  done ");
    handler.log.clear();
    stream.sent.clear();
  }

  ManualClock clock;
  io::Loop loop{clock};
  io::ScriptedStream stream;
  std::unique_ptr<Client> client = std::make_unique<Client>(loop, stream);
  Recorder handler, second;
  Request request{
      .method = "POST", .authorization = "token", .content_type = "application/json", .body = "{}"};
  io::Endpoint endpoint = *io::parse_endpoint("http://10.0.0.1:2379", 2379);
};

constexpr const char* kHello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

}  // namespace

TEST_SUITE("http/client") {
  TEST_CASE("a request has the head that a gateway needs") {
    World w;
    w.post(w.handler);
    CHECK(w.stream.opens == 1);
    CHECK(w.stream.sent == "");
    CHECK(w.client->busy());
    w.stream.accept();
    CHECK(w.stream.sent ==
          "POST /v3/kv/range HTTP/1.1\r\nHost: 10.0.0.1:2379\r\nUser-Agent: flannelette/" FLANNELETTE_VERSION
          "\r\nContent-Type: application/json\r\nContent-Length: 2\r\nAuthorization: token\r\n\r\n{}");
    w.stream.give(kHello);
    CHECK(w.handler.log == "200 hello done ");
    CHECK_FALSE(w.client->busy());
    w.endpoint = *io::parse_endpoint("https://[fd00::1]:1", 2379);
    w.stream.sent.clear();
    w.post(w.handler);
    w.stream.accept();
    CHECK(w.stream.sent.find("\r\nHost: [fd00::1]:1\r\n") != std::string::npos);
  }

  TEST_CASE("a request without a body says nothing of one; a query is percent-encoded") {
    World w;
    const Parameter query[] = {{"limit", "500"}, {"continue", "a/b c+d=é~"}, {"watch", ""}};
    const Header accept{"Accept", "application/json"};
    w.request = {
        .path = "/api/v1/nodes", .query = query, .headers = {&accept, 1}, .authorization = "Bearer x"};
    w.client->request(w.endpoint, w.request, w.handler);
    w.stream.accept();
    CHECK(
        w.stream.sent ==
        "GET /api/v1/nodes?limit=500&continue=a%2fb%20c%2bd%3d%c3%a9~&watch= HTTP/1.1\r\nHost: 10.0.0.1:2379"
        "\r\nUser-Agent: flannelette/" FLANNELETTE_VERSION
        "\r\nAuthorization: Bearer x\r\nAccept: application/json\r\n\r\n");
  }

  TEST_CASE("an empty body of a type is a body") {
    World w;
    w.request = {.method = "DELETE", .path = "/x", .content_type = "a/b"};
    w.client->request(w.endpoint, w.request, w.handler);
    w.stream.accept();
    CHECK(w.stream.sent.starts_with("DELETE /x HTTP/1.1\r\n"));
    CHECK(w.stream.sent.ends_with("\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n"));
  }

  TEST_CASE("a redirect is refused with where it leads, and the token goes nowhere") {
    for (const char* status : {"301 Moved Permanently", "302 Found", "307 Temporary Redirect"}) {
      World w;
      w.post(w.handler);
      w.stream.accept();
      w.stream.give(std::string("HTTP/1.1 ") + status + "\r\nLocation: https://login.example/?a\r\n\r\n");
      CHECK(w.handler.log == "error: http: redirected, which is not followed (https://login.example/?a)");
      CHECK(w.handler.code == Code::kUnsupported);
      CHECK_FALSE(w.stream.connected);
      CHECK(w.stream.opens == 1);
    }
  }

  TEST_CASE("the response comes after a 100 (Continue)") {
    World w;
    w.post(w.handler);
    w.stream.accept();
    w.stream.give("HTTP/1.1 100 Continue\r\n\r\n");
    CHECK(w.handler.log == "");
    w.stream.give(kHello);
    CHECK(w.handler.log == "200 hello done ");
  }

  TEST_CASE("a response split anywhere is the same") {
    const std::string text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      World w;
      w.post(w.handler);
      w.stream.accept();
      w.stream.give(text.substr(0, cut));
      w.stream.give(text.substr(cut));
      CHECK(w.handler.log == "200 hello done ");
      CHECK(w.stream.connected);
    }
  }

  TEST_CASE("the next request uses the same connection") {
    World w;
    w.first_exchange();
    w.post(w.handler);
    CHECK(w.stream.opens == 1);
    CHECK_FALSE(w.stream.sent.empty());
    w.stream.give(kHello);
    CHECK(w.handler.log == "200 hello done ");
  }

  TEST_CASE("another endpoint means another connection") {
    World w;
    w.first_exchange();
    w.endpoint = *io::parse_endpoint("http://10.0.0.2:2379", 2379);
    w.post(w.handler);
    CHECK(w.stream.opens == 2);
    CHECK(w.stream.to == w.endpoint);
    CHECK(w.stream.sent == "");
  }

  TEST_CASE("a connection that the server wants to close is closed after the response") {
    World w;
    w.post(w.handler);
    w.stream.accept();
    w.stream.give("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    CHECK(w.handler.log == "200  done ");
    CHECK_FALSE(w.stream.connected);
    w.post(w.second);
    CHECK(w.stream.opens == 2);
  }

  TEST_CASE("a body may end with the connection") {
    World w;
    w.post(w.handler);
    w.stream.accept();
    w.stream.give("HTTP/1.1 200 OK\r\n\r\nhel");
    w.stream.give("lo");
    w.stream.end();
    CHECK(w.handler.log == "200 hello done ");
  }

  TEST_CASE("a body that ends with a broken connection is an error") {
    World w;
    w.post(w.handler);
    w.stream.accept();
    w.stream.give("HTTP/1.1 200 OK\r\n\r\nhel");
    w.stream.end({Code::kSystem, 104, "read"});
    CHECK(w.handler.log == "200 helerror: read");
  }

  TEST_CASE("a response that is cut is an error, never sent again") {
    World w;
    w.first_exchange();
    w.post(w.handler);
    w.stream.give("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    w.stream.end();
    CHECK(w.handler.log == "200 helerror: http: the response was cut off");
    CHECK(w.handler.code == Code::kClosed);
    CHECK(w.stream.opens == 1);
  }

  TEST_CASE("bytes that nobody asked for end the connection") {
    World w;
    w.first_exchange();
    w.stream.give("HTTP/1.1 408 Request Timeout\r\n\r\n");
    CHECK_FALSE(w.stream.connected);
    CHECK(w.handler.log == "");
    w.post(w.handler);
    CHECK(w.stream.opens == 2);
    w.stream.accept();
    w.stream.give(std::string(kHello) + "more");
    CHECK(w.handler.log == "200 hello done ");
    CHECK_FALSE(w.stream.connected);
  }

  TEST_CASE("a stale connection: the request is sent once more on a new one") {
    World w;
    w.first_exchange();
    w.post(w.handler);
    const std::string request = w.stream.sent;
    w.stream.sent.clear();
    w.stream.end({Code::kSystem, 104, "read"});
    CHECK(w.handler.log == "");
    CHECK(w.stream.opens == 2);
    w.stream.accept();
    CHECK(w.stream.sent == request);
    SUBCASE("and succeeds") {
      w.stream.give(kHello);
      CHECK(w.handler.log == "200 hello done ");
    }
    SUBCASE("but not twice") {
      w.stream.end();
      CHECK(w.handler.log == "error: peer");
      CHECK(w.stream.opens == 2);
    }
  }

  TEST_CASE("what may not be repeated is not, nor what failed on a fresh connection") {
    World w;
    w.post(w.handler);
    w.stream.end({Code::kSystem, 111, "connect"});
    CHECK(w.handler.log == "error: connect");
    w.handler.log.clear();
    w.first_exchange();
    w.post(w.handler, false);
    w.stream.end();
    CHECK(w.handler.log == "error: peer");
    CHECK(w.stream.opens == 2);
  }

  TEST_CASE("a connection closed while idle is opened again for the next request") {
    World w;
    w.first_exchange();
    w.stream.end();
    CHECK(w.handler.log == "");
    w.post(w.handler);
    CHECK(w.stream.opens == 2);
  }

  TEST_CASE("silence ends a request, and each byte restarts it") {
    World w;
    w.post(w.handler);
    w.advance(900);
    w.stream.accept();
    w.advance(900);
    w.stream.give("HTTP/1.1 200 OK\r\n");
    w.advance(999);
    CHECK(w.handler.log == "");
    w.advance(1);
    CHECK(w.handler.log == "error: http: the server is silent");
    CHECK(w.handler.code == Code::kTimeout);
    CHECK_FALSE(w.stream.connected);
    CHECK(w.loop.next_deadline() == -1);
  }

  TEST_CASE("the allowed silence can be changed and lifted") {
    World w;
    w.post(w.handler);
    w.stream.accept();
    w.client->set_silence_limit(0);
    CHECK(w.loop.next_deadline() == -1);
    w.advance(100000);
    w.stream.give("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK(w.loop.next_deadline() == -1);
    w.client->set_silence_limit(50);
    w.advance(50);
    CHECK(w.handler.log == "200 error: http: the server is silent");
  }

  TEST_CASE("no timer is left after a response") {
    World w;
    w.first_exchange();
    CHECK(w.loop.next_deadline() == -1);
  }

  TEST_CASE("cancel ends a request without a word") {
    World w;
    w.post(w.handler);
    w.stream.accept();
    w.client->cancel();
    CHECK_FALSE(w.client->busy());
    CHECK_FALSE(w.stream.connected);
    w.advance(5000);
    CHECK(w.handler.log == "");
    w.post(w.second);
    CHECK(w.stream.opens == 2);
  }

  TEST_CASE("a request under way makes room for the next one") {
    World w;
    w.post(w.handler);
    w.stream.accept();
    w.post(w.second);
    CHECK(w.stream.opens == 2);
    w.stream.accept();
    w.stream.give(kHello);
    CHECK(w.handler.log == "");
    CHECK(w.second.log == "200 hello done ");
  }

  TEST_CASE("a handler may make the next request from on_done") {
    World w;
    w.handler.in_done = [](World& world) { world.post(world.second); };
    w.post(w.handler);
    w.stream.accept();
    w.stream.give(kHello);
    CHECK(w.client->busy());
    w.stream.give(kHello);
    CHECK(w.second.log == "200 hello done ");
    CHECK(w.stream.opens == 1);
  }

  TEST_CASE("a handler may make the next request from on_error") {
    World w;
    w.handler.in_error = [](World& world) { world.post(world.second); };
    w.post(w.handler);
    w.stream.end();
    CHECK(w.stream.opens == 2);
    w.stream.accept();
    w.stream.give(kHello);
    CHECK(w.second.log == "200 hello done ");
  }

  TEST_CASE("a handler may cancel, replace or destroy from any callback") {
    using Slot = Recorder::Action Recorder::*;
    constexpr Recorder::Action kActions[] = {
        [](World& w) { w.client->cancel(); },
        [](World& w) { w.post(w.second); },
        [](World& w) { w.client.reset(); },
    };
    for (Slot slot : {&Recorder::in_head, &Recorder::in_body, &Recorder::in_done, &Recorder::in_error}) {
      for (Recorder::Action action : kActions) {
        World w;
        w.handler.*slot = action;
        w.post(w.handler);
        w.stream.accept();
        w.stream.give(slot == &Recorder::in_error ? "nonsense\r\n" : kHello);
        if (w.client && w.client->busy()) {
          if (!w.stream.connected) w.stream.accept();
          w.stream.give(kHello);
          CHECK(w.second.log == "200 hello done ");
        }
        CHECK(w.handler.log.find(slot == &Recorder::in_error ? "error" : "200") == 0);
      }
    }
  }

  TEST_CASE("a malformed response is an error") {
    World w;
    w.post(w.handler);
    w.stream.accept();
    w.stream.give("SSH-2.0-OpenSSH\r\n");
    CHECK(w.handler.log == "error: http: this is no HTTP/1 response");
    CHECK_FALSE(w.stream.connected);
  }

  TEST_CASE("what cannot be sent is told later, not from within request()") {
    World w;
    std::string error, body;
    SUBCASE("a line end in a header") {
      const Header header{"X", "a\r\nY: z"};
      w.request.headers = {&header, 1};
      w.post(w.handler);
      error = "error: http: forbidden byte in a header";
    }
    SUBCASE("a line end in the authorization") {
      w.request.authorization = "a\r\nX: y";
      w.post(w.handler);
      error = "error: http: forbidden byte in a header";
    }
    SUBCASE("a blank in the path") {
      w.post(w.handler, true, 1000, "/a b");
      error = "error: http: forbidden byte in the path";
    }
    SUBCASE("a body that is too large") {
      body.assign(Client::kMaxRequest, 'x');
      w.request.body = body;
      w.post(w.handler);
      error = "error: http: the request is larger than 12 KiB";
    }
    SUBCASE("a stream that takes no more") {
      w.stream.full = true;
      w.post(w.handler);
      w.stream.accept();
      error = "error: full";
    }
    SUBCASE("also when a response to nothing comes in between") {
      w.first_exchange();
      w.post(w.handler, true, 1000, "");
      w.stream.give(kHello);
      error = "error: http: forbidden byte in the path";
      CHECK(w.handler.log == error);
      w.handler.log.clear();
      w.post(w.handler, true, 1000, "");
    }
    CHECK(w.handler.log == "");
    CHECK(w.client->busy());
    w.advance(0);
    CHECK(w.handler.log == error);
    CHECK_FALSE(w.client->busy());
  }

  TEST_CASE("a kept connection that takes no more is replaced") {
    World w;
    w.first_exchange();
    w.stream.full = true;
    w.post(w.handler);
    CHECK(w.stream.opens == 2);
    w.stream.full = false;
    w.stream.accept();
    w.stream.give(kHello);
    CHECK(w.handler.log == "200 hello done ");
  }
}
