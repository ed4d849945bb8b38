// SPDX-License-Identifier: Apache-2.0
// A growing array of plain values, and how to sort it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <type_traits>

#include "flannelette/base/fatal.hpp"
#include "flannelette/base/sort.hpp"

namespace flannelette {

/// A growing array of plain values, moved by realloc (which remaps large blocks instead of copying them). Out
/// of memory ends the process.
template <class T>
class PlainArray {
 public:
  PlainArray() = default;
  PlainArray(const PlainArray&) = delete;
  PlainArray& operator=(const PlainArray&) = delete;
  ~PlainArray() { std::free(data_); }

  operator std::span<T>() { return {data_, size_}; }  // NOLINT: implicit on purpose
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }

  void append(const T& value) {
    if (size_ == capacity_) resize_storage(capacity_ + capacity_ / 2 + kFirst);
    data_[size_++] = value;
  }
  void insert(std::size_t at, const T& value) {
    append(value);
    std::memmove(data_ + at + 1, data_ + at, (size_ - 1 - at) * sizeof(T));
    data_[at] = value;
  }
  void erase(std::size_t first, std::size_t last) {
    if (first == last) return;
    std::memmove(data_ + first, data_ + last, (size_ - last) * sizeof(T));
    size_ -= last - first;
  }
  void truncate(std::size_t size) { size_ = size; }
  void reserve(std::size_t capacity) {
    if (capacity > capacity_) resize_storage(capacity);
  }
  /// Gives back what is far beyond need; `keep` is a capacity that is never given back.
  void shrink(std::size_t keep) {
    const std::size_t wanted = size_ > keep ? size_ : keep;
    if (capacity_ > 2 * wanted) resize_storage(wanted);
  }

 private:
  static constexpr std::size_t kFirst = 64;

  void resize_storage(std::size_t capacity) {
    static_assert(std::is_trivially_copyable_v<T>);
    void* moved = std::realloc(data_, capacity * sizeof(T));
    if (moved == nullptr) die("out of memory");
    data_ = static_cast<T*>(moved);
    capacity_ = capacity;
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// sort_things() with memory of its own.
template <class T>
void sort_array(PlainArray<T>& things, Before before) {
  PlainArray<std::uint32_t> memory;
  memory.reserve(things.size());
  sort_things(things.begin(), {memory.begin(), things.size()}, before);
}

}  // namespace flannelette
