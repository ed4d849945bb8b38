// SPDX-License-Identifier: Apache-2.0
#include "flannelette/http/server.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "flannelette/http/response.hpp"
#include "unit/manual_clock.hpp"

using namespace flannelette;
using namespace flannelette::http;

namespace {

/// `size` bytes, `step` a piece.
struct Letters final : Body {
  Letters(std::size_t any_size, std::size_t any_step) : left(any_size), step(any_step) {}
  bool next(Writer& out) override {
    CHECK(out.room() > 1'000);
    const std::size_t now = std::min({left, step, out.room()});
    for (std::size_t i = 0; i < now; ++i) out.put(static_cast<char>('a' + (left - i) % 26));
    left -= now;
    return left > 0;
  }
  std::size_t left, step;
};

/// /text, and /SIZE/STEP of letters.
struct Site final : Handler {
  Answer answer(std::string_view path, std::string_view query) override {
    queries.emplace_back(query);
    if (path == "/text") return {.status = "200 OK", .text = "here\n", .body = nullptr};
    const std::string text(path.substr(1));
    if (text.empty() || text[0] < '0' || text[0] > '9') return {};
    const std::size_t slash = text.find('/');
    return {.status = "200 OK",
            .text = {},
            .body = std::make_unique<Letters>(std::stoul(text), std::stoul(text.substr(slash + 1)))};
  }
  std::vector<std::string> queries;
};

std::string letters(std::size_t size) {
  std::string text;
  for (std::size_t left = size; left > 0; --left) text += static_cast<char>('a' + left % 26);
  return text;
}

struct Response {
  int status = 0;
  std::string body;
  bool whole = false;
};

Response parse(std::string_view bytes, bool ended) {
  ResponseParser parser;
  Response response;
  parser.feed(bytes);
  for (auto event = parser.next();; event = parser.next()) {
    if (event == ResponseParser::Event::kHead) response.status = parser.head().status;
    if (event == ResponseParser::Event::kBody) response.body += parser.body();
    if (event == ResponseParser::Event::kHead || event == ResponseParser::Event::kBody) continue;
    if (event == ResponseParser::Event::kNeedMore && ended) event = parser.finish();
    response.whole = event == ResponseParser::Event::kDone;
    CHECK(parser.rest().empty());
    return response;
  }
}

struct World {
  /// Connects a client, which has sent `first` by then; its end of the connection.
  UniqueFd connect(std::size_t limit = Server::kMaxClients, int buffer = 0, std::string_view first = {}) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    if (buffer > 0) ::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    UniqueFd end(ends[1]);
    send(end, first);
    server.accept(UniqueFd(ends[0]), site, limit);
    return end;
  }
  void turn() { REQUIRE(loop.step(0)); }
  void after(Millis time) {
    clock.time += time;
    turn();
  }
  /// All that comes until the end, or until nothing comes; `ended` says which.
  std::string receive(const UniqueFd& fd, bool& ended) {
    std::string all;
    for (;;) {
      char buffer[4096];
      const ssize_t got = ::recv(fd.get(), buffer, sizeof buffer, 0);
      ended = got == 0;
      if (got == 0) return all;
      if (got > 0) {
        all.append(buffer, static_cast<std::size_t>(got));
        continue;
      }
      const std::uint64_t before = loop.wakeups();
      if (server.clients() == 0) return all;
      turn();
      char one;
      if (::recv(fd.get(), &one, 1, MSG_PEEK) < 0 && loop.wakeups() > before) return all;
    }
  }
  Response ask(const std::string& request) {
    const UniqueFd fd = connect();
    send(fd, request);
    turn();
    bool ended = false;
    const std::string bytes = receive(fd, ended);
    CHECK(ended);
    return parse(bytes, ended);
  }
  static void send(const UniqueFd& fd, std::string_view bytes) {
    REQUIRE(::send(fd.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  }
  static bool closed(const UniqueFd& fd) {
    char one;
    return ::recv(fd.get(), &one, 1, MSG_PEEK) == 0;
  }

  ManualClock clock;
  io::Loop loop{clock};
  Site site;
  Server server{loop};
};

const std::string kTail = " HTTP/1.1\r\nHost: a\r\n\r\n";

}  // namespace

TEST_SUITE("http/server") {
  TEST_CASE("GET is answered, in chunks or to the end of the connection, by what the client knows") {
    World w;
    for (const std::size_t size : {1UL, 2UL, 1'500UL, 2'000UL, 2'048UL, 10'000UL, 100'000UL}) {
      for (const std::size_t step : {700UL, 5'000UL}) {
        CAPTURE(size);
        const std::string path = "/" + std::to_string(size) + "/" + std::to_string(step);
        for (const std::string& request : {"GET " + path + kTail, "GET " + path + " HTTP/1.0\r\n\r\n"}) {
          const Response response = w.ask(request);
          CHECK(response.status == 200);
          CHECK(response.body == letters(size));
          CHECK(response.whole);
        }
      }
    }
    CHECK(w.ask("GET /text?a=b" + kTail).body == "here\n");
    CHECK(w.site.queries.back() == "a=b");
    CHECK(w.server.clients() == 0);
    CHECK(w.loop.next_deadline() == -1);
  }

  TEST_CASE("HEAD has no body; other methods, unknown paths and what is no request are refused") {
    World w;
    const UniqueFd fd = w.connect();
    World::send(fd, "HEAD /100/10" + kTail);
    w.turn();
    bool ended = false;
    const std::string head = w.receive(fd, ended);
    CHECK(ended);
    CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(head.ends_with("\r\n\r\n"));
    CHECK(head.find("\r\nConnection: close\r\n") != head.npos);
    CHECK(w.ask("POST /text" + kTail).status == 405);
    CHECK(w.ask("GET /nothing" + kTail).status == 404);
    CHECK(w.ask("GET nothing" + kTail).status == 400);
    CHECK(w.server.clients() == 0);
  }

  TEST_CASE("a request may come byte by byte, and with more behind it") {
    World w;
    const UniqueFd fd = w.connect();
    for (const char c : "GET /text" + kTail) {
      World::send(fd, {&c, 1});
      w.turn();
    }
    bool ended = false;
    CHECK(parse(w.receive(fd, ended), ended).body == "here\n");
    CHECK(w.ask("GET /text" + kTail + "GET /text" + kTail).whole);
  }

  TEST_CASE("who does not send its head in time is cut off, however it trickles") {
    World w;
    const UniqueFd silent = w.connect(), trickling = w.connect();
    for (int i = 0; i < 4; ++i) {
      World::send(trickling, "G");
      w.after(1'000);
    }
    CHECK(w.server.clients() == 2);
    w.after(1'000);
    CHECK(w.server.clients() == 0);
    CHECK(World::closed(silent));
  }

  TEST_CASE("who takes nothing for a while is cut off; who takes little has a minute") {
    World w;
    const UniqueFd fd = w.connect(Server::kMaxClients, 4'096);
    World::send(fd, "GET /1000000/5000" + kTail);
    for (int i = 0; i < 100; ++i) w.turn();
    CHECK(w.server.clients() == 1);
    SUBCASE("nothing") {
      w.after(Server::kStallTime - 1);
      CHECK(w.server.clients() == 1);
      w.after(1);
    }
    SUBCASE("little") {
      Millis whole = 0;
      for (; w.server.clients() == 1 && whole < 2 * Server::kWholeTime; whole += 5'000) {
        char buffer[8'192];
        (void)!::recv(fd.get(), buffer, sizeof buffer, 0);
        for (int i = 0; i < 10; ++i) w.turn();
        w.after(5'000);
      }
      CHECK(whole >= Server::kWholeTime - 5'000);
      CHECK(whole <= Server::kWholeTime);
    }
    CHECK(w.server.clients() == 0);
    CHECK(w.loop.next_deadline() == -1);
  }

  TEST_CASE("a client that goes in the middle is forgotten") {
    World w;
    for (const std::string& request : {std::string(), std::string("GET /"), "GET /1000000/5000" + kTail}) {
      {
        const UniqueFd fd = w.connect(Server::kMaxClients, 4'096);
        World::send(fd, request);
        w.turn();
      }
      for (int i = 0; i < 3; ++i) w.turn();
      CHECK(w.server.clients() == 0);
    }
  }

  TEST_CASE("one too many is answered 503; who dawdles over its head gives way") {
    World w;
    std::vector<UniqueFd> slow;
    for (std::size_t i = 0; i < Server::kMaxClients; ++i) {
      slow.push_back(w.connect());
      w.after(1);
    }
    bool ended = false;
    CHECK(parse(w.receive(w.connect(), ended), true).status == 503);
    CHECK(w.server.clients() == Server::kMaxClients);
    World::send(slow[0], "GET /1000000/5000" + kTail);  // is being answered
    w.turn();
    w.after(Server::kHeadGrace);
    CHECK(w.ask("GET /text" + kTail).body == "here\n");
    CHECK_FALSE(World::closed(slow[0]));
    CHECK(World::closed(slow[1]));
    CHECK_FALSE(World::closed(slow[2]));
  }

  TEST_CASE("who brings its request takes the place of who dawdles at once") {
    World w;
    std::vector<UniqueFd> slow;
    for (std::size_t i = 0; i < Server::kMaxClients; ++i) slow.push_back(w.connect());
    for (std::size_t i = 0; i < Server::kMaxClients; ++i) {
      const UniqueFd fd = w.connect(Server::kMaxClients, 0, "GET /text" + kTail);
      for (std::size_t others = 0; others < Server::kMaxClients; ++others) {
        slow.push_back(w.connect(Server::kMaxClients, 0, "G"));
      }
      bool ended = false;
      CHECK(parse(w.receive(fd, ended), true).body == "here\n");
    }
    CHECK(w.server.clients() == Server::kMaxClients);
  }

  TEST_CASE("strangers may have fewer places than the operator") {
    World w;
    std::vector<UniqueFd> slow;
    for (std::size_t i = 0; i < Server::kMaxClients - 2; ++i)
      slow.push_back(w.connect(Server::kMaxClients - 2));
    bool ended = false;
    CHECK(parse(w.receive(w.connect(Server::kMaxClients - 2), ended), true).status == 503);
    CHECK(w.ask("GET /text" + kTail).whole);
  }
}
