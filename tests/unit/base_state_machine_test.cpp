// SPDX-License-Identifier: Apache-2.0
#include "flannelette/base/state_machine.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <string>
#include <vector>

#include "support/death.hpp"
#include "support/means.hpp"

namespace flannelette {
namespace {

enum class Door : std::uint8_t { kClosed, kOpen, kLocked };
constexpr StateTable kDoor{
    "door",
    {StateRow(Door::kClosed, "closed", Door::kOpen, Door::kLocked),
     StateRow(Door::kOpen, "open", Door::kClosed), StateRow(Door::kLocked, "locked", Door::kClosed)}};

struct StillClock final : Clock {
  Millis now() const override { return 0; }
  std::int64_t wall_seconds() const override { return 0; }
};

struct Recorder final : LogSink {
  void line(Level, std::string_view text) override { lines.emplace_back(text); }
  std::vector<std::string> lines;
};

struct Fixture {
  StillClock clock;
  Recorder sink;
  Log log{sink, clock, Level::kDebug};
  StateMachine<kDoor> door;
};

}  // namespace

TEST_SUITE("base/state_machine") {
  TEST_CASE_FIXTURE(Fixture, "a machine begins in the first state, and each transition is one debug line") {
    CHECK(door == Door::kClosed);
    CHECK(std::string(door.name()) == "closed");
    door.enter(Door::kLocked, log);
    CHECK(door == Door::kLocked);
    CHECK(door.state() == Door::kLocked);
    door.enter(Door::kClosed, log);
    door.enter(Door::kOpen, log);
    CHECK(sink.lines == std::vector<std::string>{"debug: door: closed -> locked",
                                                 "debug: door: locked -> closed",
                                                 "debug: door: closed -> open"});
  }

  TEST_CASE("without debug lines nothing is written") {
    StillClock clock;
    Recorder sink;
    Log log(sink, clock);
    StateMachine<kDoor> door;
    door.enter(Door::kOpen, log);
    CHECK(door == Door::kOpen);
    CHECK(sink.lines.empty());
  }

  TEST_CASE("an edge that the table does not have ends the program where assertions are on") {
    REQUIRE_MEANS(silent_death());
    const tests::Death death = tests::death_of([] {
      Fixture f;
      f.door.enter(Door::kOpen, f.log);
      f.door.enter(Door::kLocked, f.log);
    });
    CHECK(death.said == "flannelette: fatal: door: open -> locked\n");
    CHECK(death.signal == SIGABRT);
  }

  TEST_CASE("nor may a state follow itself, unless the table says so") {
    const tests::Death death = tests::death_of([] {
      Fixture f;
      f.door.enter(Door::kClosed, f.log);
    });
    CHECK(death.signal == SIGABRT);
  }
}

}  // namespace flannelette
