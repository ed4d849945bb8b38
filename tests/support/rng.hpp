// SPDX-License-Identifier: Apache-2.0
// Random numbers for property tests. The seed is printed when the test fails; FLANNELETTE_TEST_SEED repeats
// it. How many rounds there are may be lowered where the same test runs elsewhere with all of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "support/cmocka_reporter.hpp"

namespace flannelette::tests {

/// Of so many rounds, FLANNELETTE_TEST_ROUNDS per cent (all without it), and at least one.
inline int rounds(int all) {
  const char* percent = std::getenv("FLANNELETTE_TEST_ROUNDS");
  return percent == nullptr ? all : std::max(1, all * std::atoi(percent) / 100);
}

class Rng {
 public:
  Rng() : Rng(chosen_seed()) {}
  explicit Rng(std::uint64_t seed) : state_(seed) {
    on_failure_print([seed] { return "  seed: FLANNELETTE_TEST_SEED=" + std::to_string(seed); });
  }

  /// splitmix64: small, and good enough to choose test cases.
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// 0 .. bound - 1; bound must not be 0. The bias of the remainder does not matter here.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

  template <typename T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; i--) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  static std::uint64_t chosen_seed() {
    if (const char* seed = std::getenv("FLANNELETTE_TEST_SEED")) return std::strtoull(seed, nullptr, 10);
    return std::random_device{}();
  }

  std::uint64_t state_;
};

}  // namespace flannelette::tests
