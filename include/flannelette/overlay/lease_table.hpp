// SPDX-License-Identifier: Apache-2.0
// All leases of the cluster: which of them are peers, and which subnets they take.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "flannelette/base/ip.hpp"
#include "flannelette/base/random.hpp"
#include "flannelette/overlay/allocation.hpp"
#include "flannelette/overlay/ignored.hpp"
#include "flannelette/overlay/lease.hpp"
#include "flannelette/overlay/local_node.hpp"

/// Pure. Three ways in: a listing (begin_listing, upsert..., end_listing), single events (upsert, remove),
/// and a change of what we are ourselves (set_local). What a peer is in the kernel is EntryPlan's business.
///
/// THE CONFLICT RULE. Records that are valid on their own may contradict each other: overlapping subnets, one
/// VTEP MAC, one PublicIP. Who wins depends on the set of records alone, never on the order in which they
/// came:
///
///  - A record's identity is its key: subnet and IPv6 part. "Before by subnet" means: lower address, then
///    shorter prefix, then the record without IPv6 part, then the lower IPv6 part.
///  - Phase 1: one node has one lease. Among valid records with the same PublicIP one goes on: a subnet of
///    the configured length before another, then the later modified, then the one before by subnet.
///  - Phase 2: those that went on are ordered: subnets of the configured length before others, then the
///    earlier created, then the one before by subnet. In this order each is accepted, unless its subnet
///    overlaps an accepted one or its MAC is that of an accepted one.
///
/// Both orders are total, because their last criterion is the identity, and no two records share one. So
/// phase 1 has one survivor a PublicIP, phase 2 is one pass over one sequence, and the outcome is a function
/// of the set. A loser stays in the table and is resolved again when a record that it shares something with
/// goes or changes. What no valid record shares anything with is never touched by the rule.
namespace flannelette::overlay {

/// Counts for READY and status.
struct PeerCounts {
  std::size_t records = 0;
  std::size_t peers = 0;      ///< winners, programmed or to be
  std::size_t ignored = 0;    ///< all but kNo, kOurs
  std::size_t conflicts = 0;  ///< those of kConflict
};

class LeaseTable final : public Allocation {
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

  explicit LeaseTable(std::size_t limit = kMaxRecords);
  ~LeaseTable();
  LeaseTable(const LeaseTable&) = delete;
  LeaseTable& operator=(const LeaseTable&) = delete;

  /// Validates all records anew.
  void set_local(const LocalNode& local);

  void begin_listing();
  /// Adds or replaces the record of this key; a record older than what is there (`modified`) is dropped,
  /// unless a listing says it first: a registry that was set up anew counts its ages from the beginning.
  /// Returns why it is not a candidate on its own merits (kNo if it is; kConflict is only known from
  /// visit_ignored). False in `stored` if the table is full.
  Ignored upsert(const LeaseRecord& record, bool* stored = nullptr);
  /// The listing was complete: records not seen in it are removed.
  void end_listing();
  /// The listing was cut: nothing is removed.
  void abort_listing();
  /// A deletion event. `modified` is the deletion's age: a record younger than it stays.
  void remove(const LeaseKey& key, std::int64_t modified);

  // -- Allocation --
  std::optional<Own> find_own(Ip4 public_ip) const override;
  std::optional<Holder> find_holder(Net4 subnet) const override;
  bool taken(Net4 subnet) const override;
  bool fits(Net4 subnet) const override;
  std::optional<Net4> choose_free(const NetworkConfig& config, Random& random) const override;

  /// Another number than before if anything changed that may matter: who is a peer, or what a peer is.
  std::uint32_t changes() const;
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
  /// Every record that is, or could be, a peer (winners and shadowed ones), in subnet order. Same rule.
  class RecordVisitor {
   public:
    virtual void record(const LeaseRecord& record) = 0;

   protected:
    ~RecordVisitor() = default;
  };
  void visit_records(RecordVisitor& visitor) const;
  /// Whether a record that is, or could be, a peer has its PublicIP in this net.
  bool has_public_ip_in(Net4 net) const;
  /// Number of records without BackendType (flanneld's udp backend writes such).
  std::size_t without_backend() const;

 private:
  friend class EntryPlan;  // reads the records, and marks what they have in the kernel
  struct Impl;             // src/overlay/lease_table_impl.hpp
  Impl* impl_;
};

}  // namespace flannelette::overlay
