// SPDX-License-Identifier: Apache-2.0
// LeaseTable's inside, for its own sources and for the entry plan.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>

#include "flannelette/base/plain_array.hpp"
#include "flannelette/overlay/lease_table.hpp"
#include "peer_record.hpp"

namespace flannelette::overlay {

/// Where a record stands in the table: by subnet, a prefix before what it contains, then by identity.
struct PeerPlace {
  std::uint64_t subnet;    ///< first address, then length
  std::uint32_t base = 0;  ///< host bits kept
  const Net6* net6 = nullptr;

  /// Before every record that begins there with this prefix length or a longer one.
  PeerPlace(std::uint32_t start, std::uint8_t length) : subnet(std::uint64_t{start} << 8 | length) {}
  PeerPlace(std::uint32_t start, std::uint8_t length, std::uint32_t key_base, const Net6* key6)
      : subnet(std::uint64_t{start} << 8 | length), base(key_base), net6(key6) {}
  PeerPlace(Net4 key, const Net6* key6)
      : PeerPlace(key.masked().base.value, key.length, key.base.value, key6) {}
  explicit PeerPlace(const LeaseKey& key) : PeerPlace(key.subnet, key.subnet6 ? &*key.subnet6 : nullptr) {}
  std::strong_ordering operator<=>(const PeerPlace& other) const;
};

/// The IPv6 part of a dual-stack key.
struct KeptNet6 {
  Net6 net;
  std::uint32_t next_free = 0;  ///< while it is unused
};

/// Hears of each record that changes or goes, before it does: what it has in the kernel is wanted no more.
class RecordObserver {
 public:
  /// `replaced`: its subnet gets another value, else nothing of it stays.
  virtual void retire(PeerRecord& record, bool replaced) = 0;

 protected:
  ~RecordObserver() = default;
};

/// Sources: lease_table.cpp (storage, ways in), conflicts.cpp (the conflict rule), subnet_choice.cpp
/// (questions about subnets).
struct LeaseTable::Impl {
  /// More changes than these since conflicts were resolved last are resolved by the full rule instead of by
  /// comparing each with all.
  static constexpr std::size_t kMaxTouched = 16;

  /// A version of a valid record that came or went since conflicts were resolved last.
  struct Touched {
    PeerRecord version;
    bool conflicts_with(const PeerRecord& other) const;
    bool is(const PeerRecord& record) const {
      return version.base == record.base && version.length == record.length && version.net6 == record.net6;
    }
  };

  explicit Impl(std::size_t max_records) : limit(max_records) {}

  const std::size_t limit;
  LocalNode local;
  PlainArray<PeerRecord> records;
  /// Records up to here are in order; beyond are those that a listing has just brought.
  std::size_t sorted = 0;
  /// IPv6 parts of keys; empty where no key has one.
  PlainArray<KeptNet6> nets6;
  std::uint32_t free_net6 = 0;  ///< the first unused one, as PeerRecord::net6 counts; 0: none
  std::array<Touched, kMaxTouched> touched{};
  std::size_t touched_count = 0;
  /// Counts all that may change who is a peer or what a peer is.
  std::uint32_t changes = 0;
  bool in_listing = false;
  bool resolve_all = false;  ///< the full rule is needed
  PeerCounts counts;
  RecordObserver* observer = nullptr;

  // lease_table.cpp
  void ensure_sorted();
  /// The first record that is not before it.
  std::size_t find_place(const PeerPlace& place) const;
  bool holds(std::size_t index, const PeerPlace& place) const {
    return index < records.size() && place_of(records[index]) <=> place == 0;
  }
  PeerPlace place_of(const PeerRecord& record) const {
    return PeerPlace(record.start(), record.length, record.base,
                     record.net6 != 0 ? &nets6[record.net6 - 1].net : nullptr);
  }
  LeaseKey key_of(const PeerRecord& record) const;
  PeerRecord* winner_at(Ip4 base);
  void touch(const PeerRecord& version);
  void replace(PeerRecord& have, const PeerRecord& fresh);
  void insert(std::size_t index, PeerRecord& fresh, const LeaseKey& key);
  /// The record is about to go.
  void leave(PeerRecord& record);
  void count(const PeerRecord& record, int change);
  void count_all();
  void drop_net6(const PeerRecord& record);

  // conflicts.cpp
  void resolve_conflicts();
  bool conflicts(const Touched& t) const;  ///< with another valid record
  void resolve_by_rule();
  bool configured(const PeerRecord& r) const { return r.length == local.config.subnet_len; }
  // Orders of two records, given as indices.
  bool before_at_its_address(std::uint32_t i, std::uint32_t j);
  bool before_by_mac(std::uint32_t i, std::uint32_t j) {
    return number_of(records[i].mac) < number_of(records[j].mac);
  }
  bool before_among_contested(std::uint32_t i, std::uint32_t j);
  void choose_at_each_address(PlainArray<std::uint32_t>& order);
  std::uint32_t group_by_mac(PlainArray<std::uint32_t>& order);
  void mark_overlaps();
  void accept(std::size_t index);
};

}  // namespace flannelette::overlay
