// SPDX-License-Identifier: Apache-2.0
// The members of the cluster as the registry delivers them, and what is reported of those that are no peers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "agent/underlay_watch.hpp"
#include "flannelette/base/fnv.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/overlay/lease_table.hpp"
#include "flannelette/registry/registry.hpp"

namespace flannelette::agent {

/// Fills the lease table. A record that is refused is reported once, when it comes or becomes so.
class Members final : public registry::MemberListener {
 public:
  class Listener {
   public:
    virtual void on_members_listed() = 0;       ///< a snapshot is complete
    virtual void on_members_interrupted() = 0;  ///< it was cut
    virtual void on_members_changed() = 0;      ///< by all that one message said

   protected:
    ~Listener() = default;
  };

  /// `underlay` knows the protected addresses.
  Members(Log& log, std::size_t limit, const UnderlayWatch& underlay, Listener& listener)
      : log_(log), underlay_(underlay), listener_(listener), table_(limit) {}

  overlay::LeaseTable& table() { return table_; }
  /// Between the beginning of a snapshot and its end.
  bool arriving() const { return listing_ == Listing::kArriving; }
  /// A snapshot was complete, and no other has begun.
  bool listed() const { return listing_ == Listing::kComplete; }
  /// We are a member. Before, a record under our address is most likely our own from before the restart.
  void set_joined() { joined_ = true; }

  /// Reports the records whose subnet holds a protected address, but not those that held one of `known`.
  void report_harmful(const overlay::ProtectedAddresses& known);
  /// Reports the peers that are shadowed by another record, if the number of ignored records has changed.
  void report_shadowed();

  void on_snapshot_begin() override;
  void on_snapshot_end() override;
  void on_snapshot_abort() override;
  void on_record(const overlay::LeaseRecord& record) override;
  void on_removed(const overlay::LeaseKey& key, std::int64_t modified) override;
  void on_events_end() override;
  void on_skipped(std::string_view key, registry::Skipped why) override;

 private:
  void log_harmful(const overlay::LeaseKey& key, overlay::Ignored why);

  Log& log_;
  const UnderlayWatch& underlay_;
  Listener& listener_;
  overlay::LeaseTable table_;
  enum class Listing : std::uint8_t { kNone, kArriving, kComplete } listing_ = Listing::kNone;
  std::uint32_t changes_reported_ = 0;  ///< those of the table that the listener knows of
  bool joined_ = false;
  bool full_reported_ = false;
  std::uint64_t shadowed_ = Fnv1a().value();  ///< digest of those that were reported
};

}  // namespace flannelette::agent
