// SPDX-License-Identifier: Apache-2.0
#include "flannelette/base/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <set>

#include "flannelette/base/clock.hpp"

using namespace flannelette;

namespace {

/// Gives the bytes of a script, then zeros.
struct Script final : Random {
  explicit Script(std::initializer_list<std::uint8_t> bytes) {
    std::copy(bytes.begin(), bytes.end(), script.begin());
  }
  void fill(std::span<std::uint8_t> bytes) override {
    for (std::uint8_t& byte : bytes) byte = at < script.size() ? script[at++] : std::uint8_t{0};
  }
  std::array<std::uint8_t, 64> script{};
  std::size_t at = 0;
};

}  // namespace

TEST_SUITE_BEGIN("base/random");

TEST_CASE("a number below a bound is drawn again until it is below it, so that all are equally likely") {
  Script random{0, 0, 0, 0, 0, 0, 0, 0x0e, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0xf9};
  CHECK(random.below(10) == 9);  // 14 and 10 are thrown away
  CHECK(random.at == 24);
}

TEST_CASE("numbers below a bound reach every value and no other") {
  SystemRandom random;
  for (const std::uint64_t bound : {1, 2, 3, 7, 8, 10}) {
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 2000; ++i) seen.insert(random.below(bound));
    CHECK(seen.size() == bound);
    CHECK(*seen.rbegin() == bound - 1);
  }
  CHECK(random.below(~std::uint64_t{0}) < ~std::uint64_t{0});
}

TEST_CASE("a random MAC is unicast and locally administered") {
  Script ones{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  CHECK(text_of(ones.mac()).view() == "fe:ff:ff:ff:ff:ff");
  Script zeros{};
  CHECK(text_of(zeros.mac()).view() == "02:00:00:00:00:00");
}

TEST_CASE("the system's chance fills every byte of a large buffer") {
  SystemRandom random;
  std::array<std::uint8_t, 4096> bytes{};
  random.fill(bytes);
  for (std::size_t at = 0; at < bytes.size(); at += 64) {
    CHECK(std::count(bytes.begin() + static_cast<long>(at), bytes.begin() + static_cast<long>(at) + 64, 0) <
          16);
  }
  random.fill({});
}

TEST_CASE("the system clock is monotonic and counts milliseconds") {
  const SystemClock clock;
  const Millis before = clock.now();
  timespec now{};
  REQUIRE(::clock_gettime(CLOCK_MONOTONIC, &now) == 0);
  const Millis after = clock.now();
  const Millis between = Millis{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
  CHECK(before <= between);
  CHECK(between <= after);
  CHECK(clock.wall_seconds() > 1'600'000'000);
}

TEST_SUITE_END();
