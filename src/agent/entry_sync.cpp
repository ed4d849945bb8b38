// SPDX-License-Identifier: Apache-2.0
// Convergence of the entries of peers: audits, changes, and what the kernel refused of them.
#include "agent/entry_sync.hpp"

namespace flannelette::agent {
namespace {

using overlay::Change;
using overlay::EntryPlan;

/// Rounds of audit in one convergence: each removes up to EntryPlan::kMaxStale entries.
constexpr int kMaxAuditRounds = 64;

struct Auditor final : kernel::EntryVisitor {
  explicit Auditor(EntryPlan& of) : plan(of) {}
  void entry(const overlay::Entry& entry) override { plan.audit_entry(entry); }
  EntryPlan& plan;
};

}  // namespace

Result<void> EntrySync::converge(const kernel::Site& site, bool ask_routes, Millis now) {
  if (site_ != site) notifications_.follow(site);
  site_ = site;
  plan_.ask_direct([&](Ip4 public_ip, bool was) { return ask_routes && is_direct(public_ip, was); });
  for (int round = 0; plan_.needs_audit(); ++round) {
    if (round == kMaxAuditRounds) return Error{Code::kInterrupted, 0, "audit"};
    audited_ = now;
    FLT_TRY(audit());
  }
  kernel::EntryBatch& batch = port_.begin(site_, this);
  plan_.plan(batch);
  return finish(batch);
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
  if (error.code != Code::kUnavailable) return false;
  if (plan_.refused(change.entry)) {
    log_.warning("the peer is not on our link; waiting for routes or addresses to change",
                 {{"subnet", change.entry.net}, {"public_ip", change.entry.via}});
  }
  return true;
}

Result<void> EntrySync::audit() {
  plan_.begin_audit();
  Auditor auditor(plan_);
  if (auto dumped = port_.dump_entries(site_, auditor); !dumped) {
    plan_.abort_audit();
    return dumped.error();
  }
  kernel::EntryBatch& batch = port_.begin(site_, this);
  plan_.finish_audit(batch);
  return finish(batch);
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
