// SPDX-License-Identifier: Apache-2.0
#include "agent/dataplane.hpp"

#include <array>

namespace flannelette::agent {
namespace {

using overlay::Change;
using overlay::PeerTable;

/// Rounds of audit in one convergence: each removes up to PeerTable::kMaxStale entries.
constexpr int kMaxAuditRounds = 64;
constexpr std::size_t kMaxSubnetEnv = 1024;

struct Queue final : overlay::ChangeSink {
  explicit Queue(kernel::Kernel& to) : kernel(to) {}
  void change(const Change& change) override {
    kernel.queue(change);
    ++count;
  }
  kernel::Kernel& kernel;
  std::size_t count = 0;
};

struct Judge final : kernel::EntryVisitor {
  explicit Judge(PeerTable& table) : peers(table) {}
  void entry(const overlay::Neighbour& neighbour) override { peers.judge(neighbour); }
  void entry(const overlay::Fdb& fdb) override { peers.judge(fdb); }
  void entry(const overlay::Route& route) override { peers.judge(route); }
  void entry(const overlay::NextHop& object) override { peers.judge(object); }
  PeerTable& peers;
};

/// Names each obstacle once, with the command that mends it.
struct FindingLogger final : kernel::FindingVisitor {
  FindingLogger(Log& to, Net4 net) : log(to), network(net) {}
  void put_accept(Writer& out, const kernel::FirewallFinding& finding, std::string_view match) const {
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
  void finding(const kernel::FirewallFinding& finding) override {
    using Kind = kernel::FirewallFinding::Kind;
    const auto fix = to_text<400>([&](Writer& out) {
      switch (finding.kind) {
        case Kind::kForeignDrop:
          put_accept(out, finding, " ip saddr ");
          put_accept(out.put("; "), finding, " ip daddr ");
          break;
        case Kind::kFlanneldNftTable:
          out.put("nft delete table ").put(finding.family).put(" ").put(finding.table);
          break;
        case Kind::kFlanneldIptables:
          out.put(finding.legacy ? "iptables-legacy-save | grep -v FLANNEL- | iptables-legacy-restore"
                                 : "iptables-nft-save | grep -v FLANNEL- | iptables-nft-restore");
          break;
      }
    });
    switch (finding.kind) {
      case Kind::kForeignDrop:
        log.warning("another firewall table drops forwarded packets; our accept cannot overrule it",
                    {{"table", finding.table.view()}, {"chain", finding.chain.view()}, {"fix", fix.view()}});
        break;
      case Kind::kFlanneldNftTable:
      case Kind::kFlanneldIptables:
        log.warning("flanneld left traffic rules behind",
                    {{"table", finding.table.view()}, {"chain", finding.chain.view()}, {"fix", fix.view()}});
        break;
    }
  }
  Log& log;
  Net4 network;
};

}  // namespace

void Dataplane::set_target(const Target& target) {
  target_ = target;
  doubted_ = true;
  peers_.set_local({target.config, target.underlay.public_ip, target.subnet, target.mac});
}

Result<void> Dataplane::converge() {
  if (!target_) return {};
  if (doubted_) {
    FLT_TRY(converge_device());
    // Without these the overlay itself still works: they are tried again, and the rest goes on.
    auto file = converge_subnet_env();
    auto rules = converge_rules();
    doubted_ = !file || !rules;
    undone_.reset();
    if (!file) undone_ = file.error();
    if (!rules) undone_ = rules.error();
  }
  auto entries = converge_entries();
  complete_ = true;  // an entry that the kernel refuses must not keep the pods of this node waiting
  if (!entries) return entries;
  if (undone_) return *undone_;
  if (refused_) return *refused_;
  return {};
}

void Dataplane::retry() {
  doubted_ = true;
  if (refused_) peers_.invalidate();
  refused_.reset();
}

Result<void> Dataplane::converge_device() {
  const Target& t = *target_;
  overlay::DeviceSpec spec;
  spec.name = overlay::device_name(t.config.vni);
  spec.vni = t.config.vni;
  spec.port = t.config.port;
  spec.local = t.underlay.local;
  spec.mtu = overlay::device_mtu(t.underlay.mtu, t.config.mtu);
  spec.mac = t.mac;
  spec.learning = t.config.learning;
  spec.gbp = t.config.gbp;
  if (spec.mtu == 0) {
    log_.error("the underlay's MTU is too small for VXLAN",
               {{"interface", t.underlay.name.view()}, {"mtu", t.underlay.mtu}});
    return Error{Code::kInvalid, 0, "MTU"};
  }

  auto have = kernel_.find_device(spec.name);
  if (!have) return have.error();
  const overlay::DevicePlan plan = plan_device(spec, *have);
  if (plan.remove_first) {
    log_.info("making the device anew", {{"device", spec.name.view()}, {"reason", plan.reason}});
    FLT_TRY(kernel_.delete_device((*have)->index));
  }
  if (plan.create) {
    if (auto created = kernel_.create_device(spec); !created) {
      log_.error("cannot create the VXLAN device", {{"device", spec.name.view()},
                                                    {"vni", spec.vni},
                                                    {"port", unsigned{spec.port}},
                                                    Field(created.error())});
      return created.error();
    }
    log_.info("device created",
              {{"device", spec.name.view()}, {"mac", spec.mac}, {"local", spec.local}, {"mtu", spec.mtu}});
    auto made = kernel_.find_device(spec.name);
    if (!made) return made.error();
    if (!*made) return Error{Code::kNotFound, 0, "the device vanished after its creation"};
    *have = **made;
  }
  const int index = (*have)->index;
  if (plan.entries_lost() || index != device_index_) peers_.invalidate();
  device_index_ = index;

  // Address before up, as flanneld does; before a change of MAC or state, so that nothing is sent with a
  // wrong source.
  FLT_TRY(kernel_.quiet_device(spec.name));
  FLT_TRY(kernel_.set_device_address(index, t.subnet.base, t.config.network));
  const overlay::DevicePlan rest = plan.create ? plan_device(spec, *have) : plan;
  if (!rest.nothing()) {
    if (!plan.create)
      log_.info("device adjusted", {{"device", spec.name.view()}, {"local", spec.local}, {"mtu", spec.mtu}});
    FLT_TRY(kernel_.change_device(index, spec, rest));
  }
  mtu_ = spec.mtu;
  return {};
}

Result<void> Dataplane::converge_rules() {
  overlay::RuleSpec spec;
  spec.masquerade = settings_.ip_masq;
  spec.fully_random = settings_.masq_fully_random;
  spec.forward = settings_.ip_masq && settings_.forward_rules;
  spec.network = target_->config.network;
  spec.subnet = target_->subnet;
  auto written = kernel_.apply_rules(spec);
  if (!written) {
    if (rules_said_.is_news(written.error())) {
      log_.error("cannot install the traffic rules", {Field(written.error())});
    }
  } else if (rules_said_.clear(); *written && !spec.empty()) {
    log_.info("traffic rules installed",
              {{"table", "ip flannelette"}, {"network", spec.network}, {"subnet", spec.subnet}});
  }
  if (!inspected_) {
    inspected_ = true;
    check_forwarding();
    inspect_firewall(spec);
  }
  if (!written) return written.error();
  return {};
}

void Dataplane::check_forwarding() {
  auto on = kernel_.ip_forward();
  if (!on || *on) return;
  if (!settings_.set_ip_forward) {
    log_.warning(
        "net.ipv4.ip_forward is 0: pods behind this node are not reached; set it, or ip-forward = set");
    return;
  }
  if (auto set = kernel_.set_ip_forward(); !set) {
    log_.error("cannot set net.ipv4.ip_forward", {Field(set.error())});
  } else {
    log_.info("net.ipv4.ip_forward set to 1");
  }
}

void Dataplane::inspect_firewall(const overlay::RuleSpec& spec) {
  FindingLogger logger(log_, target_->config.network);
  if (auto done = kernel_.inspect_firewall(spec, logger); !done) {
    log_.debug("firewall not inspected", {Field(done.error())});
  }
}

Result<void> Dataplane::converge_subnet_env() {
  const Target& t = *target_;
  const overlay::SubnetEnv env{
      t.config.network, {{t.subnet.base.value + 1}, t.subnet.length}, mtu_, settings_.ip_masq};
  const auto text = to_text<kMaxSubnetEnv>([&](Writer& out) { write(out, env); });
  std::array<char, kMaxSubnetEnv> buffer;
  auto have = files_.read(settings_.subnet_file, buffer);
  if (have && *have && **have == text.view()) return {};
  if (auto done = files_.replace(settings_.subnet_file, text, 0644); !done) {
    if (file_said_.is_news(done.error())) {
      log_.error("cannot write the subnet file; the CNI plugin needs it",
                 {{"file", settings_.subnet_file.view()}, Field(done.error())});
    }
    return done.error();
  }
  file_said_.clear();
  log_.info("subnet file written",
            {{"file", settings_.subnet_file.view()}, {"subnet", t.subnet}, {"mtu", mtu_}});
  return {};
}

Result<void> Dataplane::converge_entries() {
  for (int round = 0; peers_.needs_audit(); ++round) {
    if (round == kMaxAuditRounds) return Error{Code::kInterrupted, 0, "audit"};
    FLT_TRY(audit());
  }
  kernel_.begin(device_index_, target_->config.network);
  Queue queue(kernel_);
  peers_.plan(queue);
  return apply_queued();
}

Result<void> Dataplane::audit() {
  peers_.begin_audit();
  Judge judge(peers_);
  if (auto dumped = kernel_.dump_entries(device_index_, target_->config.network, judge); !dumped) {
    peers_.abort_audit();
    return dumped.error();
  }
  kernel_.begin(device_index_, target_->config.network);
  Queue queue(kernel_);
  peers_.finish_audit(queue);
  const bool more = peers_.more_stale();
  FLT_TRY(apply_queued());
  if (more) peers_.invalidate();
  return {};
}

Result<void> Dataplane::apply_queued() {
  auto report = kernel_.finish();
  if (!report) {
    peers_.invalidate();
    return report.error();
  }
  // What was refused counts as done until retry(): one entry that never can be made, a route that another
  // program has, must not make a whole audit of every event.
  peers_.commit();
  if (report->failed == 0) return {};
  log_.error("the kernel refused entries of peers", {{"refused", std::uint64_t{report->failed}},
                                                     {"done", std::uint64_t{report->done}},
                                                     {"first", report->first_change.subnet},
                                                     Field(report->first)});
  refused_ = report->first;
  return {};
}

}  // namespace flannelette::agent
