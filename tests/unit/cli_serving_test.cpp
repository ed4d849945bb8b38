// SPDX-License-Identifier: Apache-2.0
#include "cli/serving.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cli/asking.hpp"
#include "cli/group.hpp"
#include "cli_support.hpp"
#include "support/forked.hpp"
#include "support/loop.hpp"
#include "support/temp_dir.hpp"
#include "unit/manual_clock.hpp"

using namespace flannelette;
using namespace flannelette::cli;
using namespace flannelette::tests;

namespace {

struct LogText final : LogSink {
  void line(Level level, std::string_view text) override {
    CHECK(text.starts_with(name(level)));
    lines += std::string(text) + "\n";
  }
  std::string lines;
};

/// Ready, with `count` peers, of which every third is not programmed.
struct Example final : status::Source {
  void read(status::Status& status) const override { status.unready.watch = std::string_view(watch); }
  bool peer(std::size_t index, status::PeerStatus& peer) const override {
    if (index >= count) return false;
    peer = {};
    peer.state =
        index % 3 == 2 ? status::PeerStatus::State::kPending : status::PeerStatus::State::kProgrammed;
    peer.subnet = Net(Ip4{0x0a000000 + (static_cast<std::uint32_t>(index) << 8)}, 24);
    peer.public_ip = Ip4{0xc0000201};
    peer.mac = Mac{{2, 0, 0, 0, 0, 1}};
    return true;
  }
  std::size_t count = 0;
  std::string watch;
};

struct Body final : Pieces {
  void piece(std::string_view part) override { text += part; }
  std::string text;
};

struct World {
  World() { settings.socket = std::string_view(dir.file("run/agent.sock")); }
  void open() {
    serving.open({loop, log, files, settings, lines});
    serving.set_source(source);
  }
  /// Asks from another thread, while the loop runs here.
  Result<int> get(const std::string& target, std::string& body) {
    std::optional<Error> error;
    int status = 0;
    std::atomic<bool> done = false;
    Body got;
    std::thread client([&] {
      const auto asked = ask(SocketPath(settings.socket.view()), target, got, &got);
      if (asked) {
        status = *asked;
      } else {
        error = asked.error();
      }
      done = true;
    });
    while (!done) REQUIRE(loop.step(20));
    client.join();
    body = got.text;
    if (error) return *error;
    return status;
  }
  std::string page(const std::string& target, int expected = 200) {
    std::string body;
    const auto status = get(target, body);
    REQUIRE(status);
    CHECK(*status == expected);
    return body;
  }

  TempDir dir;
  SystemClock clock;
  io::Loop loop{clock};
  LogText text;
  RecentLines lines{text, clock};
  Log log{lines, clock};
  TextFiles files;
  ServingSettings settings;
  Example source;
  Serving serving;
};

std::uint16_t port_of(const UniqueFd& fd) {
  sockaddr_in in{};
  socklen_t size = sizeof in;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&in), &size);
  return ntohs(in.sin_port);
}

/// A port that was free a moment ago.
std::uint16_t free_port() { return port_of(bound_socket(SOCK_STREAM, "127.0.0.1", 0)); }

/// Status line and body that a plain TCP client gets.
std::string tcp_page(World& w, std::uint16_t port, const std::string& target) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in in = socket_address("127.0.0.1", port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&in), sizeof in) != 0) return "refused";
  const std::string request = "GET " + target + " HTTP/1.0\r\n\r\n";
  REQUIRE(::send(fd.get(), request.data(), request.size(), 0) > 0);
  std::string all;
  REQUIRE(run_until(w.loop, [&] {
    char buffer[4096];
    const ssize_t got = ::recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got > 0) all.append(buffer, static_cast<std::size_t>(got));
    return got == 0;
  }));
  return all.substr(9, 3) + " " + all.substr(all.find("\r\n\r\n") + 4);
}

}  // namespace

