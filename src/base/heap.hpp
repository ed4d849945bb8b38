// SPDX-License-Identifier: Apache-2.0
// A small heap for a program that has few blocks.
#pragma once

#include <array>
#include <cstddef>

namespace flannelette {

/// A heap for one thread, a tenth of libc's in size. A block has the room of a power of two, and a released
/// one serves the next of the same room. A large block is a mapping of its own: the kernel moves it when it
/// grows, and has it back when it is released. Releasing a block twice is not noticed.
class Heap {
 public:
  /// Room of a block that is no mapping, its header included.
  static constexpr std::size_t kLargest = 32 * 1024;

  constexpr Heap() = default;
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  /// Aligned for any type, not cleared. nullptr if there is no memory.
  void* allocate(std::size_t size);
  /// As realloc(3): moves the block if it must, and leaves it as it is if there is no memory (nullptr).
  void* resize(void* memory, std::size_t size);
  /// nullptr is allowed.
  void release(void* memory);

 private:
  struct alignas(std::max_align_t) Block {
    std::size_t room;  ///< header and memory
    Block* next;       ///< while it is released
  };
  static constexpr std::size_t kSlab = 2 * kLargest;  ///< mapped at once; what is not used takes no memory

  void* carve(std::size_t order);  ///< 2^order bytes; nullptr: there is no memory

  std::array<Block*, 16> released_{};  ///< by the logarithm of the room
  std::byte* slab_ = nullptr;
  std::size_t slab_left_ = 0;
};

}  // namespace flannelette
