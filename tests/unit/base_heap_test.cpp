// SPDX-License-Identifier: Apache-2.0
// The heap of the smallest build.
#include "base/heap.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "support/rng.hpp"

using flannelette::Heap;
using flannelette::tests::Rng;
using flannelette::tests::rounds;

namespace {

/// A block that knows what it holds.
struct Held {
  void* memory = nullptr;
  std::size_t size = 0;
  unsigned char filling = 0;

  void fill(Rng& rng) {
    filling = static_cast<unsigned char>(rng.next());
    std::memset(memory, filling, size);
  }
  bool intact(std::size_t bytes) const {
    const auto* at = static_cast<const unsigned char*>(memory);
    for (std::size_t i = 0; i < bytes; ++i)
      if (at[i] != filling) return false;
    return true;
  }
};

std::size_t any_size(Rng& rng) { return rng.below(std::size_t{1} << rng.below(18)); }

}  // namespace

TEST_SUITE("base/heap") {
  TEST_CASE("blocks of any size keep what they hold while others come, grow, shrink and go") {
    Heap heap;
    Rng rng;
    std::vector<Held> blocks(64);
    for (int i = rounds(20000); i > 0; --i) {
      Held& block = blocks[rng.below(blocks.size())];
      REQUIRE(block.intact(block.size));
      const std::size_t size = any_size(rng);
      if (block.memory == nullptr) {
        block.memory = heap.allocate(size);
      } else if (rng.one_in(2)) {
        block.memory = heap.resize(block.memory, size);
        REQUIRE(block.intact(std::min(block.size, size)));
      } else {
        heap.release(block.memory);
        block = {};
        continue;
      }
      REQUIRE(block.memory != nullptr);
      REQUIRE(reinterpret_cast<std::uintptr_t>(block.memory) % alignof(std::max_align_t) == 0);
      block.size = size;
      block.fill(rng);
    }
    for (const Held& block : blocks) heap.release(block.memory);
  }

  TEST_CASE("a released block serves the next one of its room") {
    Heap heap;
    void* first = heap.allocate(100);
    void* second = heap.allocate(100);
    CHECK(first != second);
    heap.release(first);
    heap.release(second);
    CHECK(heap.allocate(90) == second);
    CHECK(heap.allocate(112) == first);
  }

  TEST_CASE("a block that no memory can hold is refused, and what was to grow stays") {
    Heap heap;
    constexpr std::size_t kNoAddressSpace = SIZE_MAX - SIZE_MAX / 16;
    CHECK(heap.allocate(SIZE_MAX) == nullptr);
    CHECK(heap.allocate(kNoAddressSpace) == nullptr);
    for (const std::size_t size : {std::size_t{40}, Heap::kLargest}) {
      CAPTURE(size);
      Held block{heap.allocate(size), size, 7};
      std::memset(block.memory, 7, size);
      CHECK(heap.resize(block.memory, SIZE_MAX - 8) == nullptr);
      CHECK(heap.resize(block.memory, kNoAddressSpace) == nullptr);
      CHECK(block.intact(size));
      heap.release(block.memory);
    }
    heap.release(nullptr);
  }
}
