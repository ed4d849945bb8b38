// SPDX-License-Identifier: Apache-2.0
#include "agent/members.hpp"

#include <utility>

namespace flannelette::agent {
namespace {

bool is_harmful(overlay::Ignored why) {
  return why == overlay::Ignored::kHoldsProtected || why == overlay::Ignored::kHoldsPublicIp;
}

}  // namespace

void Members::on_snapshot_begin() {
  listing_ = Listing::kArriving;
  table_.begin_listing();
}

void Members::on_snapshot_abort() {
  listing_ = Listing::kNone;
  table_.abort_listing();
  listener_.on_members_interrupted();
}

void Members::on_snapshot_end() {
  listing_ = Listing::kComplete;
  table_.end_listing();
  full_reported_ = full_reported_ && table_.full();
  listener_.on_members_listed();
  changes_reported_ = table_.changes();
  listener_.on_members_changed();  // whatever waited for the end of the list
}

void Members::on_record(const overlay::LeaseRecord& record) {
  bool stored = true;
  const std::uint32_t before = table_.changes();
  const overlay::Ignored why = table_.upsert(record, &stored);
  if (!stored) {
    if (!std::exchange(full_reported_, true)) {
      log_.error("the table of leases is full for this machine's memory; more are not programmed",
                 {{"limit", std::uint64_t{table_.limit()}}, {"subnet", record.key.subnet}});
    }
    return;
  }
  if (table_.changes() == before) return;  // said again, as a Node's heartbeat does
  if (why == overlay::Ignored::kNo || why == overlay::Ignored::kOurs) return;
  if (why == overlay::Ignored::kOurPublicIp && !joined_) return;
  if (is_harmful(why)) return log_harmful(record.key, why);
  const auto key = to_text<overlay::LeaseKey::kMaxText>([&](Writer& out) { write(out, record.key); });
  log_.warning("peer ignored",
               {{"key", key.view()}, {"public_ip", record.value.public_ip}, {"reason", name(why)}});
}

void Members::log_harmful(const overlay::LeaseKey& key, overlay::Ignored why) {
  static constexpr const char* kText =
      "peer ignored: its route would hide an address that must be reached directly";
  const auto* held =
      why == overlay::Ignored::kHoldsProtected ? underlay_.protected_addresses().in(key.subnet) : nullptr;
  if (held == nullptr) return log_.warning(kText, {{"subnet", key.subnet}, {"reason", name(why)}});
  log_.warning(
      kText,
      {{"subnet", key.subnet}, {"reason", name(why)}, {"holds", held->ip}, {"which_is", name(held->kind)}});
}

void Members::report_harmful(const overlay::ProtectedAddresses& known) {
  struct Harmful final : overlay::LeaseTable::IgnoredVisitor {
    Harmful(Members& the_members, const overlay::ProtectedAddresses& already)
        : members(the_members), known(already) {}
    void ignored(const overlay::LeaseKey& key, overlay::Ignored why) override {
      const bool news = why == overlay::Ignored::kHoldsProtected ? known.in(key.subnet) == nullptr
                                                                 : known.begin() == known.end();
      if (is_harmful(why) && news) members.log_harmful(key, why);
    }
    Members& members;
    const overlay::ProtectedAddresses& known;
  } harmful(*this, known);
  table_.visit_ignored(harmful);
}

void Members::on_removed(const overlay::LeaseKey& key, std::int64_t modified) {
  table_.remove(key, modified);
}

void Members::on_events_end() {
  if (table_.changes() == changes_reported_) return;
  changes_reported_ = table_.changes();
  listener_.on_members_changed();
}

void Members::on_skipped(std::string_view key, registry::Skipped why) {
  switch (why) {
    case registry::Skipped::kForeignKey:
      return log_.info("a key that is no lease is left alone", {{"key", key}});
    case registry::Skipped::kTooLarge:
      return log_.warning("a registry entry is over the size limit and was skipped", {{"key", key}});
  }
}

void Members::report_shadowed() {
  struct Conflicts final : overlay::LeaseTable::IgnoredVisitor {
    void ignored(const overlay::LeaseKey& key, overlay::Ignored reason) override {
      if (reason != overlay::Ignored::kConflict) return;
      digest.mix(key.subnet.base.value);
      digest.mix(key.subnet.length);
      if (log != nullptr)
        log->warning("peer shadowed by a conflicting lease",
                     {{"subnet", key.subnet}, {"reason", name(reason)}});
    }
    Log* log = nullptr;
    Fnv1a digest;
  };
  Conflicts found;
  if (table_.counts().conflicts != 0) table_.visit_ignored(found);
  if (found.digest.value() == shadowed_) return;
  shadowed_ = found.digest.value();
  found.log = &log_;
  table_.visit_ignored(found);
}

}  // namespace flannelette::agent
