// SPDX-License-Identifier: Apache-2.0
// One sort for all orders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "flannelette/base/function_ref.hpp"

namespace flannelette {

/// Is `a` to stand before `b`? A strict weak order, of numbers that stand for things (indices).
using Before = FunctionRef<bool(std::uint32_t a, std::uint32_t b)>;

/// Sorts in place, n log n whatever the input. One piece of code for all orders: a std::sort is a kilobyte
/// for each type and order.
void sort(std::span<std::uint32_t> numbers, Before before);

/// The numbers become 0 .. n - 1, sorted.
void sort_indices(std::span<std::uint32_t> numbers, Before before);

/// Moves each thing to where it belongs: afterwards things[i] is what things[order[i]] was. `order` is a
/// permutation of 0 .. n - 1, and becomes 0 .. n - 1.
template <class T>
void arrange(T* things, std::span<std::uint32_t> order) {
  for (std::uint32_t first = 0; first < order.size(); ++first) {
    std::uint32_t hole = first;
    const T moved = things[first];
    while (order[hole] != first) {
      const std::uint32_t from = order[hole];
      things[hole] = things[from];
      order[hole] = hole;
      hole = from;
    }
    things[hole] = moved;
    order[hole] = hole;
  }
}

/// Sorts n things themselves; `before` is asked of their indices, while none has moved. `memory` has room for
/// n.
template <class T>
void sort_things(T* things, std::span<std::uint32_t> memory, Before before) {
  sort_indices(memory, before);
  arrange(things, memory);
}

}  // namespace flannelette
