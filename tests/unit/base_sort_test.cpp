// SPDX-License-Identifier: Apache-2.0
#include "flannelette/base/sort.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

namespace flannelette {

TEST_SUITE("base/sort") {
  TEST_CASE("numbers of any count are put into any order, and things follow them") {
    for (std::uint32_t count = 0; count < 70; ++count) {
      for (std::uint32_t step = 1; step < 12; ++step) {
        std::vector<int> things;
        for (std::uint32_t i = 0; i < count; ++i)
          things.push_back(static_cast<int>(i * step % 7 * 100 + i % step));
        std::vector<int> wanted = things;
        std::sort(wanted.begin(), wanted.end());
        const auto before = [&](auto a, auto b) { return things[a] < things[b]; };
        std::vector<std::uint32_t> order(count);
        sort_indices(order, before);
        for (std::uint32_t i = 0; i < count; ++i) REQUIRE(things[order[i]] == wanted[i]);
        std::reverse(order.begin(), order.end());
        sort(order, before);
        for (std::uint32_t i = 0; i < count; ++i) REQUIRE(things[order[i]] == wanted[i]);
        sort_things(things.data(), order, before);
        REQUIRE(things == wanted);
        for (std::uint32_t i = 0; i < count; ++i) REQUIRE(order[i] == i);
      }
    }
  }
}

}  // namespace flannelette
