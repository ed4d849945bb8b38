// SPDX-License-Identifier: Apache-2.0
// A session with requests that speak no registry's language: which server, when, and what is reported.
#include "registry/session.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "unit/manual_clock.hpp"
#include "unit/scripted_stream.hpp"

using namespace flannelette;
using namespace flannelette::registry;

namespace {

class Listener final : public MembershipListener {
 public:
  void on_config(const overlay::NetworkConfig&) override {}
  void on_config_problem(const overlay::ConfigProblem&, std::string_view) override {}
  void on_config_missing() override {}
  void on_joined(const Membership&) override {}
  void on_left(const Left&) override {}
  void on_failure(const Failure& failure) override {
    log.push_back(std::string(failure.operation) + " failed: " + failure.error.context);
    retry_in = failure.retry_in;
  }
  void on_working(std::string_view server) override { log.push_back("working: " + std::string(server)); }
  void on_server_address(const Ip&) override {}

  std::vector<std::string> take() { return std::exchange(log, {}); }
  std::vector<std::string> log;
  Millis retry_in = 0;
};

/// 2xx is an answer, 4xx a refusal, all else is lost; its body is what the test looks at.
class PlainResponse final : public Response {
 public:
  void on_head(const http::ResponseHead& head) override {
    status_ = head.status;
    retry_after_ = static_cast<Millis>(head.retry_after) * 1000;
    body.clear();
  }
  void on_body(std::string_view bytes) override { body += bytes; }
  Verdict end(Status& status) const override {
    if (status_ / 100 == 2) return Verdict::kAnswer;
    const Code code = status_ == 401 || status_ == 403 ? Code::kDenied : Code::kConflict;
    status = {{code, 0, "the server says no"}, status_, std::string_view(body), retry_after_};
    return status_ / 100 == 4 ? Verdict::kRefusal : Verdict::kLost;
  }
  std::string body;

 private:
  int status_ = 0;
  Millis retry_after_ = 0;
};

class Fetch final : public Request {
 public:
  Fetch(const char* path, PlainResponse& response) : Request(path), path_(path), response_(response) {}
  using Request::want;

  Outcome answer = Outcome::kDone;  // what an answer comes to
  Outcome refusal = Outcome::kRefused;
  bool may_go = true, silent = false;
  int answers = 0, refusals = 0, losses = 0;

 private:
  bool ready() const override { return may_go; }
  Call compose(json::Writer&) override {
    return {.request = {.path = path_}, .limit = 5'000, .response = &response_};
  }
  Outcome on_answer() override {
    ++answers;
    if (answer.kind == Outcome::kDone) done();
    return answer;
  }
  Outcome on_refusal(const Status&) override {
    ++refusals;
    return refusal;
  }
  bool on_lost(const Status&) override {
    ++losses;
    return std::exchange(silent, false);
  }

  const char* path_;
  PlainResponse& response_;
};

/// A good part of whatever is asked for.
class SomeRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> bytes) override { std::ranges::fill(bytes, std::uint8_t{0x55}); }
};

