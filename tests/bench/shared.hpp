// SPDX-License-Identifier: Apache-2.0
// Numbers that a child process fills and its parent reads.
#pragma once

#include <sys/mman.h>

#include <new>
#include <stdexcept>

namespace flannelette::bench {

/// A T of atomics in memory that children forked from now on share.
template <class T>
class Shared {
 public:
  Shared() {
    void* const memory = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("no shared memory");
    value_ = new (memory) T{};
  }
  ~Shared() { munmap(value_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T& operator*() const { return *value_; }
  T* operator->() const { return value_; }

 private:
  T* value_;
};

}  // namespace flannelette::bench
