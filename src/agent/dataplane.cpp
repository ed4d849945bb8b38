// SPDX-License-Identifier: Apache-2.0
// Convergence of the data plane: device, subnet.env, traffic rules, entries of peers.
#include "agent/dataplane.hpp"

#include <algorithm>
#include <array>

#include "flannelette/base/plain_array.hpp"

namespace flannelette::agent {
namespace {

using overlay::Change;

/// The routes that lead one of these addresses into the overlay.
struct ShadowingRoutes final : kernel::EntryVisitor {
  explicit ShadowingRoutes(const overlay::ProtectedAddresses& list) : addresses(list) {}
  void entry(const overlay::Entry& entry) override {
    if (entry.kind != overlay::Entry::Kind::kRoute || routes.size() == addresses.kMax) return;
    if (addresses.in(entry.net.v4()) != nullptr) routes.append(entry);
  }
  const overlay::ProtectedAddresses& addresses;
  PlainArray<overlay::Entry> routes;
};

}  // namespace

Dataplane::Dataplane(io::Loop& loop, const kernel::Ports& kernel, Files& files, Log& log,
                     const Settings& settings, overlay::LeaseTable& peers,
                     const std::optional<overlay::NodeState>& before, Listener& listener)
    : loop_(loop),
      kernel_(kernel),
      files_(files),
      log_(log),
      settings_(settings),
      peers_(peers),
      entries_(kernel, files, log, repairs_, peers),
      listener_(listener),
      device_(kernel, log, settings, repairs_, entries_.plan()),
      traffic_rules_(kernel.rules, kernel.sysctl, log, settings, repairs_, entries_.plan()),
      converge_(loop, Delegate<void()>::to<&Dataplane::on_converge>(this)),
      retry_(loop, Delegate<void()>::to<&Dataplane::on_retry>(this)),
      audit_(loop, Delegate<void()>::to<&Dataplane::on_audit>(this)),
      own_rules_timer_(loop, Delegate<void()>::to<&Dataplane::on_own_rules_timer>(this)),
      rules_timer_(loop, Delegate<void()>::to<&Dataplane::on_rules_timer>(this)),
      before_(before) {}

void Dataplane::stop() {
  for (io::Timer* timer : {&converge_, &retry_, &audit_, &own_rules_timer_, &rules_timer_}) timer->cancel();
}

void Dataplane::set_target(const Target& target) {
  target_ = target;
  if (before_) former_ = &*before_;
  backoff_.reset();
  peers_.set_local({target.config, target.underlay.public_ip, target.subnet, target.mac,
                    target.underlay.broadcast, target.protected_addresses});
  entries_.invalidate();
  mark_dirty();
}

void Dataplane::on_routes_changed() {
  if (!target_ || !target_->config.direct) return;
  entries_.schedule_audit(loop_.now(), kRoutesDelay, false);
  arm_audit();
}

void Dataplane::on_entries_changed(const kernel::Ring& ring) {
  if (!target_) return;
  if (entries_.on_changed(ring, loop_.now())) converge_.arm_at_latest_in(kRepairDelay);
  arm_audit();
}

void Dataplane::arm_audit() {
  const auto due = entries_.audit_due();
  // Overdue while something is dirty: the device failed, and what is retried later will audit, too.
  if (!due || (dirty_ && *due <= loop_.now())) return;
  converge_.arm_at_latest_in(std::max(*due - loop_.now(), Millis{0}));
}

void Dataplane::on_sysctls_changed() {
  if (!target_) return;
  traffic_rules_.check_forwarding_next();
  dirty_ = true;
  converge_.arm_at_latest_in(kRepairDelay);
}

void Dataplane::on_links_changed() {
  if (!target_) return;
  dirty_ = true;
  converge_.arm_at_latest_in(std::max(links_read_ + kLinksEvery - loop_.now(), kLinksDelay));
}

void Dataplane::mark_dirty() {
  dirty_ = true;
  schedule_converge();
}

/// Ours are compared soon, which costs one small list; other programs' rules, which may be many, with a
/// back-off.
void Dataplane::on_rules_changed(const kernel::Ring& ring) {
  traffic_rules_.changed_by(ring);
  const Millis every = traffic_rules_.exhausted(loop_.now()) ? Repairs::kPause : kOwnRulesEvery;
  own_rules_timer_.arm_at_latest_in(std::max(rules_compared_ + every - loop_.now(), kRepairDelay));
  const Millis since = loop_.now() - rules_inspected_;
  if (since > 6 * kRulesEvery) rules_backoff_.reset();
  rules_timer_.arm_at_latest_in(std::max(rules_pause_ - since, kRulesDelay));
}

void Dataplane::on_own_rules_timer() {
  rules_dirty_ = true;
  schedule_converge();
}

void Dataplane::on_rules_timer() {
  rules_inspected_ = loop_.now();
  rules_pause_ = rules_backoff_.next();
  rules_dirty_ = rules_dirty_ || !traffic_rules_.exhausted(loop_.now());
  traffic_rules_.inspect_next();
  schedule_converge();
}

void Dataplane::inspect_rules() {
  rules_dirty_ = true;
  traffic_rules_.inspect_next();
}

void Dataplane::on_audit() {
  entries_.invalidate();
  inspect_rules();  // the kernel's older iptables interface sends no notifications
  mark_dirty();
  listener_.on_audit();
}

void Dataplane::on_retry() {
  entries_.retry_refused();
  mark_dirty();
}

void Dataplane::on_converge() {
  if (!target_) return;
  if (done_ = converge(); !done_) {
    const Error& error = done_.error();
    Millis delay = backoff_.next();
    if (error.code == Code::kExists) delay = std::min(delay, kTakenEvery);
    if (error.code == Code::kInterrupted) delay = kRetryFirst;  // others change it right now
    if (failure_reported_.is_news(error))
      log_.warning("data plane out of sync", {Field(error), {"retry_in_ms", delay}});
    retry_.arm_at_latest_in(delay);
  } else {
    if (failure_reported_.clear()) log_.info("data plane in sync");
    backoff_.reset();
    retry_.cancel();
  }
  listener_.on_converged();
  if (!audit_.armed()) audit_.arm_in(kAuditEvery);
  arm_audit();
}

void Dataplane::remove_shadowing_routes(const overlay::ProtectedAddresses& addresses,
                                        const overlay::NetworkConfig& config) {
  if (target_) return;  // its audit removes them
  const int index = device_.find(config.vni);
  const bool any = config.direct || std::any_of(addresses.begin(), addresses.end(), [&](const auto& address) {
                     const auto route = kernel_.links.route_to(address.ip);
                     return route && *route && (*route)->link_index == index;
                   });
  const kernel::Site site{.device = index, .network = config.network, .direct = config.direct};
  ShadowingRoutes shadowing(addresses);
  if (!any || !kernel_.entries.dump_entries(site, shadowing)) return;
  kernel::EntryBatch& batch = kernel_.entries.begin(site);
  for (const overlay::Entry& route : shadowing.routes) {
    log_.warning("a route from before the restart shadows an address that this node depends on; removed",
                 {{"subnet", route.net}});
    batch.change({Change::Op::kRemove, route});
  }
  (void)batch.finish();  // the first audit finds what is left
}

Result<void> Dataplane::converge() {
  // Without subnet.env and rules the overlay itself still works: they are retried, and the rest goes on.
  if (dirty_) {
    links_read_ = loop_.now();
    FLT_TRY(device_.converge(*target_, loop_.now()));
    file_ = converge_subnet_env();
    dirty_ = !file_;
    rules_dirty_ = true;
  }
  if (rules_dirty_) {
    rules_compared_ = loop_.now();
    rules_ = traffic_rules_.converge(target_->config, target_->subnet, loop_.now());
    rules_dirty_ = !rules_;
  }
  // Its nexthop objects have the ids that ours are to have. Where there is no device now, routes take the
  // place of its routes first.
  const bool before = device_.index() != 0;
  Result<void> removed;
  if (before) removed = device_.remove_former(*target_, former_, bool{rules_});
  const auto entries = converge_entries();
  // An entry that the kernel refuses must not keep the pods of this node waiting; without the subnet file
  // they do.
  complete_ = complete_ || bool{file_};
  if (!entries) return entries;
  if (!before) removed = device_.remove_former(*target_, former_, bool{rules_});
  if (!removed) return removed;
  former_ = nullptr;
  FLT_TRY(device_.left());
  if (!rules_) return rules_;
  if (!file_) return file_;
  return entries_.refused();
}

Result<void> Dataplane::converge_subnet_env() {
  const Target& t = *target_;
  const overlay::SubnetEnv env{
      t.config.network, {{t.subnet.base.value + 1}, t.subnet.length}, device_.mtu(), settings_.ip_masq};
  std::array<char, overlay::kMaxSubnetFile> buffer;  // a larger one is rewritten without others' lines
  const auto have = files_.read(settings_.subnet_file, buffer);
  const std::string_view before = have ? have->value_or("") : std::string_view{};
  if (holds(before, env)) return {};
  const auto text = to_text<overlay::kMaxSubnetFile + overlay::kMaxSubnetEnv>(
      [&](Writer& out) { write_with_foreign(out, env, before); });
  if (auto done = files_.replace(settings_.subnet_file, text, 0644); !done) {
    if (file_reported_.is_news(done.error())) {
      log_.error("cannot write the subnet file; the CNI plugin needs it",
                 {{"file", settings_.subnet_file.view()}, Field(done.error())});
    }
    return done.error();
  }
  file_reported_.clear();
  log_.info("subnet file written",
            {{"file", settings_.subnet_file.view()}, {"subnet", t.subnet}, {"mtu", device_.mtu()}});
  return {};
}

Result<void> Dataplane::converge_entries() {
  const overlay::NetworkConfig& config = target_->config;
  std::optional<std::uint32_t> senders;
  if (vxlan_filter(settings_, config) != 0) senders = config.vni;
  const kernel::Site site{.device = device_.index(),
                          .underlay = target_->underlay.link_index,
                          .network = config.network,
                          .former = former_ != nullptr ? former_->config.network : Net4{},
                          .direct = config.direct || former_ != nullptr || !complete_,
                          .senders = senders};
  return entries_.converge(site, config.direct, loop_.now());
}

}  // namespace flannelette::agent
