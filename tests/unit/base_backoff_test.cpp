// SPDX-License-Identifier: Apache-2.0
#include "flannelette/base/backoff.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace flannelette {
namespace {

struct FixedRandom final : Random {
  explicit FixedRandom(std::uint8_t every_byte) : byte(every_byte) {}
  void fill(std::span<std::uint8_t> bytes) override { std::ranges::fill(bytes, byte); }
  std::uint8_t byte;
};

}  // namespace

TEST_SUITE("base/backoff") {
  TEST_CASE("delays double up to the limit and begin anew after a success") {
    Backoff backoff(100, 750);
    CHECK(!backoff.failing());
    CHECK(backoff.next() == 100);
    CHECK(backoff.failing());
    CHECK(backoff.next() == 200);
    CHECK(backoff.next() == 400);
    CHECK(backoff.next() == 750);
    CHECK(backoff.next() == 750);
    backoff.reset();
    CHECK(!backoff.failing());
    CHECK(backoff.next() == 100);
  }

  TEST_CASE("a limit that is the first delay is every delay") {
    Backoff backoff(1'000, 1'000);
    for (int i = 0; i < 3; ++i) CHECK(backoff.next() == 1'000);
    CHECK(backoff.failing());
  }

  TEST_CASE("chance takes at most half of a delay, and changes nothing about the next") {
    FixedRandom least(0x00);
    Backoff backoff(100, 10'000);
    CHECK(backoff.next(least) == 50);
    CHECK(backoff.next(least) == 100);
    FixedRandom most(100);  // of 0 .. 200, drawn from 0 .. 255
    CHECK(backoff.next(most) == 200 + 100);
    CHECK(backoff.next() == 800);
    SystemRandom random;
    for (int i = 0; i < 100; ++i) {
      Backoff fresh(100, 10'000);
      const Millis delay = fresh.next(random);
      CHECK(delay >= 50);
      CHECK(delay <= 100);
    }
  }
}

}  // namespace flannelette
