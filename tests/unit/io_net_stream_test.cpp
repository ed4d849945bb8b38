// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "flannelette/io/net_stream.hpp"
#include "support/loop.hpp"
#include "support/means.hpp"
#include "support/skip.hpp"

using namespace flannelette;
using namespace flannelette::io;

namespace {

/// The server side, without a thread: the kernel completes connections by itself.
class Peer {
 public:
  explicit Peer(const char* host = "127.0.0.1") : host_(host) {
    const bool v6 = std::string_view(host).find(':') != std::string_view::npos;
    listener_ = UniqueFd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in6 in6{};
    sockaddr_in in4{};
    in6.sin6_family = AF_INET6;
    in4.sin_family = AF_INET;
    ::inet_pton(AF_INET6, host, &in6.sin6_addr);
    ::inet_pton(AF_INET, host, &in4.sin_addr);
    sockaddr* any = v6 ? reinterpret_cast<sockaddr*>(&in6) : reinterpret_cast<sockaddr*>(&in4);
    socklen_t size = v6 ? sizeof in6 : sizeof in4;
    usable_ = ::bind(listener_.get(), any, size) == 0 && ::listen(listener_.get(), 4) == 0 &&
              ::getsockname(listener_.get(), any, &size) == 0;
    port_ = ntohs(v6 ? in6.sin6_port : in4.sin_port);
  }
  bool usable() const { return usable_; }
  Endpoint endpoint(std::string_view name = {}) const {
    Endpoint to;
    to.host = name.empty() ? host_ : name;
    to.port = port_;
    return to;
  }
  bool accept() {
    connection_ = UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    return static_cast<bool>(connection_);
  }
  std::string read() {
    char buffer[65536];
    const ssize_t got = ::recv(connection_.get(), buffer, sizeof buffer, 0);
    return got > 0 ? std::string(buffer, static_cast<std::size_t>(got)) : "";
  }
  void write(std::string_view text) {
    REQUIRE(::send(connection_.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
  }
  void end() { connection_.reset(); }
  void reset() {
    const linger now{1, 0};
    ::setsockopt(connection_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    connection_.reset();
  }
  void stop() { listener_.reset(); }

 private:
  std::string_view host_;
  UniqueFd listener_, connection_;
  std::uint16_t port_ = 0;
  bool usable_ = false;
};

struct Collector final : Stream::Listener {
  void on_open() override {
    ++opened;
    if (at_open) at_open(*this);
  }
  void on_data(std::string_view bytes) override {
    data += bytes;
    if (at_data) at_data(*this);
  }
  void on_close(const Error& why, std::string_view) override {
    ++closed;
    error = why;
    if (at_close) at_close(*this);
  }
  using Action = void (*)(Collector&);
  Action at_open = nullptr, at_data = nullptr, at_close = nullptr;
  int opened = 0, closed = 0;
  std::string data;
  Error error;
  std::unique_ptr<NetStream>* stream = nullptr;
  Endpoint endpoint;
};

struct Silent final : TlsContext::Listener {
  void on_changed() override {}
  void on_unusable(std::string_view, const Error&) override {}
  void on_expiry(const TlsContext::Expiry&) override {}
};

struct Recorder final : LogSink {
  void line(Level, std::string_view text) override { all.emplace_back(text); }
  std::vector<std::string> all;
};

struct World {
  World() { collector.stream = &stream; }
  void open(const Endpoint& endpoint) {
    collector.endpoint = endpoint;
    stream->open(endpoint, collector);
  }
  template <class Condition>
  bool until(Condition condition) {
    return tests::run_until(loop, condition);
  }
  bool until_open() {
    return until([&] { return collector.opened > 0; });
  }
  bool until_closed() {
    return until([&] { return collector.closed > 0; });
  }

  SystemClock clock;
  Loop loop{clock};
  Silent silent;
  TlsContext tls{loop, clock, silent};
  TcpSettings settings;
  Recorder lines;
  Log log{lines, clock, Level::kDebug};
  std::unique_ptr<NetStream> stream = std::make_unique<NetStream>(loop, settings, tls, log);
  Collector collector;
};

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(fd, level, name, &value, &size);
  return value;
}

int highest_socket() {
  for (int fd = 255; fd > 2; --fd) {
    if (option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM && option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 0 &&
        option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1) {
      return fd;
    }
  }
  return -1;
}

bool no_child_left() { return ::waitpid(-1, nullptr, WNOHANG | __WALL) < 0 && errno == ECHILD; }

/// A port of 127.0.0.1 that nobody listens on.
Endpoint nobody() {
  Peer peer;
  const Endpoint endpoint = peer.endpoint();
  peer.stop();
  return endpoint;
}

}  // namespace

TEST_SUITE("io/net_stream") {
  TEST_CASE("the address of a connection is reported before it is made: a literal, a name's, a mapped one") {
    struct Told {
      void address(Ip ip) { all.push_back(ip); }
      std::vector<Ip> all;
    } told;
    Ip local = Ip4{127u << 24 | 1};
    Peer peer;
    World w;
    w.stream->set_on_address(Delegate<void(Ip)>::to<&Told::address>(&told));
    SUBCASE("literal") {
      w.open(peer.endpoint());
      CHECK(told.all == std::vector{local});
    }
    SUBCASE("name") {
      if (!NetStream::resolves_names()) return;
      w.open(peer.endpoint("localhost"));
      CHECK(told.all.empty());
    }
    SUBCASE("IPv4 in IPv6") { w.open(peer.endpoint("::ffff:127.0.0.1")); }
    SUBCASE("IPv6") {
      Peer six("::1");
      if (!six.usable()) SKIP("no ::1 here");
      local = *parse_ip("::1");
      w.open(six.endpoint());
      REQUIRE(w.until_open());
    }
    REQUIRE(w.until_open());
    CHECK(told.all.back() == local);  // a name may have others before it
  }

  TEST_CASE("the steps of a connection are debug lines") {
    Peer peer;
    World w;
    w.open(peer.endpoint());
    REQUIRE(w.until_open());
    w.stream->close();
    CHECK(w.lines.all == std::vector<std::string>{
                             "debug: connector: idle -> connecting", "debug: connector: connecting -> idle",
                             "debug: connection: closed -> open", "debug: connection: open -> closed"});
  }

  TEST_CASE("bytes go both ways over IPv4 and IPv6") {
    for (const char* host : {"127.0.0.1", "::1"}) {
      Peer peer(host);
      if (!peer.usable()) SKIP("no ::1 here");
      World w;
      w.open(peer.endpoint());
      CHECK(w.collector.opened == 0);
      REQUIRE(w.until_open());
      CHECK(w.stream->write("hello "));
      CHECK(w.stream->write("there"));
      REQUIRE(w.until([&] { return peer.accept(); }));
      std::string got;
      REQUIRE(w.until([&] { return (got += peer.read()) == "hello there"; }));
      peer.write("and back");
      REQUIRE(w.until([&] { return w.collector.data == "and back"; }));
      peer.end();
      REQUIRE(w.until_closed());
      CHECK(w.collector.error.code == Code::kClosed);
      CHECK(w.stream->write("x").error().code == Code::kClosed);
    }
  }

  TEST_CASE("a connection watches over itself") {
    Peer peer;
    World w;
    w.open(peer.endpoint());
    REQUIRE(w.until_open());
    const int fd = highest_socket();
    REQUIRE(fd > 2);
    CHECK(option(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
    CHECK(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 60);
    CHECK(option(fd, IPPROTO_TCP, TCP_KEEPINTVL) == 10);
    CHECK(option(fd, IPPROTO_TCP, TCP_KEEPCNT) == 3);
    CHECK(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 30000);
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    CHECK(w.loop.next_deadline() == -1);
  }

  TEST_CASE(
      "a stream reports its connections and bytes; who asks has an idle connection probed from then on") {
    REQUIRE_MEANS(connection_reports());
    Peer peer;
    World w;
    CHECK(w.stream->report(true).connected == -1);
    CHECK(w.stream->report(true).connections == 0);
    w.open(peer.endpoint());
    REQUIRE(w.until_open());
    REQUIRE(w.until([&] { return peer.accept(); }));
    const int fd = highest_socket();
    CHECK(w.stream->report(false).probed == -1);
    CHECK(option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 60);
    CHECK(w.stream->report(true).probed == 0);
    CHECK(option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 10);
    CHECK(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 30000);
    REQUIRE(w.stream->write("hello"));
    REQUIRE(w.until([&] { return peer.read() == "hello"; }));
    peer.write("and back");
    REQUIRE(w.until([&] { return w.collector.data == "and back"; }));
    const StreamReport report = w.stream->report(true);
    CHECK(report.connections == 1);
    CHECK(report.received == 8);
    CHECK(report.sent == 5);
    CHECK(report.connected >= 0);
    // The peer's kernel answers a probe: it is heard, and we are not woken.
    const int second = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &second, sizeof second);
    Millis heard = 0;
    REQUIRE(w.until(
        [&] { return w.stream->report(true).heard < std::exchange(heard, w.stream->report(true).heard); }));
    CHECK(w.loop.next_deadline() == -1);
    w.open(peer.endpoint());
    REQUIRE(w.until([&] { return w.collector.opened == 2; }));
    CHECK(w.stream->report(true).connections == 2);
    CHECK(w.stream->report(true).received == 8);
  }

  TEST_CASE("on a link that is paid by the byte nobody is probed for having asked") {
    Peer peer;
    World w;
    const TcpSettings metered = TcpSettings::metered();
    w.stream = std::make_unique<NetStream>(w.loop, metered, w.tls, w.log);
    w.open(peer.endpoint());
    REQUIRE(w.until_open());
    const int fd = highest_socket();
    const StreamReport report = w.stream->report(true);
    CHECK(report.heard >= 0);
    CHECK(report.probed == -1);
    CHECK(option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 870);
  }

  TEST_CASE("a refused connection is told later, never from within open") {
    REQUIRE_MEANS(socket_errors());
    World w;
    w.open(nobody());
    CHECK(w.collector.closed == 0);
    REQUIRE(w.until_closed());
    CHECK(w.collector.error.sys_errno == ECONNREFUSED);
    CHECK(w.collector.opened == 0);
  }

  TEST_CASE("an unreachable address is told later, never from within open") {
    World w;
    Endpoint to;
    to.host = "255.255.255.255";
    to.port = 1;
    w.open(to);
    CHECK(w.collector.closed == 0);
    REQUIRE(w.until_closed());
    CHECK(w.collector.error.code == Code::kSystem);
  }

  TEST_CASE("a connection attempt ends at its time limit") {
    Peer peer;
    World w;
    w.settings.connect_timeout = 100;
    // A full backlog: the kernel leaves further connections unanswered.
    std::vector<std::unique_ptr<NetStream>> crowd;
    Collector crowd_collector;
    for (int i = 0; i < 12; ++i) {
      crowd.push_back(std::make_unique<NetStream>(w.loop, w.settings, w.tls, w.log));
      crowd.back()->open(peer.endpoint(), crowd_collector);
    }
    REQUIRE(w.until([&] { return crowd_collector.closed > 0; }));
    CHECK(crowd_collector.error.code == Code::kTimeout);
  }

  TEST_CASE("a reset connection is an error with its number") {
    Peer peer;
    World w;
    w.open(peer.endpoint());
    REQUIRE(w.until_open());
    REQUIRE(w.until([&] { return peer.accept(); }));
    peer.reset();
    REQUIRE(w.until_closed());
    CHECK(w.collector.error.sys_errno == ECONNRESET);
  }

  TEST_CASE("what the socket does not take waits, up to the limit") {
    Peer peer;
    World w;
    w.open(peer.endpoint());
    REQUIRE(w.until_open());
    REQUIRE(w.until([&] { return peer.accept(); }));
    const std::string piece(1000, 'x');
    std::size_t queued = 0;
    bool full = false;
    while (!full && queued < 64u << 20) {
      const Result<void> written = w.stream->write(piece);
      full = !written;
      if (written) {
        queued += piece.size();
      } else {
        CHECK(written.error().code == Code::kLimit);
      }
    }
    REQUIRE(full);
    std::size_t received = 0;
    CHECK(w.until([&] { return (received += peer.read().size()) == queued; }));
    CHECK(w.stream->write(piece));
    CHECK(w.collector.closed == 0);
    CHECK(w.stream->write(std::string(NetStream::kWriteBuffer + 1, 'x')).error().code == Code::kLimit);
  }

  TEST_CASE("close is silent, at any time") {
    Peer peer;
    World w;
    w.open(peer.endpoint());
    w.stream->close();
    w.stream->close();
    w.open(peer.endpoint());
    REQUIRE(w.until_open());
    w.stream->close();
    w.open(nobody());
    w.stream->close();
    Endpoint name = peer.endpoint("localhost");
    w.open(name);
    w.stream->close();
    for (int i = 0; i < 5; ++i) CHECK(w.loop.step(20));
    CHECK(w.collector.opened == 1);
    CHECK(w.collector.closed == 0);
    CHECK(w.until(no_child_left));
    CHECK(w.loop.next_deadline() == -1);
  }

  TEST_CASE("from any callback the stream may be closed, opened again or destroyed") {
    const Collector::Action actions[] = {
        [](Collector& c) { (*c.stream)->close(); },
        [](Collector& c) {
          if (c.opened < 2) (*c.stream)->open(c.endpoint, c);
        },
        [](Collector& c) { c.stream->reset(); },
    };
    for (auto slot : {&Collector::at_open, &Collector::at_data, &Collector::at_close}) {
      for (Collector::Action action : actions) {
        Peer peer;
        World w;
        w.collector.*slot = action;
        w.open(peer.endpoint());
        REQUIRE(w.until_open());
        if (slot != &Collector::at_open) {
          REQUIRE(w.until([&] { return peer.accept(); }));
          peer.write("data");
          REQUIRE(w.until([&] { return !w.collector.data.empty(); }));
        }
        if (slot == &Collector::at_close) {
          peer.end();
          REQUIRE(w.until_closed());
        }
        if (action == actions[1]) CHECK(w.until([&] { return w.collector.opened == 2; }));
      }
    }
  }

  TEST_CASE("a name is resolved in a child that leaves nothing behind") {
    Peer peer;
    World w;
    w.open(peer.endpoint("localhost"));
    CHECK(w.collector.opened == 0);
    REQUIRE(w.until_open());  // ::1 may come first: nobody listens there, so the next address is tried
    CHECK(w.until(no_child_left));
    w.open(peer.endpoint("localhost"));
    REQUIRE(w.until([&] { return w.collector.opened == 2; }));
    CHECK(w.until(no_child_left));
  }

  TEST_CASE("a name that does not exist is an error, in time") {
    World w;
    w.settings.connect_timeout = 2000;
    w.stream = std::make_unique<NetStream>(w.loop, w.settings, w.tls, w.log);
    Endpoint to;
    to.host = "no-such-host.invalid";
    to.port = 1;
    w.open(to);
    REQUIRE(w.until_closed());
    const Code code = w.collector.error.code;
    CHECK((code == Code::kNotFound || code == Code::kUnavailable || code == Code::kTimeout));
    CHECK(std::string_view(w.collector.error.context).starts_with("resolver: "));
    CHECK(w.until(no_child_left));
  }

  TEST_CASE("the last good address serves when resolution fails") {
    Peer peer;
    World w;
    w.open(peer.endpoint("localhost"));
    REQUIRE(w.until_open());
    w.stream->close();
    REQUIRE(w.until(no_child_left));
    REQUIRE(w.until([&] { return peer.accept(); }));
    // One descriptor left: enough for a socket, too few for the pipe to a child.
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const int next = ::dup(0);
    REQUIRE(next >= 0);
    ::close(next);
    const rlimit tight{static_cast<rlim_t>(next) + 1, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &tight);
    w.open(peer.endpoint("localhost"));
    const bool opened = w.until([&] { return w.collector.opened == 2; });
    Collector other_collector;
    NetStream other(w.loop, w.settings, w.tls, w.log);
    w.stream->close();
    other.open(peer.endpoint("localhost"), other_collector);
    const bool failed = w.until([&] { return other_collector.closed == 1; });
    ::setrlimit(RLIMIT_NOFILE, &before);
    CHECK(opened);
    CHECK(failed);
    CHECK(other_collector.error.sys_errno == EMFILE);
  }

  TEST_CASE("a child that cannot be forked is not taken for a silent name server") {
    // In a process of its own, since the limit counts all those of a user, and not those of root.
    const pid_t child = ::fork();
    if (child == 0) {
      if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
      const rlimit none{0, 0};
      ::setrlimit(RLIMIT_NPROC, &none);
      const pid_t other = ::fork();
      if (other == 0) ::_exit(0);
      if (other > 0) ::_exit(2);
      World w;
      Endpoint to;
      to.host = "localhost";
      to.port = 1;
      w.open(to);
      while (w.collector.closed == 0) {
        if (!w.loop.step(1000)) break;
      }
      const std::string_view words = w.collector.error.context;
      ::_exit(words == "resolver: fork" && w.collector.error.sys_errno == EAGAIN ? 0 : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 2) SKIP("processes cannot be limited here");
    CHECK(WEXITSTATUS(status) == 0);
  }

  TEST_CASE("https without a loaded CA is refused") {
    Peer peer;
    World w;
    Endpoint to = peer.endpoint();
    to.tls = true;
    w.open(to);
    CHECK(w.collector.closed == 0);
    REQUIRE(w.until_closed());
    CHECK(w.collector.error.code == Code::kTls);
  }
}
