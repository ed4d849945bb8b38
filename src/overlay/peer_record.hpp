// SPDX-License-Identifier: Apache-2.0
// A lease as the table keeps it: 40 bytes.
#pragma once

#include <compare>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "flannelette/overlay/entry.hpp"
#include "flannelette/overlay/ignored.hpp"
#include "flannelette/overlay/lease.hpp"
#include "flannelette/overlay/lease_table.hpp"
#include "flannelette/overlay/local_node.hpp"

namespace flannelette::overlay {

/// An age of the registry in 48 bits: 10,000 writes a second reach the limit after 800 years, there it
/// saturates.
class Age {
 public:
  Age() = default;
  explicit Age(std::int64_t value) {
    constexpr std::int64_t kMax = (std::int64_t{1} << 48) - 1;
    const auto v = static_cast<std::uint64_t>(value < 0 ? 0 : value > kMax ? kMax : value);
    for (int i = 0; i < 3; ++i) part_[i] = static_cast<std::uint16_t>(v >> (16 * i));
  }
  std::int64_t value() const {
    return static_cast<std::int64_t>(part_[0] | std::uint64_t{part_[1]} << 16 |
                                     std::uint64_t{part_[2]} << 32);
  }

 private:
  std::uint16_t part_[3]{};
};

/// What of a vxlan value's data decides whether it is a peer.
enum class VxlanData : std::uint8_t {
  kNone,
  kVni,       ///< with `vni`
  kAnyVni,    ///< VNI absent
  kWrongVni,  ///< VNI beyond 24 bits
};

/// Orders MACs, in an order that costs little.
inline std::uint64_t number_of(const Mac& mac) {
  std::uint64_t number = 0;
  std::memcpy(&number, mac.bytes.data(), mac.bytes.size());
  return number;
}

/// A bit for each kind of Entry.
inline constexpr unsigned kAllKinds = 31;

/// One lease of the cluster, and what it has in the kernel.
struct PeerRecord {
  std::uint32_t base;       ///< as in the key, host bits kept
  std::uint32_t net6 : 26;  ///< the key's IPv6 part: 1 + its index in the table's list of them; 0: none
  std::uint32_t form : 6;   ///< BackendType, VxlanData, whether it is readable
  std::uint32_t public_ip;
  /// Group while conflicts are resolved; later permutation of the winners in the order of a key, where they
  /// are searched. Belongs to the place, not to the record.
  std::uint32_t scratch;
  Age created;
  Age modified;
  Mac mac;
  // The table's states:
  std::uint16_t reason : 4;    ///< Ignored
  std::uint16_t listed : 1;    ///< seen in the listing under way
  std::uint16_t shadowed : 1;  ///< resolving: overlaps an accepted record
  // The entry plan's:
  std::uint16_t programmed : 1;  ///< its entries are in the kernel
  std::uint16_t planned : 1;     ///< its entries were emitted and not committed yet
  std::uint16_t seen : 5;        ///< by Entry::Kind: is there, or stays while the other entries change
  std::uint16_t routed : 1;      ///< the audit has met a route in the place of its own
  std::uint16_t refused : 1;     ///< the kernel did not take its route when it was asked last
  std::uint16_t asked : 1;       ///< whether `direct` is the answer for this PublicIP
  std::uint32_t vni : 24;
  std::uint32_t length : 6;
  // The entry plan's, too:
  std::uint32_t refusing : 1;  ///< `refused`, of the changes that wait for commit()
  std::uint32_t direct : 1;    ///< as EntryPlan::ask_direct was told

  Net4 subnet() const { return {{base}, static_cast<std::uint8_t>(length)}; }
  std::uint32_t mask() const { return static_cast<std::uint32_t>(~std::uint64_t{0} << (32 - length)); }
  std::uint32_t start() const { return base & mask(); }
  std::uint32_t end() const { return base | ~mask(); }
  Ignored ignored() const { return static_cast<Ignored>(reason); }
  void set_ignored(Ignored why) { reason = static_cast<std::uint16_t>(why) & 15; }
  bool winner() const { return ignored() == Ignored::kNo; }
  /// Valid on its own: it takes part in the conflict rule.
  bool valid() const { return ignored() == Ignored::kNo || ignored() == Ignored::kConflict; }
  BackendType backend() const { return static_cast<BackendType>(form & 7); }
  VxlanData data() const { return static_cast<VxlanData>(form >> 3 & 3); }
  bool readable() const { return form >> 5 != 0; }
  bool has_seen(Entry::Kind kind) const { return (seen >> static_cast<int>(kind) & 1) != 0; }
  void set_seen(Entry::Kind kind) { seen |= (1u << static_cast<int>(kind)) & kAllKinds; }
  void set_unseen(Entry::Kind kind) { seen &= ~(1u << static_cast<int>(kind)) & kAllKinds; }
  /// Its entries are, or may be, in the kernel.
  bool maybe_in_kernel() const { return programmed || planned || seen != 0; }
  void clear_seen() { seen = routed = 0; }
};
static_assert(sizeof(PeerRecord) <= 40, "the memory of large networks is this times their nodes");
static_assert(std::is_trivially_copyable_v<PeerRecord>, "records are moved with realloc and memmove");

/// Of a record that is not in a table yet and has an IPv6 part.
inline constexpr std::uint32_t kNet6Unset = (1u << 26) - 1;
static_assert(LeaseTable::kMaxRecords < kNet6Unset);

PeerRecord make_record(const LeaseRecord& lease);
/// The value that a readable record was made of.
LeaseValue value_of(const PeerRecord& record);
/// Why it is no candidate on its own merits; kNo if it is one.
Ignored validate(const PeerRecord& record, const LocalNode& local);

}  // namespace flannelette::overlay
