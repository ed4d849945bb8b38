// SPDX-License-Identifier: Apache-2.0
// EntryPlan's inside.
#pragma once

#include <cstddef>
#include <cstdint>

#include "flannelette/overlay/backend.hpp"
#include "flannelette/overlay/entry_plan.hpp"
#include "lease_table_impl.hpp"

namespace flannelette::overlay {

/// An entry that is, or may be, in the kernel and is wanted no more: from a record that changed or went, or
/// found by an audit. Whether a winner needs its key after all is decided when it is emitted.
struct Unwanted {
  std::uint32_t ip = 0;           ///< base of the entry's net; sender: via; not of FDB
  std::uint32_t metric = 0;       ///< route
  Mac mac{};                      ///< FDB
  std::uint8_t length = 0;        ///< route
  std::uint8_t tos = 0;           ///< route
  std::uint8_t kind : 3 = 0;      ///< Entry::Kind
  std::uint8_t underlay : 1 = 0;  ///< as Entry has it

  Entry entry() const;
};
static_assert(sizeof(Unwanted) == 20);

/// Sources: entry_plan.cpp (plan, commit, deletions), entry_audit.cpp (audit).
struct EntryPlan::Impl final : RecordObserver {
  /// Capacity that the list of unwanted entries keeps from event to event.
  static constexpr std::size_t kKeptUnwanted = 64;

  enum class Phase : std::uint8_t {
    kStale,     ///< what is in the kernel is not known: only an audit helps
    kAuditing,  ///< the `seen` bits are being set
    kAudited,   ///< finish_audit's changes wait for commit()
    kInSync,    ///< the `programmed` bits are true
    kPlanned,   ///< ... and plan's changes wait for commit()
  };

  explicit Impl(LeaseTable::Impl& of) : table(of) { table.observer = this; }
  ~Impl() { table.observer = nullptr; }

  LeaseTable::Impl& table;
  Phase phase = Phase::kStale;
  bool incomplete = false;       ///< the last audit does not know all that is stale
  std::uint32_t covered = 0;     ///< table.changes as the last plan or audit knows it
  bool senders = false;          ///< peers have some
  bool senders_complete = true;  ///< the entry that says so is there, or is not wanted
  Entry::Kind order_of{};        ///< the last order of winners was that of their keys of this kind ...
  std::uint32_t order_for = 0;   ///< ... at this table.changes: `scratch` of the first records has ...
  std::size_t order_size = 0;    ///< ... so many of them
  std::size_t rival = 0;         ///< the index that rival_of() found last
  std::uint64_t compared = 0;    ///< indexes that it tried
  PlainArray<Unwanted> unwanted;
  std::size_t unwanted_emitted = 0;  ///< the first ones, which the last plan emitted

  // entry_plan.cpp
  void retire(PeerRecord& record, bool replaced) override;
  void enter_stale();
  const Backend& backend() const { return backend_of(table.local.config); }
  bool push_unwanted(const Entry& entry);  ///< false: the list is full
  /// What a peer is of this kind, unless it is there already. True if there was something to put.
  bool put(ChangeSink& sink, const PeerRecord& peer, Entry::Kind kind);
  /// What a peer, if there is one, is of this kind, if anything.
  std::optional<Entry> entry_of(const PeerRecord* peer, Entry::Kind kind) const;
  void emit(ChangeSink& sink, std::size_t first, std::size_t last);
  void forget_unwanted(std::size_t count);
  /// In the order of removal, leaving out what a winner needs. All puts must have been emitted.
  void emit_deletions(ChangeSink& sink);
  PeerRecord* winner_of(Net4 subnet);

  // entry_audit.cpp
  struct Comparison {
    PeerRecord* winner;  ///< has an entry with this key, or may have one
    bool want;           ///< it has
    bool alike;          ///< just so, but for `permanent`
  };
  Comparison compare(const Entry& have);
  PeerRecord* winner_in_place_of(const Entry& have);
  void order_by_key(Entry::Kind kind);
  /// That with this MAC (kFdb) or PublicIP (kSender).
  PeerRecord* winner_with(std::uint64_t key, Entry::Kind kind);
  /// The same, always by the order of keys.
  PeerRecord* ordered_winner(std::uint64_t key, Entry::Kind kind);

  // peer_status.cpp
  /// A winner that the record of this index gives way to; nullptr: there is none.
  const PeerRecord* rival_of(std::size_t index);
};

}  // namespace flannelette::overlay
