// SPDX-License-Identifier: Apache-2.0
#include "flannelette/io/acceptor.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "support/forked.hpp"
#include "support/poll.hpp"
#include "support/temp_dir.hpp"
#include "unit/manual_clock.hpp"

using namespace flannelette;
using namespace flannelette::io;
using namespace flannelette::tests;

namespace {

struct World {
  void take(UniqueFd&& fd) { taken.push_back(std::move(fd)); }
  void turn() { REQUIRE(loop.step(0)); }

  ManualClock clock;
  Loop loop{clock};
  Acceptor acceptor{loop, Acceptor::Handler::to<&World::take>(this)};
  std::vector<UniqueFd> taken;
};

UniqueFd connect_to(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return fd;
}

unsigned mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::lstat(path.c_str(), &info) == 0);
  return info.st_mode & 07777U;
}

}  // namespace

TEST_SUITE("io/acceptor") {
  TEST_CASE("a UNIX socket for owner and group, in a folder that is made; it goes with the acceptor") {
    const TempDir dir;
    const std::string path = dir.file("new/agent.sock");
    World w;
    const mode_t before = ::umask(0077);
    REQUIRE(w.acceptor.listen(path));
    ::umask(before);
    CHECK(mode_of(path) == 0660);
    CHECK(mode_of(dir.file("new")) == 0755);
    const UniqueFd client = connect_to(path);
    REQUIRE(client);
    w.turn();
    REQUIRE(w.taken.size() == 1);
    CHECK((::fcntl(w.taken[0].get(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(w.taken[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(w.acceptor.give_to(::getegid()));
    w.acceptor.close();
    CHECK_FALSE(connect_to(path));
    CHECK(::access(path.c_str(), F_OK) != 0);
  }

  TEST_CASE("a socket that nobody answers is replaced; one that somebody answers, and no socket, stay") {
    const TempDir dir;
    const std::string path = dir.file("agent.sock");
    {
      const UniqueFd left(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      std::memcpy(address.sun_path, path.c_str(), path.size());
      REQUIRE(::bind(left.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    World first, second;
    REQUIRE(first.acceptor.listen(path));
    const auto refused = second.acceptor.listen(path);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().sys_errno == EADDRINUSE);
    CHECK_FALSE(second.acceptor.listening());
    CHECK(connect_to(path));

    const std::string file = dir.file("file");
    std::ofstream(file) << "precious";
    CHECK_FALSE(second.acceptor.listen(file));
    CHECK(::access(file.c_str(), F_OK) == 0);
    REQUIRE(::symlink(path.c_str(), dir.file("link").c_str()) == 0);
    CHECK_FALSE(second.acceptor.listen(dir.file("link")));
    CHECK(connect_to(path));
  }

  TEST_CASE("what cannot be listened at is an error with its reason") {
    World w;
    CHECK(w.acceptor.listen("/proc/none/agent.sock").error().sys_errno == ENOENT);
    CHECK(w.acceptor.listen("/" + std::string(Acceptor::kMaxPath, 'x')).error().code == Code::kLimit);
    const UniqueFd other = bound_socket(SOCK_STREAM, "127.0.0.1", 0);
    sockaddr_in in{};
    socklen_t size = sizeof in;
    ::getsockname(other.get(), reinterpret_cast<sockaddr*>(&in), &size);
    const std::uint16_t port = ntohs(in.sin_port);
    CHECK(w.acceptor.listen(Ip(*parse_ip4("127.0.0.1")), port).error().sys_errno == EADDRINUSE);
    CHECK_FALSE(w.acceptor.listening());
  }

  TEST_CASE("without a descriptor for a client it pauses, and goes on when there is one") {
    const TempDir dir;
    World w;
    REQUIRE(w.acceptor.listen(dir.file("agent.sock")));
    const UniqueFd client = connect_to(dir.file("agent.sock"));
    REQUIRE(client);
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    rlimit none = limit;
    none.rlim_cur = static_cast<rlim_t>(::dup(client.get()));
    ::close(static_cast<int>(none.rlim_cur));
    ::setrlimit(RLIMIT_NOFILE, &none);
    w.turn();
    const bool paused = w.taken.empty() && w.loop.next_deadline() >= 0;
    const std::uint64_t before = w.loop.wakeups();
    w.turn();  // nothing is ready: it does not spin
    ::setrlimit(RLIMIT_NOFILE, &limit);
    CHECK(paused);
    CHECK(w.taken.empty());
    CHECK(w.loop.wakeups() == before + 1);
    // Another one: valgrind, which counts descriptors itself, closes the first.
    const UniqueFd another = connect_to(dir.file("agent.sock"));
    w.clock.time += Acceptor::kPause;
    w.turn();
    w.turn();
    CHECK(w.taken.size() >= 1);
    CHECK(w.loop.next_deadline() == -1);
  }

  TEST_CASE("a TCP client is taken when it has sent something") {
    World w;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::uint16_t port = 20'000;
    while (!w.acceptor.listen(Ip(*parse_ip4("127.0.0.1")), port)) ++port;
    address.sin_port = htons(port);
    const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    w.turn();
    CHECK(w.taken.empty());
    REQUIRE(::send(client.get(), "G", 1, 0) == 1);
    CHECK(wait_until(std::chrono::seconds(5), [&] {
      w.turn();
      return w.taken.size() == 1;
    }));
  }

  TEST_CASE("a turn takes one connection") {
    const TempDir dir;
    World w;
    REQUIRE(w.acceptor.listen(dir.file("agent.sock")));
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 5; ++i) clients.push_back(connect_to(dir.file("agent.sock")));
    for (std::size_t i = 1; i <= 5; ++i) {
      w.turn();
      CHECK(w.taken.size() == i);
    }
  }
}
