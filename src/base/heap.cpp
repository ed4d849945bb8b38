// SPDX-License-Identifier: Apache-2.0
// A small heap for a program that has few blocks.
#include "base/heap.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

namespace flannelette {
namespace {

void* map(std::size_t size) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

void* Heap::allocate(std::size_t size) {
  if (size > PTRDIFF_MAX) return nullptr;
  std::size_t room = size + sizeof(Block);
  void* memory;
  if (room > kLargest) {
    memory = map(room);
  } else {
    const auto order = static_cast<std::size_t>(std::bit_width(room - 1));
    room = std::size_t{1} << order;
    memory = carve(order);
  }
  if (memory == nullptr) return nullptr;
  auto* block = static_cast<Block*>(memory);
  block->room = room;
  return block + 1;
}

void* Heap::carve(std::size_t order) {
  Block*& released = released_[order];
  if (released != nullptr) {
    Block* block = released;
    released = block->next;
    return block;
  }
  const std::size_t room = std::size_t{1} << order;
  if (slab_left_ < room) {  // what is left of the old slab stays unused
    void* slab = map(kSlab);
    if (slab == nullptr) return nullptr;
    slab_ = static_cast<std::byte*>(slab);
    slab_left_ = kSlab;
  }
  slab_left_ -= room;
  slab_ += room;
  return slab_ - room;
}

void* Heap::resize(void* memory, std::size_t size) {
  if (memory == nullptr) return allocate(size);
  if (size > PTRDIFF_MAX) return nullptr;
  Block* block = static_cast<Block*>(memory) - 1;
  const std::size_t room = size + sizeof(Block);
  if (block->room > kLargest && room > kLargest) {
    void* moved = ::mremap(block, block->room, room, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) return nullptr;
    block = static_cast<Block*>(moved);
    block->room = room;
    return block + 1;
  }
  void* other = allocate(size);
  if (other == nullptr) return nullptr;
  std::memcpy(other, memory, std::min(block->room - sizeof(Block), size));
  release(memory);
  return other;
}

void Heap::release(void* memory) {
  if (memory == nullptr) return;
  Block* block = static_cast<Block*>(memory) - 1;
  if (block->room > kLargest) {
    ::munmap(block, block->room);
    return;
  }
  Block*& released = released_[static_cast<std::size_t>(std::countr_zero(block->room))];
  block->next = released;
  released = block;
}

}  // namespace flannelette
