// SPDX-License-Identifier: Apache-2.0
// One sort for all orders.
#include "flannelette/base/sort.hpp"

#include <numeric>
#include <utility>

namespace flannelette {

/// A heap whose root is the last in the order: it is built in the whole array, then taken apart from the end.
void sort(std::span<std::uint32_t> numbers, Before before) {
  std::size_t built = numbers.size() / 2;  // from here on each subtree is a heap
  std::size_t size = numbers.size();       // of the heap; what is beyond is sorted
  while (size > 1) {
    if (built > 0) {
      --built;
    } else {
      std::swap(numbers[0], numbers[--size]);
    }
    // Let numbers[built] sink to its place.
    const std::uint32_t sinking = numbers[built];
    std::size_t at = built;
    for (std::size_t child = 2 * at + 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && before(numbers[child], numbers[child + 1])) ++child;
      if (!before(sinking, numbers[child])) break;
      numbers[at] = numbers[child];
      at = child;
    }
    numbers[at] = sinking;
  }
}

void sort_indices(std::span<std::uint32_t> numbers, Before before) {
  std::iota(numbers.begin(), numbers.end(), 0u);
  sort(numbers, before);
}

}  // namespace flannelette
