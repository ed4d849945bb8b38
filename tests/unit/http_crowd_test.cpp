// SPDX-License-Identifier: Apache-2.0
// Many clients at listeners of the loop that also watches the registry: what a turn does for them, and when
// the watch has its own.
#include <doctest/doctest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "flannelette/http/server.hpp"
#include "flannelette/io/acceptor.hpp"
#include "support/temp_dir.hpp"
#include "unit/manual_clock.hpp"

using namespace flannelette;
using namespace flannelette::http;
using namespace flannelette::tests;

namespace {

constexpr std::size_t kListeners = 3;
constexpr std::size_t kClients = 100;
/// What else of an agent can have something at each turn: signals, the clock, four kernel sockets, requests.
constexpr std::size_t kOthers = 7;

/// What was done for clients since it was looked at.
struct Work {
  std::size_t connections = 0, answers = 0, pieces = 0;
};

struct Endless final : Body {
  explicit Endless(Work& any_work) : work(any_work) {}
  bool next(Writer& out) override {
    ++work.pieces;
    while (out.room() > 0) out.put('x');
    return true;
  }
  Work& work;
};

/// /short and /endless.
struct Site final : Handler {
  explicit Site(Work& any_work) : work(any_work) {}
  Answer answer(std::string_view path, std::string_view) override {
    ++work.answers;
    if (path == "/short") return {.status = "200 OK", .text = "here\n", .body = nullptr};
    return {.status = "200 OK", .text = {}, .body = std::make_unique<Endless>(work)};
  }
  Work& work;
};

struct Listener {
  Listener(io::Loop& loop, Server& any_server, Site& any_site, Work& any_work)
      : server(any_server),
        site(any_site),
        work(any_work),
        acceptor(loop, io::Acceptor::Handler::to<&Listener::take>(this)) {}
  void take(UniqueFd&& connection) {
    ++work.connections;
    server.accept(std::move(connection), site);
  }
  Server& server;
  Site& site;
  Work& work;
  io::Acceptor acceptor;
};

/// A descriptor that has something to read until all of it was read, one byte a call.
struct Readable {
  explicit Readable(io::Loop& loop) : source(loop, io::Source::Handler::to<&Readable::on_ready>(this)) {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    own = UniqueFd(pair[0]);
    far = UniqueFd(pair[1]);
    REQUIRE(source.watch(own.get(), EPOLLIN));
  }
  void put() { (void)!::send(far.get(), "x", 1, 0); }  // where it is full it is readable anyway
  void on_ready(std::uint32_t) {
    char one;
    calls += ::recv(own.get(), &one, 1, 0) == 1;
  }
  io::Source source;
  UniqueFd own, far;
  std::size_t calls = 0;
};

UniqueFd connect_to(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.copy(address.sun_path, sizeof address.sun_path - 1) == path.size());
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return fd;
}

/// Reads whatever comes as fast as it can, and comes again at once when it is cut off.
struct Client {
  void turn(const std::string& path, std::string_view request) {
    char buffer[8'192];
    if (!fd) {
      sent = 0;
      fd = connect_to(path);
    }
    const std::string_view rest = request.substr(sent, slow ? 1 : request.npos);
    if (fd && !rest.empty() && ::send(fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL) > 0)
      sent += rest.size();
    if (fd && ::recv(fd.get(), buffer, sizeof buffer, 0) == 0) fd.reset();
  }
  UniqueFd fd;
  std::size_t sent = 0;
  bool slow = false;
};

struct World {
  World() {
    for (std::size_t i = 0; i < kListeners; ++i) {
      listeners.push_back(std::make_unique<Listener>(loop, server, site, work));
      REQUIRE(listeners[i]->acceptor.listen(path(i)));
    }
    for (std::size_t i = 0; i < kOthers; ++i) others.push_back(std::make_unique<Readable>(loop));
  }
  std::string path(std::size_t i) const { return dir.file(std::to_string(i % kListeners)); }
  void turn() {
    clock.time += 1;
    REQUIRE(loop.step(0));
  }

  const TempDir dir;
  Work work;
  ManualClock clock;
  io::Loop loop{clock};
  Site site{work};
  Server server{loop};
  std::vector<std::unique_ptr<Listener>> listeners;
  std::vector<std::unique_ptr<Readable>> others;
  Readable watch{loop};
};

}  // namespace

TEST_SUITE("http/crowd") {
  TEST_CASE("a hundred clients, as quick or slow as they like, leave the watch every other turn at least") {
    World w;
    std::vector<Client> clients(kClients);
    std::string_view request;
    SUBCASE("health checks") { request = "GET /short HTTP/1.1\r\nHost: a\r\n\r\n"; }
    SUBCASE("large answers") { request = "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n"; }
    SUBCASE("slow heads") {
      request = "GET /short HTTP/1.1\r\nHost: a\r\n\r\n";
      for (std::size_t i = 0; i < kClients; ++i) clients[i].slow = i % 10 != 0;
    }
    std::size_t answers = 0, connections = 0, waited = 0, longest = 0;
    for (int turn = 0; turn < 2'000; ++turn) {
      for (std::size_t i = 0; i < kClients; ++i) clients[i].turn(w.path(i), request);
      for (const auto& other : w.others) other->put();
      if (waited == 0) w.watch.put();
      w.work = {};
      const std::size_t before = w.watch.calls;
      w.turn();
      waited = w.watch.calls == before ? waited + 1 : 0;
      longest = std::max(longest, waited);
      REQUIRE(w.work.connections <= kListeners);
      REQUIRE(w.work.answers <= Server::kMaxClients);
      REQUIRE(w.work.pieces <= Server::kMaxClients);
      answers += w.work.answers;
      connections += w.work.connections;
    }
    CHECK(longest <= 1);
    CHECK(connections > 500);
    CHECK(answers > 0);
  }
}
