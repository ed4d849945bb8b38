// SPDX-License-Identifier: Apache-2.0
// The helpers that the other tests stand on.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "support/process.hpp"
#include "support/rng.hpp"
#include "support/temp_dir.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

TEST_SUITE("tests/support") {
  TEST_CASE("a temporary directory is gone with its content at the end of the scope") {
    std::string path;
    {
      const TempDir dir;
      path = dir.path();
      std::filesystem::create_directories(dir.file("a/b"));
      CHECK(std::filesystem::exists(dir.file("a/b")));
    }
    CHECK_FALSE(std::filesystem::exists(path));
  }

  TEST_CASE("waiting ends with the event or at the deadline") {
    int asked = 0;
    CHECK(wait_until(10s, [&asked] { return ++asked == 3; }));
    CHECK(asked == 3);
    CHECK_FALSE(wait_until(5ms, [] { return false; }));
  }

  TEST_CASE("a child's output and exit status are seen") {
    const Outcome outcome = run({.args = {"sh", "-c", "echo out $X; echo err >&2; exit 3"}, .env = {"X=1"}});
    CHECK(outcome.status == 3);
    CHECK(outcome.output == "out 1\nerr\n");
  }

  TEST_CASE("a program that is not there is reported, not waited for") {
    const Outcome outcome = run({.args = {"flannelette-no-such-program"}});
    CHECK(outcome.status == 127);
    CHECK(outcome.output == "flannelette-no-such-program: No such file or directory\n");
    CHECK_THROWS(must_run({.args = {"false"}}));
  }

  TEST_CASE("a signal shows in the exit status as in a shell") {
    Process process({.args = {"sleep", "60"}});
    CHECK(process.running());
    process.signal(SIGTERM);
    CHECK(process.wait(10s) == 128 + SIGTERM);
  }

  TEST_CASE("a process and its own children end with its object") {
    const TempDir dir;
    pid_t group = 0;
    {
      Process process({.args = {"sh", "-c", "sleep 60 & echo started; wait"}});
      group = process.pid();
      REQUIRE(wait_until(10s, [&process] { return process.output() == "started\n"; }));
    }
    CHECK(wait_until(10s, [group] { return kill(-group, 0) != 0; }));
  }

  TEST_CASE("the same seed gives the same numbers, below the bound") {
    Rng a(7);
    Rng b(7);
    for (int i = 0; i < 100; i++) {
      const std::uint64_t number = a.below(10);
      CHECK(number == b.below(10));
      CHECK(number < 10);
    }
  }

  TEST_CASE("missing means are named") {
    CHECK(means::program("sh").empty());
    CHECK(means::program("flannelette-no-such-program") == "no program flannelette-no-such-program in PATH");
  }
}
