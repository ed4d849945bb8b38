// SPDX-License-Identifier: Apache-2.0
// The verbs `leave` and `cleanup`.
#include "cli/leave.hpp"

#include <optional>

#include "cli/kube_known.hpp"
#include "cli/process.hpp"
#include "flannelette/agent/agent.hpp"
#include "flannelette/agent/cleanup.hpp"
#include "flannelette/agent/known_node.hpp"
#include "flannelette/base/standard_streams.hpp"
#include "flannelette/registry/etcd_departure.hpp"
#include "flannelette/registry/kube_departure.hpp"

namespace flannelette::cli {
namespace {

using agent::Cleaning;
using registry::Departed;

/// Prints how a person removes flanneld's iptables chains: one command for each kind of iptables.
struct ChainPrinter final : kernel::FindingVisitor {
  void finding(const kernel::FirewallFinding& finding) override {
    if (finding.kind != kernel::FirewallFinding::Kind::kFlanneldIptables || printed[finding.legacy]) return;
    printed[finding.legacy] = true;
    (void)print(to_text<128>([&](Writer& out) { out.put(agent::chain_removal(finding.legacy)).put('\n'); }));
  }
  bool printed[2]{};
};

int clean_up(const RunSettings& settings, kernel::NetlinkKernel& kernel, Files& files, Log& log,
             Cleaning cleaning) {
  ChainPrinter printer;
  const bool clean =
      agent::clean_up({kernel, kernel, kernel, kernel, files, log}, settings.agent, cleaning, &printer);
  return clean ? 0 : kExitFailure;
}

class LeaveWork final : public Work, registry::FailureListener {
  int with_etcd(Process& p) override {
    return leave(
        p, [&] { return registry::EtcdDeparture(p.loop, p.random, p.log, p.requests, p.settings.etcd); });
  }
  int with_kube([[maybe_unused]] Process& p, [[maybe_unused]] registry::KubeAccess& access) override {
    if constexpr (kKnowsKube) {
      return leave(p, [&] {
        return registry::KubeDeparture(p.loop, p.clock, p.random, p.log, p.files, access, p.requests,
                                       *p.settings.kube);
      });
    }
    return kExitSettings;
  }

  template <typename Make>
  int leave(Process& p, Make make) {
    process_ = &p;
    const auto found = agent::find_node(p.kernel, p.kernel, p.files, p.log, p.settings.agent);
    if (!found) {
      p.log.error(
          "it is not known what to give back, so nothing was removed; cleanup removes it all the same",
          {Field(found.error())});
      return kExitFailure;
    }
    const std::optional<overlay::NodeState>& node = *found;
    if (!node) {
      p.log.info("this node remembers no subnet of its own, so there is nothing to give back");
      return clean_up(p.settings, p.kernel, p.files, p.log, Cleaning::kOurs);
    }
    auto departure = make();
    io::Timer limit(p.loop, Delegate<void()>::to<&LeaveWork::on_limit>(this));
    departure.begin({node->subnet, node->mac, node->public_ip}, *this,
                    registry::OnDeparted::to<&LeaveWork::on_departed>(this));
    limit.arm_in(kLeaveLimit);
    (void)p.loop.run();
    if (!departed_) {
      p.log.error("the registry did not take it back; nothing was removed. Run leave again, or cleanup",
                  {{"subnet", node->subnet}});
      return kExitFailure;
    }
    report(*departed_, node->subnet);
    return clean_up(p.settings, p.kernel, p.files, p.log, Cleaning::kOurs);
  }

  void report(Departed how, Net4 subnet) {
    Log& log = process_->log;
    switch (how) {
      case Departed::kGone: return log.info("the registry no longer has this node", {{"subnet", subnet}});
      case Departed::kAbsent: return log.info("the registry did not have this node", {{"subnet", subnet}});
      case Departed::kReserved:
        return log.info("the subnet is a reservation, which stays", {{"subnet", subnet}});
      case Departed::kForeign:
        return log.warning("another node has published itself in our place, which stays",
                           {{"subnet", subnet}});
    }
  }

  void on_departed(Departed how) {
    departed_ = how;
    process_->loop.stop();
  }
  void on_limit() { process_->loop.stop(); }
  void on_failure(const registry::Failure& failure) override { agent::log_failure(process_->log, failure); }
  void on_working(std::string_view) override {}

  Process* process_ = nullptr;
  std::optional<Departed> departed_;
};

}  // namespace

bool can_leave() { return true; }

int cleanup(const RunSettings& settings, LogSink& sink, Cleaning cleaning) {
  const SystemClock clock;
  SystemFiles files;
  Log log(sink, clock, settings.agent.log_level);
  Instances instances;
  kernel::NetlinkKernel kernel(files);
  const bool nexthop_objects = settings.nexthop_objects && cleaning != Cleaning::kForFlanneld;
  if (!claim(instances, settings, log) || !open(kernel, nexthop_objects, log)) return kExitFailure;
  return clean_up(settings, kernel, files, log, cleaning);
}

int leave(const RunSettings& settings, LogSink& sink) {
  LeaveWork work;
  return carry_out(work, settings, sink);
}

}  // namespace flannelette::cli
