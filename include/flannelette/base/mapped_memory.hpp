// SPDX-License-Identifier: Apache-2.0
// Memory that leaves nothing behind.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <span>

namespace flannelette {

/// Memory for what holds secrets, or is large and soon done with. It is zero at first, and the kernel has it
/// back in the end, with what was in it; only as much of it as is touched is ever there.
class MappedMemory {
 public:
  explicit MappedMemory(std::size_t size) : size_(size) {
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, kFlags, -1, 0);
    if (memory != MAP_FAILED) memory_ = static_cast<char*>(memory);
  }
  ~MappedMemory() {
    if (memory_ != nullptr) ::munmap(memory_, size_);
  }
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;

  /// Empty: there is no memory.
  std::span<char> bytes() const { return {memory_, memory_ != nullptr ? size_ : 0}; }

 private:
  char* memory_ = nullptr;
  const std::size_t size_;
};

}  // namespace flannelette
