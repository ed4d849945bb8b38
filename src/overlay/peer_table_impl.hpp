// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "flannelette/base/fatal.hpp"
#include "flannelette/base/sort.hpp"
#include "peer_record.hpp"

namespace flannelette::overlay {

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
    void* moved = std::realloc(data_, capacity * sizeof(T));
    if (moved == nullptr) die("out of memory for the table of leases");
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

/// An entry that is, or may be, in the kernel and is wanted no more: from a record that changed or went, or
/// found by an audit. Whether a winner needs its key after all is decided when it is emitted.
struct Unwanted {
  enum Kind : std::uint8_t { kRoute, kNeighbour, kFdb };  // in the order of removal

  std::uint32_t ip = 0;      ///< route: destination; neighbour: address; FDB: remote
  std::uint32_t metric = 0;  ///< route
  Mac mac{};                 ///< FDB
  std::uint8_t length = 0;   ///< route
  std::uint8_t kind : 2 = kRoute;
  std::uint8_t from_audit : 1 = 0;  ///< found in a dump; forgotten if the audit is aborted
  std::uint8_t keep : 1 = 0;        ///< while emitting: a winner needs it
};
static_assert(sizeof(Unwanted) == 16);

/// PeerTable's inside. Sources: peer_table.cpp (storage, ways in), peer_settle.cpp (the conflict rule),
/// peer_plan.cpp (plan), peer_audit.cpp (audit), subnet_choice.cpp (questions about subnets).
struct PeerTable::Impl {
  /// More changes than these since the last settling are settled by the full rule instead of by comparing
  /// each with all.
  static constexpr std::size_t kMaxTouched = 16;
  /// Capacity that the list of unwanted entries keeps from event to event.
  static constexpr std::size_t kKeptUnwanted = 64;

  /// A version of a valid record that came or went since the last settling.
  struct Touched {
    PeerPlace place;
    std::uint32_t end;  ///< the subnet's last address
    std::uint32_t public_ip;
    Mac mac;
    bool conflicts_with(const PeerRecord& other) const;
  };

  explicit Impl(std::size_t max_records) : limit(max_records) {}

  const std::size_t limit;
  LocalNode local;
  PlainArray<PeerRecord> records;
  std::size_t sorted =
      0;  ///< records up to here are in order; beyond are those that a listing has just brought
  PlainArray<Unwanted> unwanted;
  std::size_t unwanted_emitted = 0;  ///< the first ones, which the last plan emitted
  std::size_t unwanted_before_audit = 0;
  std::array<Touched, kMaxTouched> touched{};
  std::size_t touched_count = 0;

  bool in_listing = false;
  bool settle_all = false;   ///< the full rule is needed
  bool dirty = false;        ///< something changed that the last plan does not know
  bool counted = false;      ///< `counts` holds for the records as they are
  bool uncommitted = false;  ///< the last plan, or audit, was not committed yet
  bool audited = false;      ///< the programmed bits are true
  bool in_audit = false;
  bool audit_finished = false;  ///< ... and waits for commit()
  bool dirty_before_audit = false;
  bool incomplete = false;  ///< the audit under way found more than can be remembered
  bool more_stale = false;  ///< the last audit did, or the table changed under it
  bool mac_ordered =
      false;  ///< audit: `scratch` of the first records holds the winners in the order of their MACs
  std::size_t mac_order_size = 0;  ///< ... that many
  PeerCounts counts;

  // peer_table.cpp
  void ensure_sorted();
  std::size_t find_place(const PeerPlace& place) const;  ///< the first record that is not before it
  bool holds(std::size_t index, const PeerPlace& place) const {
    return index < records.size() && place_of(records[index]) == place;
  }
  void changed() {
    dirty = true;
    counted = false;
  }
  void touch(const PeerRecord& version);
  /// The record changes or goes: what it has in the kernel is unwanted.
  void retire(PeerRecord& record);
  void replace(PeerRecord& have, const PeerRecord& fresh);
  bool push_unwanted(const Unwanted& entry);  ///< false: the list is full

  // peer_settle.cpp
  void settle();
  bool conflicts(const Touched& t) const;  ///< with another valid record
  void settle_by_rule();
  bool configured(const PeerRecord& r) const { return r.length == local.config.subnet_len; }
  // Orders of two records, given as indices.
  bool before_at_its_address(std::uint32_t i, std::uint32_t j);
  bool before_by_mac(std::uint32_t i, std::uint32_t j) { return records[i].mac < records[j].mac; }
  bool before_among_contested(std::uint32_t i, std::uint32_t j);
  void accept(std::size_t index);

  // peer_plan.cpp
  /// In the order of removal, leaving out what a winner needs. All upserts must have been emitted.
  void emit_deletions(ChangeSink& sink);
  void keep_fdb_of_winners();
  PeerRecord* winner_at(Ip4 base);
  PeerRecord* winner_of(Net4 subnet);

  // peer_audit.cpp
  void forget_audit();
  void order_by_mac();
  PeerRecord* winner_with(const Mac& mac);
};

}  // namespace flannelette::overlay