struct World {
  explicit World(Backoff backoff = {100, 30'000}, Random* chance = nullptr)
      : random(chance != nullptr ? *chance : none),
        session(loop, random, stream, health, servers, backoff, kMaxRetryAfter) {
    health.set_listener(listener);
    session.serve(requests);
  }
  void want(Fetch& request) {
    request.want(clock.time);
    session.schedule();
    advance(0);
  }
  void advance(Millis by) {
    clock.time += by;
    CHECK(loop.step(0));
  }
  /// The path of what was sent since, empty if nothing was.
  std::string asked() {
    if (stream.listener != nullptr && !stream.connected) stream.accept();
    const std::string sent = std::exchange(stream.sent, {});
    const auto from = sent.find('/');
    return from == sent.npos ? "" : sent.substr(from, sent.find(' ', from) - from);
  }
  static constexpr Millis kMaxRetryAfter = 60'000;
  /// `status` may have header lines behind it.
  void respond(const char* status, std::string_view body = "ok") {
    stream.give("HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\n\r\n" + std::string(body));
    advance(0);
  }

  ManualClock clock;
  NoRandom none;
  Random& random;
  io::Loop loop{clock};
  io::ScriptedStream stream;
  Listener listener;
  Health health;
  const std::array<io::Endpoint, 2> servers{*io::parse_endpoint("http://10.0.0.1:1", 1),
                                            *io::parse_endpoint("http://10.0.0.2:2", 1)};
  Session session;
  PlainResponse response;
  Fetch first{"/first", response}, second{"/second", response};
  const std::array<Request*, 2> requests{&first, &second};
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_SUITE("registry/session") {
  TEST_CASE("requests go one at a time, the most important first, over one connection") {
    World w;
    w.second.want(w.clock.time);
    w.want(w.first);
    CHECK(w.asked() == "/first");
    CHECK(w.asked() == "");
    w.respond("200 OK", "1");
    CHECK(w.first.answers == 1);
    CHECK(w.response.body == "1");
    CHECK(w.asked() == "/second");
    w.respond("200 OK");
    CHECK(w.second.answers == 1);
    CHECK(w.stream.opens == 1);
    CHECK(w.session.answered() == w.clock.time);
    CHECK(w.listener.take() == Lines{"working: http://10.0.0.1:1"});
  }

  TEST_CASE("one that is not ready lets the next one go") {
    World w;
    w.first.may_go = false;
    w.second.want(w.clock.time);
    w.want(w.first);
    CHECK(w.asked() == "/second");
    w.respond("200 OK");
    CHECK(w.asked() == "");
    w.first.may_go = true;
    w.session.schedule();
    w.advance(0);
    CHECK(w.asked() == "/first");
  }

  TEST_CASE("a server that does not answer is followed by the next one after a back-off, which grows") {
    World w;
    w.want(w.first);
    w.stream.end();
    CHECK(w.first.losses == 1);
    CHECK(w.listener.take() == Lines{"/first failed: peer"});
    const Millis before = w.listener.retry_in;
    w.advance(before - 1);
    CHECK(w.asked() == "");
    w.advance(1);
    CHECK(w.asked() == "/first");
    CHECK(w.stream.to == w.servers[1]);
    w.respond("503 Service Unavailable");
    CHECK(w.first.losses == 2);
    CHECK(w.listener.retry_in > before);
    w.advance(w.listener.retry_in);
    CHECK(w.asked() == "/first");
    CHECK(w.stream.to == w.servers[0]);
    w.listener.take();
    w.respond("200 OK");
    CHECK(w.listener.take() == Lines{"working: http://10.0.0.1:1"});
    w.want(w.first);
    w.asked();
    w.stream.end();  // closed while it was idle: sent again over a new one
    w.stream.end();
    CHECK(w.listener.retry_in == before);  // the success has reset it
  }

  TEST_CASE("a loss that the request wants unreported is asked again at once, of the same server") {
    World w;
    w.first.silent = true;
    w.want(w.first);
    w.asked();
    w.stream.end();
    w.advance(0);
    CHECK(w.asked() == "/first");
    CHECK(w.stream.to == w.servers[0]);
    CHECK(w.listener.take().empty());
  }

  TEST_CASE("a refused request waits by itself, while others go on at the same server") {
    World w;
    w.want(w.first);
    w.asked();
    w.respond("409 Conflict");
    CHECK(w.first.refusals == 1);
    CHECK(w.listener.take() == Lines{"/first failed: the server says no"});
    w.want(w.second);
    CHECK(w.asked() == "/second");
    CHECK(w.stream.to == w.servers[0]);
    w.respond("200 OK");
    CHECK(w.listener.take().empty());  // not all of it works
    w.advance(w.listener.retry_in);
    CHECK(w.asked() == "/first");
    w.respond("200 OK");
    CHECK(w.listener.take() == Lines{"working: http://10.0.0.1:1"});
  }

  TEST_CASE("who is not let in asks the next server, over a new connection") {
    World w;
    w.want(w.first);
    w.asked();
    w.respond("403 Forbidden");
    CHECK_FALSE(w.stream.connected);
    CHECK(w.listener.take() == Lines{"/first failed: the server says no"});
    w.want(w.second);  // it need not wait
    CHECK(w.asked() == "/second");
    CHECK(w.stream.to == w.servers[1]);
    w.respond("200 OK");
    w.advance(w.listener.retry_in);
    CHECK(w.asked() == "/first");
    CHECK(w.stream.to == w.servers[1]);
    w.respond("200 OK");
    CHECK(w.listener.take() == Lines{"working: http://10.0.0.2:2"});
  }

  TEST_CASE("with other credentials it is tried at once, over a new connection to the same server") {
    World w;
    w.first.refusal = Outcome::kAgain;
    w.want(w.first);
    w.asked();
    w.respond("401 Unauthorized");
    CHECK(w.asked() == "/first");
    CHECK(w.stream.opens == 2);
    CHECK(w.stream.to == w.servers[0]);
    CHECK(w.listener.take().empty());
  }

  TEST_CASE("the back-off that is given is that of the connection, and of each request") {
    World w({400, 1'000});
    w.want(w.first);
    w.asked();
    w.respond("403 Forbidden");
    CHECK(w.listener.retry_in == 200);  // the upper half is left to chance
    w.want(w.second);
    w.asked();
    w.respond("403 Forbidden");
    CHECK(w.listener.retry_in == 200);
    for (const Millis delay : {400, 500, 500}) {
      w.first.may_go = false;
      w.advance(w.listener.retry_in);
      CHECK(w.asked() == "/second");
      w.respond("403 Forbidden");
      CHECK(w.listener.retry_in == delay);
    }
    World away({400, 1'000});
    away.want(away.first);
    for (const Millis delay : {200, 400, 500, 500}) {
      away.asked();
      away.respond("503 Service Unavailable");
      CHECK(away.listener.retry_in == delay);
      away.advance(delay);
    }
  }

  TEST_CASE("a server that asks not to be asked for a while is not, nor is another one") {
    World w;
    w.want(w.first);
    w.asked();
    w.respond("503 Service Unavailable\r\nRetry-After: 7");
    CHECK(w.listener.take() == Lines{"/first failed: the server says no"});
    CHECK(w.listener.retry_in == 7'000);
    w.want(w.second);
    w.session.skip_backoff();
    w.advance(6'999);
    CHECK(w.asked() == "");
    w.advance(1);
    CHECK(w.asked() == "/first");
    w.respond("200 OK");
    CHECK(w.asked() == "/second");
    w.respond("429 Too Many Requests\r\nRetry-After: 2");
    CHECK(w.listener.retry_in == 2'000);
    w.want(w.first);
    w.advance(1'999);
    CHECK(w.asked() == "");
    w.advance(1);
    CHECK(w.asked() == "/first");
  }

  TEST_CASE("what a request would ask again at once waits as well") {
    World w;
    w.first.refusal = Outcome::kAgain;
    w.want(w.first);
    w.asked();
    w.respond("429 Too Many Requests\r\nRetry-After: 1");
    w.advance(999);
    CHECK(w.asked() == "");
    w.advance(1);
    CHECK(w.asked() == "/first");
    w.first.silent = true;
    w.respond("504 Gateway Timeout\r\nRetry-After: 1");
    w.advance(999);
    CHECK(w.asked() == "");
    w.advance(1);
    CHECK(w.asked() == "/first");
    CHECK(w.stream.to == w.servers[0]);
    CHECK(w.listener.take().empty());
  }

  TEST_CASE("the back-off holds where it is longer than what is asked for") {
    World w({10'000, 30'000});
    w.want(w.first);
    w.asked();
    w.respond("503 Service Unavailable\r\nRetry-After: 1");
    CHECK(w.listener.retry_in == 5'000);
    w.advance(5'000);
    w.asked();
    w.respond("403 Forbidden\r\nRetry-After: 1");
    CHECK(w.listener.retry_in == 5'000);
    w.advance(4'999);
    CHECK(w.asked() == "");
    w.advance(1);
    CHECK(w.asked() == "/first");
  }

  TEST_CASE("nobody is obeyed beyond the limit, and up to half of the time is added by chance") {
    SomeRandom some;
    World w({100, 30'000}, &some);
    w.want(w.first);
    w.asked();
    w.respond("503 Service Unavailable\r\nRetry-After: 1");
    CHECK(w.listener.retry_in > 1'000);
    CHECK(w.listener.retry_in <= 1'500);
    w.advance(w.listener.retry_in);
    w.asked();
    w.respond("503 Service Unavailable\r\nRetry-After: 3000");
    CHECK(w.listener.retry_in > World::kMaxRetryAfter);
    CHECK(w.listener.retry_in <= World::kMaxRetryAfter * 3 / 2);
  }

  TEST_CASE("an answer that is no use is a refusal in the request's own words") {
    World w;
    w.first.answer = Error{Code::kInvalid, 0, "not about us"};
    w.want(w.first);
    w.asked();
    w.respond("200 OK");
    CHECK(w.listener.take() == Lines{"working: http://10.0.0.1:1", "/first failed: not about us"});
    w.advance(w.listener.retry_in);
    CHECK(w.asked() == "/first");
  }

  TEST_CASE("what goes on at once is no success before its end") {
    World w;
    w.want(w.first);
    w.asked();
    w.respond("409 Conflict");
    w.first.answer = Outcome::kAgain;
    w.advance(w.listener.retry_in);
    w.asked();
    w.listener.take();
    w.respond("200 OK");
    CHECK(w.asked() == "/first");
    CHECK(w.listener.take().empty());
    w.first.answer = Outcome::kDone;
    w.respond("200 OK");
    CHECK(w.listener.take() == Lines{"working: http://10.0.0.1:1"});
  }

  TEST_CASE("an answer that drips for ever is given up at the request's limit") {
    World w;
    w.want(w.first);
    w.asked();
    w.stream.give("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    for (int i = 0; i < 4; ++i) {
      w.advance(1'000);
      w.stream.give("x");
    }
    CHECK(w.first.losses == 0);
    w.advance(1'000);
    CHECK(w.first.losses == 1);
    CHECK(w.listener.take() == Lines{"/first failed: registry: the answer does not come to its end"});
  }

  TEST_CASE("a connection without a request is closed after a while") {
    World w;
    w.want(w.first);
    w.asked();
    w.respond("200 OK");
    w.advance(Registry::kIdleConnection - 1);
    CHECK(w.stream.connected);
    w.advance(1);
    CHECK_FALSE(w.stream.connected);
    CHECK(w.listener.take().size() == 1);
  }

  TEST_CASE("after a change of address what was under way is asked again over a new connection") {
    World w;
    w.want(w.first);
    w.asked();
    w.session.reconnect();
    w.advance(0);
    CHECK(w.stream.opens == 2);
    CHECK(w.asked() == "/first");
    CHECK(w.first.losses == 1);
    CHECK(w.listener.take().empty());
  }

  TEST_CASE("an abandoned request is not answered") {
    World w;
    w.want(w.first);
    w.asked();
    CHECK_FALSE(w.session.abandon(w.second));
    CHECK(w.session.abandon(w.first));
    CHECK_FALSE(w.stream.connected);
    CHECK_FALSE(w.session.abandon(w.first));
  }

  TEST_CASE("the authorisation is sent with every request, as long as there is one") {
    World w;
    w.session.set_authorization("Bearer t");
    w.want(w.first);
    w.stream.accept();
    CHECK(w.stream.sent.find("\r\nAuthorization: Bearer t\r\n") != std::string::npos);
    w.asked();
    w.respond("200 OK");
    w.session.set_authorization({});
    w.want(w.first);
    CHECK(w.stream.sent.find("Authorization") == std::string::npos);
  }

  TEST_CASE("nothing is sent after the end but the last words, and they need a working connection") {
    World w;
    w.want(w.first);
    w.asked();
    w.respond("200 OK");
    w.session.stop();
    w.want(w.first);
    CHECK(w.asked() == "");
    w.session.send_last({.path = "/bye"});
    CHECK(w.asked() == "/bye");
    World away;
    away.want(away.first);
    away.stream.end();
    away.session.stop();
    away.session.send_last({.path = "/bye"});
    CHECK(away.asked() == "");
  }
}
