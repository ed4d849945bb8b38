// SPDX-License-Identifier: Apache-2.0
// Convergence of the traffic rules, and reports of what stops the overlay's packets.
#include "agent/traffic_rules.hpp"

#include <utility>

#include "agent/words.hpp"
#include "flannelette/base/fnv.hpp"

namespace flannelette::agent {
namespace {

using kernel::FirewallFinding;

std::uint64_t digest_of(const FirewallFinding& finding) {
  Fnv1a digest;
  digest.mix(static_cast<std::uint64_t>(finding.kind) << 1 | (finding.legacy ? 1u : 0u));
  for (const std::string_view part : {finding.family.view(), finding.table.view(), finding.chain.view()}) {
    digest.mix(part);
    digest.mix(0);
  }
  return digest.value();
}

/// Of our rules, to Repairs.
constexpr std::uint64_t kOwnRules = 2;

/// Reports each finding, with the command that repairs it.
struct FindingLogger final : kernel::FindingVisitor {
  FindingLogger(Log& to, const Net& net, std::string_view who, ReportedFindings& known, Millis time)
      : log(to), network(net), last_change_by(who), reported(known), now(time) {}
  void finding(const FirewallFinding& finding) override {
    if (!reported.add(digest_of(finding), now)) return;
    log.warning(words_of(finding),
                {{"table", finding.table.view()},
                 {"chain", finding.chain.view()},
                 Field::unless_empty("last_change_by", finding.legacy ? "" : last_change_by),
                 {"fix", repair_of(finding, network).view()}});
  }
  Log& log;
  Net network;
  std::string_view last_change_by;
  ReportedFindings& reported;
  Millis now;
};

}  // namespace

bool ReportedFindings::add(std::uint64_t digest, Millis now) {
  Entry* place = nullptr;
  for (Entry& entry : entries_) {
    if (entry.digest == digest) {
      entry.seen = true;
      if (entry.present || now - entry.reported < kRepeatAfter) return false;
      entry.reported = now;
      return true;
    }
    if (!entry.present && !entry.seen && (place == nullptr || entry.reported < place->reported))
      place = &entry;
  }
  if (place == nullptr) return false;
  *place = {digest, now, false, true};
  return true;
}

Result<void> TrafficRules::converge(const overlay::NetworkConfig& config, Net4 subnet, Millis now) {
  overlay::RuleSpec spec = rules_of(settings_, config);
  spec.subnet = subnet;
  const auto written = port_.apply_rules(spec);
  if (!written) {
    if (rules_reported_.is_news(written.error())) {
      log_.error("cannot install the traffic rules", {Field(written.error())});
    }
  } else {
    rules_reported_.clear();
    if (*written && spec.peers_only != 0) plan_.invalidate();
    const auto table = to_text<40>([&](Writer& out) { out.put("ip ").put(overlay::rule_table(spec.vni)); });
    if (!*written || spec.empty()) {
      // Nothing to report.
    } else if (installed_ != spec) {
      log_.info("traffic rules installed",
                {{"table", table.view()}, {"network", spec.network}, {"subnet", spec.subnet}});
    } else {
      on_restored(table, now);
    }
    installed_ = spec;
  }
  if (std::exchange(check_forwarding_, false)) check_forwarding();
  if (std::exchange(inspect_, false)) {
    inspect_firewall(spec, now);
    last_change_by_.clear();
  }
  if (!written) return written.error();
  return {};
}

void TrafficRules::changed_by(const kernel::Ring& ring) {
  last_change_by_ = to_text<32>([&](Writer& out) {
    if (!ring.program.empty()) out.put(ring.program).put("[").put_unsigned(ring.pid).put("]");
  });
}

bool TrafficRules::exhausted(Millis now) const { return repairs_.exhausted(kOwnRules, now); }

void TrafficRules::on_restored(std::string_view table, Millis now) {
  repairs_.count(Repairs::Kind::kRules);
  const bool name = repairs_.damaged(kOwnRules, now) == Repairs::Verdict::kRepairAndName;
  if (!name && restored_ && now - *restored_ < ReportedFindings::kRepeatAfter) return;
  restored_ = now;
  log_.warning(
      name ? "another program keeps changing our traffic rules; restored once a minute from now on"
           : "another program changed our traffic rules; they are restored",
      {{"table", table}, {"last_change_by", last_change_by_.empty() ? "unknown" : last_change_by_.view()}});
}

void TrafficRules::check_forwarding() {
  const auto on = sysctl_.ip_forward();
  if (on && *on) {
    forwarding_reported_ = false;
    return;
  }
  if (!settings_.set_ip_forward) {
    if (on && !forwarding_reported_) {
      forwarding_reported_ = true;
      log_.warning(kForwardingOff);
    }
    return;
  }
  if (auto set = sysctl_.set_ip_forward(); !set) {
    if (forward_reported_.is_news(set.error())) {
      log_.warning(kSysctlRefused, {{"path", kernel::kIpForwardPath},
                                    {"value", 1},
                                    {"consequence", "pods behind this node are not reached"},
                                    Field(set.error())});
    }
  } else {
    forward_reported_.clear();
    log_.info("net.ipv4.ip_forward set to 1");
  }
}

void TrafficRules::inspect_firewall(const overlay::RuleSpec& spec, Millis now) {
  FindingLogger logger(log_, spec.network, last_change_by_, findings_, now);
  findings_.begin();
  const auto done = port_.inspect_firewall(spec, logger);
  findings_.end(static_cast<bool>(done));
  if (done) return;
  log_.debug("firewall not inspected", {Field(done.error())});
  inspect_ = done.error().code == Code::kInterrupted;  // somebody changes it right now
}

}  // namespace flannelette::agent
