// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "flannelette/io/loop.hpp"
#include "unit/manual_clock.hpp"

using namespace flannelette;
using namespace flannelette::io;

namespace {

struct Named {
  Named(Loop& loop, std::string& log, char name)
      : timer(loop, Delegate<void()>::to<&Named::fire>(this)), log_(log), name_(name) {}
  void fire() {
    log_ += name_;
    if (again >= 0) timer.arm_in(again);
    if (victim != nullptr) victim->reset();
  }
  Timer timer;
  Millis again = -1;
  std::unique_ptr<Named>* victim = nullptr;

 private:
  std::string& log_;
  char name_;
};

struct Pair {
  Pair() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    near = UniqueFd(ends[0]);
    far = UniqueFd(ends[1]);
  }
  UniqueFd near, far;
};

struct Reader {
  explicit Reader(Loop& loop) : source(loop, Source::Handler::to<&Reader::ready>(this)) {}
  void ready(std::uint32_t got) {
    ++calls;
    events |= got;
    if (victim != nullptr) victim->reset();
  }
  Pair pair;
  Source source;
  int calls = 0;
  std::uint32_t events = 0;
  std::unique_ptr<Reader>* victim = nullptr;
};

}  // namespace

TEST_SUITE("io/loop") {
  TEST_CASE("timers fire in the order of their deadlines, equal ones in the order of arming") {
    ManualClock clock;
    Loop loop(clock);
    std::string log;
    Named a(loop, log, 'a'), b(loop, log, 'b'), c(loop, log, 'c'), d(loop, log, 'd');
    CHECK(loop.next_deadline() == -1);
    c.timer.arm_in(30);
    a.timer.arm_in(10);
    b.timer.arm_in(10);
    d.timer.arm_in(31);
    CHECK(loop.next_deadline() == 1010);
    CHECK(loop.step(0));
    CHECK(log == "");
    clock.time += 9;
    CHECK(loop.step(0));
    CHECK(log == "");
    clock.time += 21;
    CHECK(loop.step(0));
    CHECK(log == "abc");
    CHECK(d.timer.armed());
    CHECK_FALSE(a.timer.armed());
    CHECK(loop.now() == 1030);
  }

  TEST_CASE("a timer armed again for now waits for the next turn") {
    ManualClock clock;
    Loop loop(clock);
    std::string log;
    Named a(loop, log, 'a');
    a.again = 0;
    a.timer.arm_in(0);
    CHECK(loop.step(0));
    CHECK(log == "a");
    CHECK(loop.step(0));
    CHECK(log == "aa");
  }

  TEST_CASE("arming replaces the deadline; arming at the latest only shortens it") {
    ManualClock clock;
    Loop loop(clock);
    std::string log;
    Named a(loop, log, 'a');
    a.timer.arm_in(10);
    a.timer.arm_in(50);
    CHECK(a.timer.deadline() == 1050);
    a.timer.arm_at_latest_in(70);
    CHECK(a.timer.deadline() == 1050);
    a.timer.arm_at_latest_in(20);
    CHECK(a.timer.deadline() == 1020);
    a.timer.cancel();
    clock.time += 100;
    CHECK(loop.step(0));
    CHECK(log == "");
    a.timer.arm_at_latest_in(-5);
    CHECK(loop.step(0));
    CHECK(log == "a");
  }

  TEST_CASE("a handler may destroy its own timer, and another one that is due in the same turn") {
    ManualClock clock;
    Loop loop(clock);
    std::string log;
    auto self = std::make_unique<Named>(loop, log, 's');
    auto other = std::make_unique<Named>(loop, log, 'o');
    auto killer = std::make_unique<Named>(loop, log, 'k');
    self->victim = &self;
    killer->victim = &other;
    self->timer.arm_in(0);
    killer->timer.arm_in(0);
    other->timer.arm_in(0);
    CHECK(loop.step(0));
    CHECK(log == "sk");
    CHECK(self == nullptr);
    CHECK(loop.next_deadline() == -1);
  }

  TEST_CASE("a source is called while its descriptor is ready, for the events it asked for") {
    ManualClock clock;
    Loop loop(clock);
    Reader reader(loop);
    CHECK(reader.source.watch(reader.pair.near.get(), EPOLLIN));
    CHECK(loop.step(0));
    CHECK(reader.calls == 0);
    REQUIRE(::write(reader.pair.far.get(), "x", 1) == 1);
    CHECK(loop.step(0));
    CHECK(loop.step(0));
    CHECK(reader.calls == 2);
    CHECK(reader.events == EPOLLIN);
    CHECK(reader.source.watch(reader.pair.near.get(), EPOLLOUT));
    reader.events = 0;
    CHECK(loop.step(0));
    CHECK(reader.events == EPOLLOUT);
    reader.source.unwatch();
    CHECK_FALSE(reader.source.watching());
    CHECK(loop.step(0));
    CHECK(reader.calls == 3);
  }

  TEST_CASE("a source follows to another descriptor") {
    ManualClock clock;
    Loop loop(clock);
    Reader reader(loop);
    Pair other;
    CHECK(reader.source.watch(reader.pair.near.get(), EPOLLIN));
    CHECK(reader.source.watch(other.near.get(), EPOLLIN));
    REQUIRE(::write(reader.pair.far.get(), "x", 1) == 1);
    CHECK(loop.step(0));
    CHECK(reader.calls == 0);
    REQUIRE(::write(other.far.get(), "x", 1) == 1);
    CHECK(loop.step(0));
    CHECK(reader.calls == 1);
  }

  TEST_CASE("a source destroyed in another's handler drops its pending event, whoever comes first") {
    ManualClock clock;
    Loop loop(clock);
    auto a = std::make_unique<Reader>(loop);
    auto b = std::make_unique<Reader>(loop);
    a->victim = &b;
    b->victim = &a;
    for (Reader* reader : {a.get(), b.get()}) {
      CHECK(reader->source.watch(reader->pair.near.get(), EPOLLIN));
      REQUIRE(::write(reader->pair.far.get(), "x", 1) == 1);
    }
    CHECK(loop.step(0));
    CHECK((a == nullptr) != (b == nullptr));
    CHECK((a ? a->calls : b->calls) == 1);
  }

  TEST_CASE("a handler may destroy its own source") {
    ManualClock clock;
    Loop loop(clock);
    auto reader = std::make_unique<Reader>(loop);
    reader->victim = &reader;
    CHECK(reader->source.watch(reader->pair.near.get(), EPOLLIN));
    REQUIRE(::write(reader->pair.far.get(), "x", 1) == 1);
    CHECK(loop.step(0));
    CHECK(reader == nullptr);
  }

  TEST_CASE("more ready descriptors than a batch are all served within two turns") {
    ManualClock clock;
    Loop loop(clock);
    std::vector<std::unique_ptr<Reader>> readers;
    for (int i = 0; i < 20; ++i) {
      readers.push_back(std::make_unique<Reader>(loop));
      CHECK(readers.back()->source.watch(readers.back()->pair.near.get(), EPOLLIN));
      REQUIRE(::write(readers.back()->pair.far.get(), "x", 1) == 1);
    }
    CHECK(loop.step(0));
    CHECK(loop.step(0));
    for (const auto& reader : readers) CHECK(reader->calls >= 1);
  }

  TEST_CASE("watching what epoll cannot watch is an error") {
    ManualClock clock;
    Loop loop(clock);
    Reader reader(loop);
    const UniqueFd file(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
    CHECK_FALSE(reader.source.watch(file.get(), EPOLLIN));  // epoll takes no such file
    CHECK_FALSE(reader.source.watching());
  }

  TEST_CASE("the real clock: no wake-up before the deadline, and none in vain") {
    SystemClock clock;
    Loop loop(clock);
    struct Stopper {
      explicit Stopper(Loop& owner) : loop(owner), timer(owner, Delegate<void()>::to<&Stopper::fire>(this)) {}
      void fire() {
        at = loop.now();
        loop.stop();
      }
      Loop& loop;
      Timer timer;
      Millis at = 0;
    } stopper(loop);
    stopper.timer.arm_in(30);
    const Millis deadline = stopper.timer.deadline();
    CHECK(loop.run());
    CHECK(stopper.at >= deadline);
    CHECK(loop.wakeups() == 1);
  }

  TEST_CASE("signals arrive as events") {
    SystemClock clock;
    Loop loop(clock);
    sigset_t before;
    ::sigprocmask(SIG_SETMASK, nullptr, &before);
    struct Catcher {
      void got(int signal) { signals.push_back(signal); }
      std::vector<int> signals;
    } catcher;
    {
      Signals signals(loop, Signals::Handler::to<&Catcher::got>(&catcher));
      sigset_t set;
      ::sigemptyset(&set);
      ::sigaddset(&set, SIGUSR1);
      ::sigaddset(&set, SIGUSR2);
      CHECK(signals.watch(set));
      ::raise(SIGUSR2);
      ::raise(SIGUSR1);
      CHECK(loop.step(1000));
      CHECK(loop.step(1000));
    }
    CHECK(catcher.signals == std::vector<int>{SIGUSR1, SIGUSR2});
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
  }
}
