// SPDX-License-Identifier: Apache-2.0
// Convergence of the data plane: device, subnet.env, traffic rules, entries of peers.
#include "agent/dataplane.hpp"

#include <algorithm>
#include <array>

namespace flannelette::agent {
namespace {

using overlay::Change;
using overlay::EntryPlan;

/// Rounds of audit in one convergence: each removes up to EntryPlan::kMaxStale entries.
constexpr int kMaxAuditRounds = 64;
/// A subnet file that is larger, with other programs' lines, is written anew without them.
constexpr std::size_t kMaxSubnetFile = 4096;

struct Queue final : overlay::ChangeSink {
  explicit Queue(kernel::Kernel& to) : kernel(to) {}
  void change(const Change& change) override {
    kernel.queue(change);
    ++count;
  }
  kernel::Kernel& kernel;
  std::size_t count = 0;
};

struct Auditor final : kernel::EntryVisitor {
  explicit Auditor(EntryPlan& of) : plan(of) {}
  void entry(const overlay::Neighbour& neighbour) override { plan.audit_entry(neighbour); }
  void entry(const overlay::Fdb& fdb) override { plan.audit_entry(fdb); }
  void entry(const overlay::Route& route) override { plan.audit_entry(route); }
  void entry(const overlay::NextHop& object) override { plan.audit_entry(object); }
  EntryPlan& plan;
};

/// The routes that lead one of these addresses into the overlay.
struct Harmful final : kernel::EntryVisitor {
  explicit Harmful(const overlay::ProtectedAddresses& list) : addresses(list) {}
  void entry(const overlay::Neighbour&) override {}
  void entry(const overlay::Fdb&) override {}
  void entry(const overlay::Route& route) override {
    if (count < routes.size() && addresses.in(route.destination) != nullptr) routes[count++] = route;
  }
  void entry(const overlay::NextHop&) override {}
  const overlay::ProtectedAddresses& addresses;
  std::array<overlay::Route, overlay::ProtectedAddresses::kMax> routes{};
  std::size_t count = 0;
};

}  // namespace

void Dataplane::set_target(const Target& target) {
  target_ = target;
  doubted_ = true;
  peers_.set_local({target.config, target.underlay.public_ip, target.subnet, target.mac,
                    target.underlay.broadcast, target.protected_addresses});
}

void Dataplane::free_the_way(const overlay::ProtectedAddresses& addresses,
                             const overlay::NetworkConfig& config) {
  const auto device = kernel_.find_device(overlay::device_name(config.vni));
  if (!device || !*device) return;
  const int index = (*device)->index;
  const bool hidden = std::any_of(addresses.begin(), addresses.end(), [&](const auto& address) {
    const auto way = kernel_.route_to(address.ip);
    return way && *way && (*way)->link_index == index;
  });
  Harmful harmful(addresses);
  if (!hidden || !kernel_.dump_entries(index, config.network, harmful)) return;
  kernel_.begin(index, config.network);
  for (const overlay::Route& route : std::span(harmful.routes).first(harmful.count)) {
    log_.warning("a route of an earlier run hides what this node depends on; removed",
                 {{"subnet", route.destination}});
    kernel_.queue({.kind = Change::Kind::kDeleteRoute,
                   .subnet = route.destination,
                   .mac = {},
                   .remote = {},
                   .metric = route.metric});
  }
  (void)kernel_.finish();  // what is left the data plane's first audit will find
}

Result<void> Dataplane::converge(Millis now) {
  if (!target_) return {};
  // Without subnet.env and rules the overlay itself still works: they are tried again, and the rest goes on.
  if (doubted_) {
    FLT_TRY(converge_device());
    file_ = converge_subnet_env();
    doubted_ = !file_;
    rules_dirty_ = true;
  }
  if (rules_dirty_) {
    rules_ = traffic_rules_.converge(target_->config, target_->subnet, now);
    rules_dirty_ = !rules_;
  }
  auto entries = converge_entries();
  complete_ = true;  // an entry that the kernel refuses must not keep the pods of this node waiting
  if (!entries) return entries;
  if (!rules_) return rules_;
  if (!file_) return file_;
  if (refused_) return *refused_;
  refused_said_.clear();
  return {};
}

void Dataplane::look_at_rules() {
  rules_dirty_ = true;
  traffic_rules_.inspect_next();
}

void Dataplane::retry() {
  doubted_ = true;
  if (refused_) plan_.invalidate();
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
    const Error error{Code::kInvalid, 0, "MTU"};
    if (device_said_.is_news(error, t.underlay.mtu)) {
      log_.error("the underlay's MTU is too small for VXLAN",
                 {{"interface", t.underlay.name.view()}, {"mtu", t.underlay.mtu}});
    }
    return error;
  }

