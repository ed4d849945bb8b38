// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "flannelette/base/ip.hpp"
#include "flannelette/base/random.hpp"
#include "flannelette/overlay/config.hpp"
#include "flannelette/overlay/entry.hpp"
#include "flannelette/overlay/lease.hpp"
#include "flannelette/overlay/protected.hpp"

/// All leases of the cluster, which of them are peers to be programmed, and what must change in the kernel
/// for it. Pure.
///
/// Three ways in: a listing (begin_listing, upsert..., end_listing), single events (upsert, remove), and a
/// change of what we are ourselves (set_local). Two ways out: plan() gives the changes since the last
/// commit(); an audit judges a dump of the kernel's tables entry by entry and then gives what is missing.
/// There is no second copy of the desired or the actual state.
///
/// THE CONFLICT RULE. Records that are valid on their own may contradict each other: overlapping subnets, one
/// VTEP MAC, one PublicIP. Who wins depends on the set of records alone, never on the order in which they
/// came:
///
///  - A record's identity is its key: subnet and IPv6 part. "Before by subnet" means: lower address, then
///    shorter prefix, then the record without IPv6 part, then the lower hash of the IPv6 part.
///  - Phase 1: one node has one lease. Among valid records with the same PublicIP one goes on: a subnet of
///    the configured length before another, then the newer modified, then the one before by subnet.
///  - Phase 2: those that went on are ordered: subnets of the configured length before others, then the
///    older created, then the one before by subnet. In this order each is accepted, unless its
///    subnet overlaps an accepted one or its MAC is that of an accepted one.
///
/// Both orders are total, because their last criterion is the identity, and no two records share one. So
/// phase 1 has one survivor a PublicIP, phase 2 is one pass over one sequence, and the outcome is a function
/// of the set. A loser stays in the table and is judged again when a record that it shares something with
/// goes or changes. What no valid record shares anything with is never touched by the rule.
namespace flannelette::overlay {

/// What we are, for validation. Until our own subnet is known `subnet` is empty and nothing is programmed,
/// nor removed.
struct LocalNode {
  NetworkConfig config;
  Ip4 public_ip;
  std::optional<Net4> subnet;
  std::optional<Mac> mac;
  Ip4 broadcast{};                           ///< of the underlay; 0.0.0.0: it has none
  ProtectedAddresses protected_addresses{};  ///< those in Network
  bool operator==(const LocalNode&) const = default;
};

/// Why a record is not programmed.
enum class Ignored : std::uint8_t {
  kNo,            ///< it is a peer
  kOurs,          ///< our own record: our subnet, under our PublicIP or with our MAC
  kOtherBackend,  ///< another BackendType, or none
  kUnreadable,    ///< the value is not a lease value
  kBadSubnet,     ///< outside Network, Network itself, longer than /30, or host bits set
  kOverlapsOurs,
  kBadPublicIp,  ///< not unicast, loopback, or the underlay's broadcast address
  kOurPublicIp,  ///< another subnet under our own PublicIP
  kBadMac,       ///< absent, zero, multicast
  kOurMac,
  kOtherVni,        ///< an absent VNI is taken for ours, as flanneld takes any
  kHoldsProtected,  ///< its subnet holds a protected address: its route would cut this node off
  kHoldsPublicIp,   ///< its subnet holds its own PublicIP: packets to it would go in circles
  kConflict,  ///< loses against another record (overlap, same MAC or same PublicIP); promoted when that one
              ///< goes
};
std::string_view name(Ignored reason);  ///< a phrase for the log: "its subnet overlaps ours"

/// Counts for READY and status.
struct PeerCounts {
  std::size_t records = 0;
  std::size_t peers = 0;    ///< winners, programmed or to be
  std::size_t ignored = 0;  ///< all but kNo, kOurs
};

class PeerTable {
 public:
  /// Records beyond a limit are refused (reported once by the caller): 40 bytes each, and half of that again
  /// while the table grows. kMaxRecords is the highest limit.
  static constexpr std::size_t kMaxRecords = 1'000'000;
  static constexpr std::size_t kMinRecords = 10'000;
  /// The limit for a machine with so much memory: a sixteenth of it.
  static constexpr std::size_t limit_for(std::uint64_t memory_bytes) {
    const std::uint64_t records = memory_bytes / 16 / 64;
    return static_cast<std::size_t>(records < kMinRecords   ? kMinRecords
                                    : records < kMaxRecords ? records
                                                            : kMaxRecords);
  }
  /// Keys that the table gives back have ::/0 for any IPv6 part: of that part it keeps a hash, which tells
  /// keys apart.
  static constexpr Net6 kSomeNet6{};

  explicit PeerTable(std::size_t limit = kMaxRecords);
  ~PeerTable();
  PeerTable(const PeerTable&) = delete;
  PeerTable& operator=(const PeerTable&) = delete;

