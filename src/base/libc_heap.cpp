// SPDX-License-Identifier: Apache-2.0
// Heap in the place of libc's own, for the whole program (FLANNELETTE_SMALL_HEAP).
#include <cstring>

#include "base/heap.hpp"

namespace {

constinit flannelette::Heap heap;

}  // namespace

extern "C" {
void* malloc(std::size_t size) { return heap.allocate(size); }
void* realloc(void* memory, std::size_t size) { return heap.resize(memory, size); }
void free(void* memory) { heap.release(memory); }
void* calloc(std::size_t count, std::size_t size) {
  std::size_t all;
  if (__builtin_mul_overflow(count, size, &all)) return nullptr;
  void* memory = heap.allocate(all);
  return memory == nullptr ? nullptr : std::memset(memory, 0, all);
}
}
