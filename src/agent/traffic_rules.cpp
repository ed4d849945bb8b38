// SPDX-License-Identifier: Apache-2.0
// Convergence of the traffic rules, and reports of what stops the overlay's packets.
#include "agent/traffic_rules.hpp"

#include "flannelette/agent/cleanup.hpp"
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

/// "iptables[4711]"; empty if it is not known.
Text<32> name_of(const kernel::Ring& change) {
  return to_text<32>([&](Writer& out) {
    if (!change.program.empty()) out.put(change.program).put("[").put_unsigned(change.pid).put("]");
  });
}

/// Reports each finding, with the command that repairs it.
struct FindingLogger final : kernel::FindingVisitor {
  FindingLogger(Log& to, const Net& net, std::string_view who, ReportedFindings& known, Millis time)
      : log(to), network(net), last_change_by(who), reported(known), now(time) {}
  void put_accept(Writer& out, const FirewallFinding& finding, std::string_view match) const {
    out.put("nft insert rule ")
        .put(finding.family)
        .put(" ")
        .put(finding.table)
        .put(" ")
        .put(finding.chain)
        .put(match);
    write(out, network);
    out.put(" accept");
  }
  void finding(const FirewallFinding& finding) override {
    if (!reported.add(digest_of(finding), now)) return;
    using Kind = FirewallFinding::Kind;
    const auto fix = to_text<400>([&](Writer& out) {
      switch (finding.kind) {
        case Kind::kForeignDrop:
          put_accept(out, finding, " ip saddr ");
          put_accept(out.put("; "), finding, " ip daddr ");
          break;
        case Kind::kFlanneldNftTable:
          out.put("nft delete table ").put(finding.family).put(" ").put(finding.table);
          break;
        case Kind::kFlanneldIptables: out.put(chain_removal(finding.legacy)); break;
      }
    });
    const char* const text =
        finding.kind == Kind::kForeignDrop
            ? "another firewall table drops forwarded packets; our accept cannot overrule it"
            : "flanneld left traffic rules behind";
    log.warning(text, {{"table", finding.table.view()},
                       {"chain", finding.chain.view()},
                       Field::unless_empty("last_change_by", finding.legacy ? "" : last_change_by),
                       {"fix", fix.view()}});
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
  overlay::RuleSpec spec;
  spec.masquerade = settings_.ip_masq;
  spec.fully_random = settings_.masq_fully_random;
  spec.forward = settings_.ip_masq && settings_.forward_rules;
  spec.clamp_mss = settings_.clamp_mss;
  spec.vni = config.vni;
  spec.network = config.network;
  spec.subnet = subnet;
  const auto written = port_.apply_rules(spec);
  if (!written) {
    if (rules_reported_.is_news(written.error())) {
      log_.error("cannot install the traffic rules", {Field(written.error())});
    }
  } else {
    rules_reported_.clear();
    const auto table = to_text<40>([&](Writer& out) { out.put("ip ").put(overlay::rule_table(spec.vni)); });
    if (!*written || spec.empty()) {
      // Nothing to report.
    } else if (installed_ != spec) {
      log_.info("traffic rules installed",
                {{"table", table.view()}, {"network", spec.network}, {"subnet", spec.subnet}});
    } else if (!restored_ || now - *restored_ >= ReportedFindings::kRepeatAfter) {
      restored_ = now;
      const auto who = name_of(last_change_);
      log_.warning("another program changed our traffic rules; they are restored",
                   {{"table", table.view()}, {"last_change_by", who.empty() ? "unknown" : who.view()}});
    }
    installed_ = spec;
  }
  if (inspect_) {
    inspect_ = false;
    check_forwarding();
    inspect_firewall(spec.network, now);
    last_change_ = {};
  }
  if (!written) return written.error();
  return {};
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
      log_.warning(
          "net.ipv4.ip_forward is 0: pods behind this node are not reached; set it, or ip-forward = set");
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

void TrafficRules::inspect_firewall(const Net& network, Millis now) {
  const auto who = name_of(last_change_);
  FindingLogger logger(log_, network, who, findings_, now);
  findings_.begin();
  const auto done = port_.inspect_firewall(logger);
  findings_.end(static_cast<bool>(done));
  if (done) return;
  log_.debug("firewall not inspected", {Field(done.error())});
  inspect_ = done.error().code == Code::kInterrupted;  // somebody changes it right now
}

}  // namespace flannelette::agent