  /// Validates all records anew. Does not forget what is programmed.
  void set_local(const LocalNode& local);

  void begin_listing();
  /// Adds or replaces the record of this key; a record older than what is there (modified) is dropped,
  /// unless a listing says it first: a store that was set up anew counts its ages from the beginning.
  /// Returns why it is not a candidate on its own merits (kNo if it is; kConflict is only known after
  /// settle()). False in `stored` if the table is full.
  Ignored upsert(const LeaseRecord& record, bool* stored = nullptr);
  /// The listing was complete: records not seen in it are removed.
  void end_listing();
  /// The listing was cut: nothing is removed.
  void abort_listing();
  /// A deletion event. `modified` is the deletion's: a record younger than it stays.
  void remove(const LeaseKey& key, std::int64_t modified);

  /// Settles conflicts, then hands every change since the last commit to `sink` in an order that never cuts a
  /// live peer: neighbours and FDB, then routes, then deletions of routes, then of neighbours and FDB. A key
  /// that a peer still needs is never deleted. Emits nothing before the first audit is committed, after
  /// invalidate(), during an audit, and while our subnet is unknown. A call without need emits nothing and is
  /// cheap.
  void plan(ChangeSink& sink);
  /// All changes of the last plan() are in the kernel.
  void commit();
  /// They are not, or not all: an audit is needed. plan() emits nothing until one was finished and committed.
  void invalidate();
  bool needs_audit() const;

  /// An audit: begin_audit(), every entry of complete dumps through judge(), then finish_audit().
  /// Entries on our own device only. A dump that was interrupted: abort_audit(), nothing follows from it.
  /// finish_audit emits what is missing or different, then the deletions, in plan()'s order, then commit()
  /// says it is done. Left alone: neighbours and FDB entries that are not permanent and in nobody's place
  /// (the kernel's own). At most kMaxStale deletions (16 bytes each) are collected a pass; more_stale() says
  /// that another audit is needed after this one. Without our subnet finish_audit emits nothing, and the
  /// audit does not count.
  static constexpr std::size_t kMaxStale = 4'000;
  void begin_audit();
  void judge(const Neighbour& have);
  void judge(const Fdb& have);
  void judge(const Route& have);
  void judge(const NextHop& have);  ///< after all routes
  void finish_audit(ChangeSink& sink);
  void abort_audit();
  bool more_stale() const;

  /// The readable record with this PublicIP that is best to take over, our own in an earlier life: a usable
  /// one before another, vxlan before another backend, then the newer modified, then the one before by
  /// subnet. `usable` is a subnet of the configured length, within SubnetMin..SubnetMax (of set_local's
  /// config), without IPv6 part. None for 0.0.0.0, which IPv6-only nodes write.
  struct Own {
    LeaseKey key;
    Mac mac;             ///< zero if the record has none
    bool vxlan = false;  ///< it is a vxlan record
    bool usable = false;
    std::int64_t created = 0;
    std::int64_t modified = 0;
  };
  std::optional<Own> find_own(Ip4 public_ip) const;
  /// The record that holds exactly this subnet, if any; one with an IPv6 part only if there is none without.
  struct Holder {
    LeaseKey key;
    Ip4 public_ip;
    Mac mac;
    std::int64_t modified = 0;
    bool readable = true;
  };
  std::optional<Holder> find_holder(Net4 subnet) const;
  /// Whether any record, readable or not, of whatever backend, overlaps this subnet. A record that covers the
  /// whole Network (the 0.0.0.0-0 of IPv6-only nodes) holds no subnet of it and takes nothing, here and in
  /// choose_free.
  bool taken(Net4 subnet) const;
  /// A subnet chosen uniformly among all that are free: of the configured length, in SubnetMin..SubnetMax,
  /// overlapping no record, holding no protected address. nullopt: none is free.
  std::optional<Net4> choose_free(const NetworkConfig& config, Random& random) const;

  std::size_t limit() const;
  bool full() const;
  PeerCounts counts() const;
  /// Every ignored record in subnet order, for the log after a listing and for status. The visitor must not
  /// change the table.
  class IgnoredVisitor {
   public:
    virtual void ignored(const LeaseKey& key, Ignored reason) = 0;

   protected:
    ~IgnoredVisitor() = default;
  };
  void visit_ignored(IgnoredVisitor& visitor) const;
  /// Every record that is, or could be, a peer (winners and those that wait), in subnet order. Same rule.
  class RecordVisitor {
   public:
    virtual void record(const LeaseRecord& record) = 0;

   protected:
    ~RecordVisitor() = default;
  };
  void visit_records(RecordVisitor& visitor) const;
  /// Number of records without BackendType (flanneld's udp backend writes such).
  std::size_t without_backend() const;

 private:
  struct Impl;  // src/overlay/peer_table_impl.hpp
  Impl* impl_;
};

}  // namespace flannelette::overlay