TEST_SUITE("cli/serving") {
  TEST_CASE("the socket answers in every form, flanneld's bodies when all is well") {
    World w;
    w.source.count = 3;
    w.open();
    CHECK(w.page("/healthz") == "flanneld is running");
    CHECK(w.page("/readyz") == "flanneld is ready");
    CHECK(w.page("/status").starts_with("ready\n"));
    CHECK(w.page("/status?format=json").starts_with("{\"version\":1,"));
    CHECK(w.page("/metrics").find("flannelette_build_info") != std::string::npos);
    CHECK(w.page("/peers") ==
          "10.0.0.0/24 192.0.2.1 02:00:00:00:00:01\n10.0.1.0/24 192.0.2.1 02:00:00:00:00:01\n");
    CHECK(w.page("/log").empty());
    CHECK(w.page("/", 404) == "not found\n");
  }

  TEST_CASE("ten thousand peers stream") {
    World w;
    w.source.count = 10'000;
    w.open();
    const std::string peers = w.page("/peers");
    CHECK(std::count(peers.begin(), peers.end(), '\n') == 6'667);
    const std::string json = w.page("/status?format=json");
    CHECK(json.size() > 500'000);
    CHECK(json.ends_with("]}\n"));
  }

  TEST_CASE("not ready is 503 and the reason") {
    World w;
    w.source.watch = "no word for 21 s";
    w.open();
    CHECK(w.page("/readyz", 503) == "not ready: watch: no word for 21 s\n");
    CHECK(w.page("/healthz") == "flanneld is running");
    CHECK(w.page("/status").starts_with("not ready"));
  }

  TEST_CASE("the last warnings are told, the oldest go") {
    World w;
    w.open();
    w.log.info("calm");
    w.log.warning("first", {{"n", 1}});
    for (int i = 0; i < 3; ++i) w.log.error("a later one", {{"text", std::string(480, 'x')}});
    const std::string log = w.page("/log");
    CHECK(log.find("calm") == std::string::npos);
    CHECK(log.find("Z warning: first n=1\n") == 20 - 1);
    w.log.error("the last one");
    w.log.error("the very last one", {{"text", std::string(480, 'y')}});
    const std::string later = w.page("/log");
    CHECK(later.find("first") == std::string::npos);
    CHECK(later.find("the last one\n") != std::string::npos);
    CHECK(later.size() <= RecentLines::kSize);
    CHECK(later.ends_with("y\n"));
  }

  TEST_CASE("over TCP there is what was asked for, where it was asked for") {
    World w;
    w.settings.healthz_ip = Ip(*parse_ip4("127.0.0.1"));
    w.settings.listen_ip = w.settings.healthz_ip;
    w.settings.healthz_port = free_port();
    w.settings.listen_port = free_port();
    w.open();
    CHECK(tcp_page(w, w.settings.healthz_port, "/healthz") == "200 flanneld is running");
    CHECK(tcp_page(w, w.settings.healthz_port, "/readyz") == "200 flanneld is ready");
    CHECK(tcp_page(w, w.settings.healthz_port, "/metrics") == "404 not found\n");
    CHECK(tcp_page(w, w.settings.healthz_port, "/status") == "404 not found\n");
    CHECK(tcp_page(w, w.settings.listen_port, "/metrics").starts_with("200 # HELP"));
    CHECK(tcp_page(w, w.settings.listen_port, "/status").starts_with("200 ready\n"));
    CHECK(tcp_page(w, w.settings.listen_port, "/log") == "404 not found\n");
    CHECK(tcp_page(w, w.settings.listen_port, "/readyz") == "404 not found\n");
  }

  TEST_CASE("a port that is taken is named once, tried again, and used when it is free") {
    World w;
    UniqueFd other = bound_socket(SOCK_STREAM, "127.0.0.1", 0);
    w.settings.healthz_ip = Ip(*parse_ip4("127.0.0.1"));
    w.settings.healthz_port = port_of(other);
    w.open();
    CHECK(w.text.lines.find("warning: cannot listen") != std::string::npos);
    CHECK(w.page("/healthz") == "flanneld is running");
    REQUIRE(w.loop.step(1'500));
    other.reset();
    CHECK(run_until(w.loop, [&] { return w.text.lines.find("info: listening") != std::string::npos; }));
    CHECK(tcp_page(w, w.settings.healthz_port, "/readyz") == "200 flanneld is ready");
    CHECK(w.text.lines.find("cannot listen", w.text.lines.find("cannot listen") + 1) == std::string::npos);
  }

  TEST_CASE("without settings it listens nowhere, and idle it arms no timer") {
    World w;
    w.settings.socket.clear();
    w.open();
    std::string body;
    CHECK_FALSE(w.get("/healthz", body));
    World idle;
    idle.open();
    CHECK(idle.page("/healthz") == "flanneld is running");
    CHECK(idle.loop.next_deadline() == -1);
  }

  TEST_CASE("a group is a number or a name of /etc/group") {
    TextFiles files;
    files.texts["/etc/group"] = "root:x:0:\n# no\nadmin:x:10:a,b\nadm:x:4:syslog\nbad:x:y:\nlast:x:77:";
    CHECK(group_id(files, "adm") == 4);
    CHECK(group_id(files, "last") == 77);
    CHECK(group_id(files, "1000") == 1000);
    CHECK_FALSE(group_id(files, "ad"));
    CHECK_FALSE(group_id(files, "bad"));
    CHECK_FALSE(group_id(files, "4294967295"));
    files.texts.clear();
    CHECK_FALSE(group_id(files, "adm"));
  }

  TEST_CASE("the socket is given to the group; one that there is not is named, and it serves all the same") {
    World w;
    w.settings.group = std::string_view("friends");
    w.files.texts["/etc/group"] = "friends:x:" + std::to_string(::getegid()) + ":\n";
    w.open();
    CHECK(w.text.lines.empty());
    World other;
    other.settings.group = std::string_view("nobody-here");
    other.open();
    CHECK(other.text.lines.find("warning: the group cannot ask for the status group=nobody-here") !=
          std::string::npos);
    CHECK(other.page("/healthz") == "flanneld is running");
  }
}
