// SPDX-License-Identifier: Apache-2.0
#include "flannelette/agent/agent.hpp"

#include <utility>

#include "agent/agent_impl.hpp"
#include "agent/words.hpp"

namespace flannelette::agent {
std::string_view name(State state) { return kAgentStates.rows[static_cast<std::size_t>(state)].name; }

void log_failure(Log& log, const registry::Failure& failure) {
  log.warning("registry request failed", {{"during", failure.operation},
                                          {"endpoint", failure.endpoint.view()},
                                          Field(failure.error),
                                          Field::unless_empty("detail", failure.detail),
                                          {"retry_in_ms", failure.retry_in}});
}

Agent::Agent(const Dependencies& needs, const Settings& settings) : impl_(new Impl(needs, settings)) {}
Agent::~Agent() = default;
void Agent::start() { impl_->start(); }
void Agent::stop() { impl_->stop(); }
void Agent::on_resume(Millis suspended) { impl_->on_resume(suspended); }
State Agent::state() const { return impl_->state_.state(); }
overlay::PeerCounts Agent::counts() const { return impl_->members_.table().counts(); }
bool Agent::degraded() const { return impl_->memory_.degraded(); }

Agent::Impl::Impl(const Dependencies& needs, const Settings& settings)
    : loop_(needs.loop),
      log_(needs.log),
      kernel_(needs.kernel),
      registry_(needs.registry),
      files_(needs.files),
      on_ready_(needs.on_ready),
      settings_(settings),
      members_(log_, needs.max_leases, underlay_watch_, *this),
      underlay_watch_(loop_, log_, kernel_.links, files_, settings_.interface, members_.table(), *this),
      memory_(loop_, log_, files_, settings_, members_.table(),
              Delegate<void()>::to<&Impl::try_degraded>(this)),
      dataplane_(loop_, kernel_, files_, log_, settings_, members_.table(), memory_.node(), *this) {}

void Agent::Impl::start() {
  kernel_.notifications.set_doorbell(Delegate<void(const kernel::Ring&)>::to<&Impl::on_doorbell>(this));
  registry_.start(members_, *this);
  memory_.start();
  const auto& node = memory_.node();
  if (node) underlay_watch_.set_network(node->config.network);
  underlay_watch_.start(node ? std::optional<Ip>(node->public_ip) : std::nullopt);
}

void Agent::Impl::stop() {
  if (state_ == State::kStopped) return;
  registry_.stop();
  memory_.stop();
  kernel_.notifications.set_doorbell({});
  underlay_watch_.stop();
  dataplane_.stop();
  enter(State::kStopped);
}

void Agent::Impl::on_resume(Millis suspended) {
  log_.info("the machine was suspended; checking everything", {{"for_ms", suspended}});
  registry_.reconnect();
  dataplane_.audit_now();
}

void Agent::Impl::enter(State next) {
  if (state_ == next) return;
  state_.enter(next, log_);
}

// -- underlay and config --

void Agent::Impl::on_underlay(const UnderlayWatch::Change& before) {
  if (before.registry_path || (before.underlay && before.underlay->address != underlay().address))
    registry_.reconnect();
  if (has_data_plane()) {
    const Target target = *dataplane_.target();
    set_target(target.config, target.subnet, target.mac);
    refuses_own(target.subnet, "it stays until a restart takes another");
  }
  if (before.underlay && before.underlay->public_ip != underlay().public_ip)
    registry_.update({underlay().public_ip});
  remove_shadowing_routes();
  switch (state_.state()) {
    case State::kInterface:
      enter(State::kConfig);
      registry_.follow();
      return try_degraded();
    case State::kConfig: break;
    case State::kListing:
      validate_members();
      if (members_.listed()) join();  // this was in its way
      break;
    case State::kClaiming: validate_members(); break;
    case State::kRunning: break;
    case State::kStopped: return;
  }
  members_.report_harmful(before.protected_addresses);
}

void Agent::Impl::set_target(const overlay::NetworkConfig& config, Net4 subnet, Mac mac) {
  dataplane_.set_target({config, underlay(), subnet, mac, protected_addresses()});
  underlay_watch_.set_subnet(subnet);
}

void Agent::Impl::on_config_problem(const overlay::ConfigProblem& problem, std::string_view at) {
  const overlay::ConfigProblem& known = config_problem_;
  if (known.key != problem.key || known.why != problem.why || known.offset != problem.offset ||
      known.changed != problem.changed) {
    log_.error(words_of(problem), {{"config", registry_.config_location()},
                                   {"key", problem.key},
                                   {"reason", problem.why},
                                   {"offset", problem.offset},
                                   {"at", at}});
  }
  config_problem_ = problem;
}

void Agent::Impl::on_config_missing() {
  if (config_problem_.why != kConfigMissing)
    log_.warning(kConfigMissing, {{"key", registry_.config_location()}});
  config_problem_ = {"", kConfigMissing};
}

void Agent::Impl::on_config(const overlay::NetworkConfig& config) {
  config_ = config;
  log_.info("network config", {{"network", config_.network},
                               {"subnet_len", unsigned{config_.subnet_len}},
                               {"backend", backend_of(config_).type},
                               {"vni", config_.vni},
                               {"port", unsigned{config_.port}}});
  enter(State::kListing);
  underlay_watch_.set_network(config_.network);
  if (!has_data_plane()) underlay_watch_.set_subnet(previous_subnet());
  underlay_watch_.apply_network();
  validate_members();
}

void Agent::Impl::on_doorbell(const kernel::Ring& ring) {
  if (ring.has(kernel::Cause::kLinks) || ring.has(kernel::Cause::kAddresses)) {
    dataplane_.on_links_changed();
    underlay_watch_.on_links_changed();
  }
  if (ring.has(kernel::Cause::kRoutes)) {
    underlay_watch_.on_routes_changed();
    dataplane_.on_routes_changed();
  }
  if (ring.has(kernel::Cause::kEntries)) dataplane_.on_entries_changed(ring);
  if (ring.has(kernel::Cause::kRules)) dataplane_.on_rules_changed(ring);
  if (ring.has(kernel::Cause::kSysctls)) dataplane_.on_sysctls_changed();
}

void Agent::Impl::remove_shadowing_routes() {
  dataplane_.remove_shadowing_routes(protected_addresses(),
                                     memory_.node() ? memory_.node()->config : config_);
}

/// Before our subnet is known, nothing is programmed; the saved one is known.
void Agent::Impl::validate_members() {
  overlay::LocalNode local{config_,      underlay().public_ip, std::nullopt,
                           std::nullopt, underlay().broadcast, protected_addresses()};
  if (memory_.degraded()) {
    local.subnet = dataplane_.target()->subnet;
    local.mac = dataplane_.target()->mac;
  }
  members_.table().set_local(local);
}

// -- members --

void Agent::Impl::on_members_listed() {
  const bool udp = config_.backend_absent && members_.table().without_backend() > 0;
  if (udp && !std::exchange(udp_warned_, true)) {
    log_.warning(
        "the network config has no Backend: vxlan here, but flanneld takes udp; say Backend.Type vxlan");
  }
  if (underlay_watch_.depends_on_peers()) underlay_watch_.check();
  if (state_ == State::kListing) join();
}

void Agent::Impl::on_members_interrupted() { try_degraded(); }

void Agent::Impl::on_members_changed() {
  if (!has_data_plane()) return;
  if (underlay_watch_.depends_on_peers()) underlay_watch_.on_routes_changed();
  dataplane_.schedule_converge();
  if (state_ == State::kRunning) memory_.save_peers_later();
}

bool Agent::Impl::refuses_own(Net4 subnet, const char* then) {
  const auto* held = protected_addresses().in_own(subnet);
  if (held == nullptr) return false;
  log_.error("our subnet holds an address that this node depends on",
             {{"subnet", subnet}, {"holds", held->ip}, {"which_is", name(held->kind)}, {"then", then}});
  return true;
}

void Agent::Impl::on_failure(const registry::Failure& failure) {
  failure_ = failure.error;
  ++failures_[static_cast<std::size_t>(failure.error.code)];
  if (failures_reported_.is_news(failure_digest(failure.operation, failure.error, failure.detail),
                                 loop_.now()))
    log_failure(log_, failure);
  try_degraded();
}

void Agent::Impl::on_working(std::string_view endpoint) {
  if (failure_) log_.info("registry reachable again", {{"endpoint", endpoint}});
  failure_.reset();
  failures_reported_.clear();
}

void Agent::Impl::on_server_address(const Ip& address) {
  if (address.is_v4()) underlay_watch_.add_server(address.v4());
}

/// Once the registry has delivered all leases, it knows better than we do. The sequence goes on beside this,
/// and ends it: on_joined() gives the data plane its new target, and the listing has taken out who is gone.
void Agent::Impl::try_degraded() {
  const bool unheard = state_ == State::kConfig || (state_ == State::kListing && !members_.arriving());
  if (!memory_.registry_silent() || !unheard) return;
  const auto& node = memory_.node();
  if (!node || node->subnet.length == 0) return;
  if (refuses_own(node->subnet, "wait for the registry")) return memory_.forget_subnet();
  const auto device = device_mac(node->config.vni);
  if ((device && !node->mac.zero() && *device != node->mac) || memory_.previous_subnet() != node->subnet) {
    // A flanneld ran here since. What it left works: it stays until the registry says more.
    log_.warning("the saved state is older than the device; not used", {{"subnet", node->subnet}});
    return memory_.forget_subnet();
  }
  set_target(node->config, node->subnet, node->mac);
  const std::size_t peers = memory_.degrade();
  if (underlay_watch_.depends_on_peers()) underlay_watch_.check();
  members_.report_harmful({});
  log_.warning("the registry does not answer; this node comes up as it was, degraded",
               {{"subnet", node->subnet}, {"peers", std::uint64_t{peers}}});
  dataplane_.schedule_converge();
}

// -- data plane --

void Agent::Impl::on_converged() {
  save_node();
  members_.report_shadowed();
  if (dataplane_.complete() && !ready_) {
    ready_ = true;
    log_.info("ready", {{"subnet", dataplane_.target()->subnet},
                        {"peers", std::uint64_t{members_.table().counts().peers}}});
    if (on_ready_) on_ready_();
    registry_.announce_ready();
  }
}

void Agent::Impl::save_node() {
  if (!unsaved_ || dataplane_.has_former()) return;
  memory_.save_node(*unsaved_);
  unsaved_.reset();
}

void Agent::Impl::on_audit() { underlay_watch_.check(); }

}  // namespace flannelette::agent
