// SPDX-License-Identifier: Apache-2.0
// Convergence of the entries of peers: audits, changes, and what the kernel refused of them.
#include "agent/entry_sync.hpp"

#include <algorithm>
#include <array>

#include "flannelette/base/fnv.hpp"

namespace flannelette::agent {
namespace {

using overlay::Change;
using overlay::EntryPlan;

/// Rounds of audit in one convergence: each removes up to EntryPlan::kMaxStale entries.
constexpr int kMaxAuditRounds = 64;

/// From what other programs do to the repair, and to the audit where that was much.
constexpr Millis kDelay = 20;
/// So long after entries were lost with the device, by our own work on it too, the kernel tells of them.
constexpr Millis kSettling = 100;
/// Of all entries together, to Repairs.
constexpr std::uint64_t kAllEntries = 1;

constexpr const char* kNames[] = {"route", "nexthop", "neighbour", "fdb", "sender"};  // by Entry::Kind

Repairs::Kind kind_of(const overlay::Entry& entry) { return static_cast<Repairs::Kind>(entry.kind); }

std::uint64_t digest_of(const overlay::Entry& entry) {
  Fnv1a digest;
  digest.mix(static_cast<std::uint64_t>(entry.kind));
  digest.mix(entry.net.base.v4().value);
  digest.mix(entry.net.length);
  if (entry.kind == overlay::Entry::Kind::kSender) digest.mix(entry.via.v4().value);
  for (const std::uint8_t byte : entry.mac.bytes) {
    if (entry.kind == overlay::Entry::Kind::kFdb) digest.mix(byte);
  }
  return digest.value();
}

/// Counts what it passes on, by kind.
struct CountingSink final : overlay::ChangeSink {
  explicit CountingSink(overlay::ChangeSink& to) : next(to) {}
  void change(const Change& change) override {
    ++counts[static_cast<std::size_t>(change.entry.kind)];
    ++total;
    next.change(change);
  }
  overlay::ChangeSink& next;
  std::array<std::uint32_t, std::size(kNames)> counts{};
  std::uint32_t total = 0;
};

struct Auditor final : kernel::EntryVisitor {
  explicit Auditor(EntryPlan& of) : plan(of) {}
  void entry(const overlay::Entry& entry) override { plan.audit_entry(entry); }
  EntryPlan& plan;
};

}  // namespace

bool EntrySync::on_changed(const kernel::Ring& ring, Millis now) {
  if (ring.many) schedule_audit(now, 0);
  bool any = false;
  const bool device =
      ring.has(kernel::Cause::kLinks) || ring.has(kernel::Cause::kAddresses) || now - lost_ <= kSettling;
  for (const kernel::Touched& touched : std::span(ring.touched).first(ring.touched_count)) {
    if (touched.was_foreign) {
      if (has_refused()) schedule_audit(now, 0);  // that was in the way
    } else if (plan_.notice(touched.entry, touched.present)) {
      continue;
    } else if (device && !touched.present && touched.port == 0) {
      // The kernel took it along with the device's state, MAC or address; an FDB entry only with the device
      // itself, whose audit counts no repairs.
      schedule_audit(now, 0, touched.entry.kind == overlay::Entry::Kind::kFdb);
    } else {
      any = repair(touched, now) || any;
    }
  }
  return any;
}

bool EntrySync::repair(const kernel::Touched& touched, Millis now) {
  const overlay::Entry& entry = touched.entry;
  switch (repairs_.damaged(digest_of(entry), now)) {
    case Repairs::Verdict::kPause: schedule_audit(now, Repairs::kPause); return false;
    case Repairs::Verdict::kRepairAndName:
      report("another program keeps changing an entry of the overlay; repaired once a minute from now on",
             touched);
      break;
    case Repairs::Verdict::kRepair:
      report("another program changed an entry of the overlay; it is repaired", touched);
      break;
  }
  repairs_.count(kind_of(entry));
  plan_.repair(entry, touched.present);
  return true;
}

/// The process may be gone, and its id given to another one, which is unlikely so soon.
void EntrySync::report(const char* text, const kernel::Touched& touched) {
  std::array<char, 32> buffer;
  std::string_view program;
  if (touched.port != 0) {
    const auto path =
        to_text<32>([&](Writer& out) { out.put("/proc/").put_unsigned(touched.port).put("/comm"); });
    if (const auto read = files_.read(path, buffer)) program = read->value_or("");
    if (program.ends_with('\n')) program.remove_suffix(1);
  }
  const overlay::Entry& entry = touched.entry;
  const bool fdb = entry.kind == overlay::Entry::Kind::kFdb;
  const bool sender = entry.kind == overlay::Entry::Kind::kSender;
  const auto protocol = to_text<4>([&](Writer& out) { out.put_unsigned(touched.protocol); });
  log_.warning(text, {{"entry", kNames[static_cast<std::size_t>(entry.kind)]},
                      fdb      ? Field("mac", entry.mac)
                      : sender ? Field("address", entry.via)
                               : Field("to", entry.net),
                      Field::unless_empty("program", program),
                      Field::unless_empty("protocol", touched.protocol == 0 ? "" : protocol.view())});
}

void EntrySync::schedule_audit(Millis now, Millis delay, bool damages) {
  damages_ = damages_ || damages;
  const Millis every = damages && repairs_.exhausted(kAllEntries, now) ? Repairs::kPause : kAuditsEvery;
  const Millis at = std::max(audited_ + every, now + std::max(delay, kDelay));
  due_ = std::min(due_.value_or(at), at);
}

Result<void> EntrySync::converge(const kernel::Site& site, bool direct, Millis now) {
  kernel::Site followed = site;
  followed.direct = direct;
  if (followed_ != followed) notifications_.follow(followed);
  followed_ = followed;
  site_ = site;
  plan_.filter_senders(site.senders.has_value());
  const bool lost = plan_.needs_audit();  // with the device, or for a new target
  const bool due = due_ && now >= *due_;
  if (lost) lost_ = now;
  if (due) plan_.invalidate();
  if (due || lost) due_.reset();
  const bool ask = direct && site.device != 0;
  plan_.ask_direct([&](Ip4 public_ip, bool was) { return ask && is_direct(public_ip, was); });
  int round = 0;
  do {
    for (; plan_.needs_audit(); ++round) {
      if (round == kMaxAuditRounds) return Error{Code::kInterrupted, 0, "audit"};
      audited_ = now;
      FLT_TRY(audit(due && damages_ && !lost));
    }
    if (due || lost) damages_ = false;
    kernel::EntryBatch& batch = port_.begin(site_, this);
    plan_.plan(batch);
    FLT_TRY(finish(batch));
  } while (plan_.needs_audit());  // there was more to remove than can be remembered
  return {};
}

Result<void> EntrySync::refused() {
  if (refused_) return *refused_;
  refused_reported_.clear();
  return {};
}

void EntrySync::retry_refused() {
  if (refused_) plan_.invalidate();
  refused_.reset();
}

/// Where no route leads at present, all stays as it is.
bool EntrySync::is_direct(Ip4 public_ip, bool was) const {
  const auto route = links_.route_to(public_ip);
  if (!route || !*route) return was;
  return (*route)->gateway.v4() == Ip4{} && (*route)->link_index == site_.underlay;
}

bool EntrySync::on_refused(const Change& change, const Error& error) {
  ++counts_.refusals;
  const bool news = plan_.refused(change.entry);
  if (error.code != Code::kUnavailable) return false;
  if (news) {
    log_.warning("the peer is not on our link; waiting for routes or addresses to change",
                 {{"subnet", change.entry.net}, {"public_ip", change.entry.via}});
  }
  return true;
}

Result<void> EntrySync::audit(bool repairs) {
  ++counts_.audits;
  plan_.begin_audit();
  Auditor auditor(plan_);
  if (auto dumped = port_.dump_entries(site_, auditor); !dumped) {
    plan_.abort_audit();
    return dumped.error();
  }
  kernel::EntryBatch& batch = port_.begin(site_, this);
  CountingSink counting{batch};
  plan_.finish_audit(counting);
  FLT_TRY(finish(batch));
  if (!repairs) return {};
  if (counting.total == 0) return {};
  for (std::size_t kind = 0; kind < std::size(counting.counts); ++kind)
    repairs_.count(static_cast<Repairs::Kind>(kind), counting.counts[kind]);
  const bool name = repairs_.damaged(kAllEntries, audited_) == Repairs::Verdict::kRepairAndName;
  log_.warning(name
                   ? "other programs keep changing entries of the overlay; repaired once a minute from now on"
                   : "other programs changed entries of the overlay; they are repaired",
               {{"entries", std::uint64_t{counting.total}}});
  return {};
}

Result<void> EntrySync::finish(kernel::EntryBatch& batch) {
  const auto report = batch.finish();
  if (!report) {
    plan_.invalidate();
    return report.error();
  }
  // What was refused counts as done until the retry: an entry that can never be made, such as a route that
  // another program has, must not cause a whole audit at every event.
  plan_.commit();
  counts_.batches += report->done + report->failed > 0;
  counts_.changes += static_cast<std::uint32_t>(report->done);
  if (report->failed == 0) return {};
  if (refused_reported_.is_news(report->first, report->first_change.entry.net.base.v4().value)) {
    log_.error("the kernel refused entries of peers", {{"refused", std::uint64_t{report->failed}},
                                                       {"done", std::uint64_t{report->done}},
                                                       {"first", report->first_change.entry.net},
                                                       Field(report->first)});
  }
  refused_ = report->first;
  return {};
}

}  // namespace flannelette::agent
