// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <type_traits>

#include "flannelette/overlay/lease.hpp"
#include "flannelette/overlay/peer_table.hpp"

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

/// What of a value decides whether it is a peer.
enum class Form : std::uint8_t {
  kUnreadable,
  kNoBackend,
  kOtherBackend,
  kVxlanWithoutData,
  kVxlan,          ///< with `vni`
  kVxlanAnyVni,    ///< VNI absent
  kVxlanWrongVni,  ///< VNI beyond 24 bits
};

/// One lease of the cluster, and what we know about its entries in the kernel.
struct PeerRecord {
  std::uint32_t base;   ///< as in the key, host bits kept
  std::uint32_t hash6;  ///< of the key's IPv6 part; 0: it has none
  std::uint32_t public_ip;
  std::uint32_t scratch;  ///< group while settling, permutation in MAC order during an audit; belongs to the
                          ///< place, not to the record
  Age created;
  Age modified;
  Mac mac;
  std::uint8_t length;
  std::uint8_t vni_bytes[3];
  // All states fit into 16 bits.
  std::uint16_t form : 3;        ///< Form
  std::uint16_t reason : 4;      ///< Ignored
  std::uint16_t listed : 1;      ///< seen in the listing under way
  std::uint16_t programmed : 1;  ///< its entries are in the kernel
  std::uint16_t planned : 1;     ///< its entries were emitted and not committed yet
  std::uint16_t seen_neighbour : 1;
  std::uint16_t seen_fdb : 1;
  std::uint16_t seen_route : 1;   ///< ... or it stays as it is while the other entries change
  std::uint16_t fdb_present : 1;  ///< (mac, remote) is there, permanent or not
  std::uint16_t shadowed : 1;     ///< settling: overlaps an accepted record
  std::uint16_t contested : 1;    ///< settling: shares a MAC or overlaps

  Net4 subnet() const { return {{base}, length}; }
  std::uint32_t start() const { return subnet().masked().base.value; }
  std::uint32_t end() const { return subnet().last().value; }
  Ignored ignored() const { return static_cast<Ignored>(reason); }
  void set_ignored(Ignored why) { reason = static_cast<std::uint16_t>(why) & 15; }
  std::uint32_t vni() const {
    return vni_bytes[0] | std::uint32_t{vni_bytes[1]} << 8 | std::uint32_t{vni_bytes[2]} << 16;
  }
  bool winner() const { return ignored() == Ignored::kNo; }
  /// Valid on its own: it takes part in the conflict rule.
  bool valid() const { return ignored() == Ignored::kNo || ignored() == Ignored::kConflict; }
  Form value_form() const { return static_cast<Form>(form); }
  bool readable() const { return value_form() != Form::kUnreadable; }
  bool seen_any() const { return seen_neighbour || seen_fdb || seen_route; }
  bool seen_all() const { return seen_neighbour && seen_fdb && seen_route; }
  /// Its entries are, or may be, in the kernel.
  bool maybe_in_kernel() const { return programmed || planned || seen_any(); }
  void clear_seen() { seen_neighbour = seen_fdb = seen_route = fdb_present = 0; }
  void count_in(PeerCounts& counts) const {
    counts.peers += winner();
    counts.ignored += !winner() && ignored() != Ignored::kOurs;
  }
  /// The changes that make its entries.
  Change neighbour() const {
    return {.kind = Change::Kind::kUpsertNeighbour, .subnet = subnet(), .mac = mac, .remote = {}};
  }
  Change fdb() const {
    return {.kind = Change::Kind::kUpsertFdb, .subnet = {}, .mac = mac, .remote = {public_ip}};
  }
  Change route() const {
    return {.kind = Change::Kind::kUpsertRoute, .subnet = subnet(), .mac = {}, .remote = {}};
  }
  LeaseKey key() const { return {subnet(), hash6 != 0 ? std::optional(PeerTable::kSomeNet6) : std::nullopt}; }
};
static_assert(sizeof(PeerRecord) <= 40, "the memory of large networks is this times their nodes");
static_assert(std::is_trivially_copyable_v<PeerRecord>, "records are moved with realloc and memmove");

/// Where a record stands in the table: by subnet, a prefix before what it contains, then by identity.
struct PeerPlace {
  std::uint32_t start;
  std::uint8_t length;
  std::uint32_t base;
  std::uint32_t hash6;
  auto operator<=>(const PeerPlace&) const = default;
};
inline PeerPlace place_of(const PeerRecord& r) { return {r.start(), r.length, r.base, r.hash6}; }
PeerPlace place_of(const LeaseKey& key);

PeerRecord make_record(const LeaseRecord& lease);
/// The way back, for a vxlan record.
LeaseRecord lease_of(const PeerRecord& record);
/// Why it is no candidate, judged on its own; kNo if it is one.
Ignored judge_record(const PeerRecord& record, const LocalNode& local);

}  // namespace flannelette::overlay