  auto have = kernel_.find_device(spec.name);
  if (!have) return have.error();
  const overlay::DevicePlan plan = plan_device(spec, *have);
  if (plan.remove_first) {
    FLT_TRY(kernel_.delete_device((*have)->index));
    log_.info("making the device anew", {{"device", spec.name.view()}, {"reason", plan.reason}});
  }
  if (plan.create) {
    if (auto created = kernel_.create_device(spec); !created) {
      if (device_said_.is_news(created.error())) {
        log_.error("cannot create the VXLAN device", {{"device", spec.name.view()},
                                                      {"vni", spec.vni},
                                                      {"port", unsigned{spec.port}},
                                                      Field(created.error())});
      }
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
  const std::uint32_t times_down = kernel_.times_down();
  if (plan.entries_lost() || index != device_index_ || times_down != times_down_) plan_.invalidate();
  device_index_ = index;
  times_down_ = times_down;

  // Address before up, as flanneld does; before a change of MAC or state, so that nothing is sent with a
  // wrong source.
  disable_accept_ra(spec.name);
  FLT_TRY(kernel_.set_device_address(index, t.subnet.base, t.config.network));
  const overlay::DevicePlan rest = plan.create ? plan_device(spec, *have) : plan;
  if (!rest.nothing()) {
    FLT_TRY(kernel_.change_device(index, spec, rest));
    if (!plan.create)
      log_.info("device adjusted", {{"device", spec.name.view()}, {"local", spec.local}, {"mtu", spec.mtu}});
  }
  mtu_ = spec.mtu;
  device_said_.clear();
  return {};
}

void Dataplane::disable_accept_ra(const kernel::InterfaceName& name) {
  const auto done = kernel_.disable_accept_ra(name);
  if (done) {
    (void)sysctl_said_.clear();
  } else if (sysctl_said_.is_news(done.error())) {
    log_.warning(
        kSysctlRefused,
        {{"path", kernel::accept_ra_path(name).view()},
         {"value", 0},
         {"consequence", "a router advertisement in the overlay would change this node's IPv6 routes"},
         Field(done.error())});
  }
}

Result<void> Dataplane::converge_subnet_env() {
  const Target& t = *target_;
  const overlay::SubnetEnv env{
      t.config.network, {{t.subnet.base.value + 1}, t.subnet.length}, mtu_, settings_.ip_masq};
  std::array<char, kMaxSubnetFile> buffer;
  const auto have = files_.read(settings_.subnet_file, buffer);
  const std::string_view before = have ? have->value_or("") : std::string_view{};
  if (holds(before, env)) return {};
  const auto text = to_text<kMaxSubnetFile + overlay::kMaxSubnetEnv>(
      [&](Writer& out) { write_with_foreign(out, env, before); });
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
  for (int round = 0; plan_.needs_audit(); ++round) {
    if (round == kMaxAuditRounds) return Error{Code::kInterrupted, 0, "audit"};
    FLT_TRY(audit());
  }
  kernel_.begin(device_index_, target_->config.network);
  Queue queue(kernel_);
  plan_.plan(queue);
  return apply_queued();
}

Result<void> Dataplane::audit() {
  plan_.begin_audit();
  Auditor auditor(plan_);
  if (auto dumped = kernel_.dump_entries(device_index_, target_->config.network, auditor); !dumped) {
    plan_.abort_audit();
    return dumped.error();
  }
  kernel_.begin(device_index_, target_->config.network);
  Queue queue(kernel_);
  plan_.finish_audit(queue);
  return apply_queued();
}

Result<void> Dataplane::apply_queued() {
  auto report = kernel_.finish();
  if (!report) {
    plan_.invalidate();
    return report.error();
  }
  // What was refused counts as done until retry(): one entry that never can be made, a route that another
  // program has, must not make a whole audit of every event.
  plan_.commit();
  if (report->failed == 0) return {};
  if (refused_said_.is_news(report->first, report->first_change.subnet.base.value)) {
    log_.error("the kernel refused entries of peers", {{"refused", std::uint64_t{report->failed}},
                                                       {"done", std::uint64_t{report->done}},
                                                       {"first", report->first_change.subnet},
                                                       Field(report->first)});
  }
  refused_ = report->first;
  return {};
}

}  // namespace flannelette::agent
