// SPDX-License-Identifier: Apache-2.0
#include "cli/notify.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "flannelette/base/unique_fd.hpp"
#include "support/temp_dir.hpp"
#include "unit/manual_clock.hpp"

using namespace flannelette;
using namespace flannelette::cli;
using namespace flannelette::tests;

namespace {

struct NoLog final : LogSink {
  void line(Level, std::string_view text) override { lines += std::string(text) + "\n"; }
  std::string lines;
};

/// A service manager that waits `limit` microseconds for a sign of life, and says so in the environment.
struct Manager {
  explicit Manager(const char* limit, const std::string& pid = "") {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    REQUIRE(bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    if (limit != nullptr) setenv("WATCHDOG_USEC", limit, 1);
    if (!pid.empty()) setenv("WATCHDOG_PID", pid.c_str(), 1);
  }
  ~Manager() {
    for (const char* variable : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(variable);
  }
  std::string receive() {
    char text[64];
    const ssize_t size = recv(socket.get(), text, sizeof text, MSG_DONTWAIT);
    return size < 0 ? "" : std::string(text, static_cast<std::size_t>(size));
  }
  TempDir files;
  std::string path = files.file("notify");
  UniqueFd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
};

struct Agent {
  NoLog sink;
  ManualClock clock;
  Log log{sink, clock, Level::kDebug};
  io::Loop loop{clock};
  Notifier notifier{loop, log};
  void pass(Millis time) {
    clock.time += time;
    REQUIRE(loop.step(0));
  }
};

/// Hangs for a minute in the handler of a descriptor.
struct Stuck {
  Stuck(Agent& agent, Manager& manager)
      : clock(agent.clock), service(manager), source(agent.loop, handler()) {
    REQUIRE(ready);
    REQUIRE(source.watch(ready.get(), EPOLLIN));
  }
  io::Source::Handler handler() { return io::Source::Handler::to<&Stuck::hang>(this); }
  void hang(std::uint32_t) {
    clock.time += 60'000;
    CHECK(service.receive() == "");
    source.unwatch();
    returned = true;
  }
  ManualClock& clock;
  Manager& service;
  bool returned = false;
  UniqueFd ready{eventfd(1, EFD_CLOEXEC)};
  io::Source source;
};

/// While it lives, this process can open no descriptor.
struct NoDescriptors {
  NoDescriptors() {
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit none{0, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before); }
  rlimit before{};
};

}  // namespace

TEST_SUITE("cli/notify") {
  TEST_CASE("without a watchdog nothing is sent and no timer runs") {
    Manager manager(nullptr);
    Agent agent;
    CHECK(agent.loop.next_deadline() == -1);
    agent.pass(86'400'000);
    CHECK(manager.receive() == "");
  }

  TEST_CASE("the loop sends WATCHDOG=1 after each half of WATCHDOG_USEC, and no more often") {
    Manager manager("180000000", std::to_string(getpid()));
    Agent agent;
    for (int i = 0; i < 3; ++i) {
      agent.pass(89'999);
      CHECK(manager.receive() == "");
      agent.pass(1);
      CHECK(manager.receive() == "WATCHDOG=1\n");
      CHECK(manager.receive() == "");
    }
  }

  TEST_CASE("a watchdog without NOTIFY_SOCKET, as a child inherits it, wakes nobody") {
    Manager manager("180000000");
    for (const bool empty : {false, true}) {
      if (empty) {
        setenv("NOTIFY_SOCKET", "", 1);
      } else {
        unsetenv("NOTIFY_SOCKET");
      }
      CHECK(watchdog_interval() == 0);
      CHECK(Agent().loop.next_deadline() == -1);
    }
  }

  TEST_CASE("a loop that is stuck in a handler sends nothing, however late it is") {
    Manager manager("2000000");
    Agent agent;
    Stuck stuck{agent, manager};
    REQUIRE(agent.loop.step(0));
    CHECK(stuck.returned);
    agent.pass(0);
    CHECK(manager.receive() == "WATCHDOG=1\n");
    CHECK(manager.receive() == "");
  }

  TEST_CASE("a full queue of the service manager is tried again each second") {
    Manager manager("180000000");
    Agent agent;
    const UniqueFd other(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, manager.path.c_str(), sizeof address.sun_path - 1);
    while (sendto(other.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 1) {
    }
    agent.pass(90'000);
    CHECK(agent.loop.next_deadline() == agent.clock.now() + 1000);
    while (manager.receive() == "x") {
    }
    agent.pass(1000);
    CHECK(manager.receive() == "WATCHDOG=1\n");
    CHECK(agent.loop.next_deadline() == agent.clock.now() + 90'000);
  }

  TEST_CASE("a READY=1 that finds no free descriptor is sent when there is one") {
    Manager manager(nullptr);
    Agent agent;
    {
      const NoDescriptors full;
      agent.notifier.ready();
      for (int i = 0; i < 3; ++i) agent.pass(1000);
    }
    CHECK(manager.receive() == "");
    CHECK(agent.sink.lines.find("cannot send READY=1") != std::string::npos);
    CHECK(agent.sink.lines.find('\n') == agent.sink.lines.size() - 1);
    agent.pass(1000);
    CHECK(manager.receive() == "READY=1\n");
    CHECK(agent.loop.next_deadline() == -1);
  }

  TEST_CASE("what cannot be sent is tried again before the limit, however short, and the log has one line") {
    Manager manager("1000000");
    Agent agent;
    {
      const NoDescriptors full;
      agent.pass(500);
      for (int i = 0; i < 3; ++i) {
        CHECK(agent.loop.next_deadline() == agent.clock.now() + 125);
        agent.pass(125);
      }
    }
    CHECK(manager.receive() == "");
    CHECK(agent.sink.lines.find("cannot send WATCHDOG=1") != std::string::npos);
    CHECK(agent.sink.lines.find('\n') == agent.sink.lines.size() - 1);
    agent.pass(125);
    CHECK(manager.receive() == "WATCHDOG=1\n");
    CHECK(agent.loop.next_deadline() == agent.clock.now() + 500);
  }

  TEST_CASE("a service manager that is gone costs no more wake-ups, and no line of the log") {
    Manager manager("180000000");
    Agent agent;
    unlink(manager.path.c_str());
    agent.pass(90'000);
    CHECK(agent.loop.next_deadline() == agent.clock.now() + 90'000);
    CHECK(agent.sink.lines == "");
  }

  TEST_CASE("WATCHDOG_USEC and WATCHDOG_PID count as in sd_watchdog_enabled(3)") {
    const auto interval = [](const char* limit, const std::string& pid) {
      const Manager manager(limit, pid);
      return watchdog_interval();
    };
    const std::string self = std::to_string(getpid());
    CHECK(interval("180000000", "") == 90'000);
    CHECK(interval("180000000", self) == 90'000);
    CHECK(interval("180000000", "1") == 0);
    CHECK(interval("180000000", "x") == 0);
    CHECK(interval("1", "") == 1);
    for (const char* none : {"", "0", "-1", "3min", "18446744073709551615", "18446744073709551616"})
      CHECK_MESSAGE(interval(none, "") == 0, none);
    CHECK(interval(nullptr, self) == 0);
  }

  TEST_CASE("ready and stopping are sent at once") {
    Manager manager(nullptr);
    Agent agent;
    agent.notifier.ready();
    CHECK(manager.receive() == "READY=1\n");
    agent.notifier.stopping();
    CHECK(manager.receive() == "STOPPING=1\n");
    CHECK(agent.loop.next_deadline() == -1);
  }
}
