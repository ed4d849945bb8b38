// SPDX-License-Identifier: Apache-2.0
#include "flannelette/agent/agent.hpp"

#include <algorithm>
#include <utility>

#include "agent/agent_impl.hpp"

namespace flannelette::agent {
namespace {

bool is_harmful(overlay::Ignored why) {
  return why == overlay::Ignored::kHoldsProtected || why == overlay::Ignored::kHoldsPublicIp;
}

}  // namespace

std::string_view name(State state) { return kAgentStates.rows[static_cast<std::size_t>(state)].name; }

Agent::Agent(const Dependencies& needs, const Settings& settings) : impl_(new Impl(needs, settings)) {}
Agent::~Agent() = default;
void Agent::start() { impl_->start(); }
void Agent::stop() { impl_->stop(); }
State Agent::state() const { return impl_->state_.state(); }
overlay::PeerCounts Agent::counts() const { return impl_->peers_.counts(); }
bool Agent::degraded() const { return impl_->memory_.degraded(); }

Agent::Impl::Impl(const Dependencies& needs, const Settings& settings)
    : loop_(needs.loop),
      log_(needs.log),
      kernel_(needs.kernel),
      registry_(needs.registry),
      files_(needs.files),
      on_ready_(needs.on_ready),
      settings_(settings),
      peers_(needs.max_leases),
      underlay_watch_(loop_, log_, kernel_.links, settings_.interface, *this),
      memory_(loop_, log_, files_, settings_, peers_, Delegate<void()>::to<&Impl::try_degraded>(this)),
      dataplane_(loop_, kernel_, files_, log_, settings_, peers_, *this) {}

void Agent::Impl::start() {
  kernel_.notifications.set_doorbell(Delegate<void(const kernel::Ring&)>::to<&Impl::on_doorbell>(this));
  registry_.start(*this, *this);
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

void Agent::Impl::enter(State next) {
  if (state_ == next) return;
  state_.enter(next, log_);
}

// -- underlay and config --

void Agent::Impl::on_links_changed() {
  if (has_data_plane()) dataplane_.mark_dirty();
}

void Agent::Impl::on_underlay(const UnderlayWatch::Change& before) {
  if (before.underlay && before.underlay->address != underlay().address) registry_.reconnect();
  if (has_data_plane()) {
    const Dataplane::Target target = *dataplane_.target();
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
    case State::kClaiming: judge_peers(); break;
    case State::kRunning: break;
    case State::kStopped: return;
  }
  report_harmful(before.protected_addresses);
}

void Agent::Impl::set_target(const overlay::NetworkConfig& config, Net4 subnet, Mac mac) {
  dataplane_.set_target({config, underlay(), subnet, mac, protected_addresses()});
  underlay_watch_.set_subnet(subnet);
}

void Agent::Impl::on_config_problem(const overlay::ConfigProblem& problem, std::string_view at) {
  const overlay::ConfigProblem& known = config_problem_;
  if (known.key != problem.key || known.why != problem.why || known.offset != problem.offset) {
    log_.error(problem.unsupported ? "the network config asks for what flannelette cannot do"
                                   : "the network config is wrong",
               {{"config", registry_.config_location()},
                {"key", problem.key},
                {"reason", problem.why},
                {"offset", problem.offset},
                {"at", at}});
  }
  config_problem_ = problem;
}

void Agent::Impl::on_config_missing() {
  static constexpr const char* kMissing = "there is no network config in the registry yet; waiting for it";
  if (config_problem_.why != kMissing) log_.warning(kMissing, {{"key", registry_.config_location()}});
  config_problem_ = {"", kMissing};
}

void Agent::Impl::on_config(const overlay::NetworkConfig& config) {
  config_ = config;
  log_.info("network config", {{"network", config_.network},
                               {"subnet_len", unsigned{config_.subnet_len}},
                               {"vni", config_.vni},
                               {"port", unsigned{config_.port}}});
  enter(State::kListing);
  underlay_watch_.set_network(config_.network);
  if (!has_data_plane()) underlay_watch_.set_subnet(previous_subnet());
  underlay_watch_.apply_network();
  judge_peers();
}

void Agent::Impl::on_doorbell(const kernel::Ring& ring) {
  if (ring.has(kernel::Cause::kLinks) || ring.has(kernel::Cause::kAddresses))
    underlay_watch_.check_in(UnderlayWatch::kLinksDelay);
  if (ring.has(kernel::Cause::kRules)) dataplane_.on_rules_changed(ring);
}

void Agent::Impl::remove_shadowing_routes() {
  dataplane_.remove_shadowing_routes(protected_addresses(),
                                     memory_.node() ? memory_.node()->config : config_);
}

/// Before our subnet is known, nothing is programmed; the kept one is known.
void Agent::Impl::judge_peers() {
  overlay::LocalNode local{config_,      underlay().public_ip.v4(), std::nullopt,
                           std::nullopt, underlay().broadcast,      protected_addresses()};
  if (memory_.degraded()) {
    local.subnet = dataplane_.target()->subnet;
    local.mac = dataplane_.target()->mac;
  }
  peers_.set_local(local);
}

// -- records --

void Agent::Impl::on_snapshot_begin() {
  listing_ = true;
  peers_.begin_listing();
}

void Agent::Impl::on_snapshot_abort() {
  listing_ = false;
  peers_.abort_listing();
  try_degraded();
}

void Agent::Impl::on_snapshot_end() {
  listing_ = false;
  peers_.end_listing();
  table_full_ = table_full_ && peers_.full();
  if (config_.backend_absent && !udp_warned_ && peers_.without_backend() > 0) {
    udp_warned_ = true;
    log_.warning(
        "the network config has no Backend: vxlan here, but flanneld takes udp; say Backend.Type vxlan");
  }
  if (state_ == State::kListing) join();
  on_events_end();
}

void Agent::Impl::on_record(const overlay::LeaseRecord& record) {
  bool stored = true;
  const overlay::Ignored why = peers_.upsert(record, &stored);
  if (!stored) {
    if (!std::exchange(table_full_, true)) {
      log_.error("the table of leases is full for this machine's memory; more are not programmed",
                 {{"limit", std::uint64_t{peers_.limit()}}, {"subnet", record.key.subnet}});
    }
    return;
  }
  if (why == overlay::Ignored::kNo || why == overlay::Ignored::kOurs) return;
  // As long as we have no subnet, a record under our address is most likely our own of an earlier life.
  if (why == overlay::Ignored::kOurPublicIp && state_ != State::kRunning) return;
  if (is_harmful(why)) return log_harmful(record.key, why);
  const auto key = to_text<overlay::LeaseKey::kMaxText>([&](Writer& out) { write(out, record.key); });
  log_.warning("peer ignored",
               {{"key", key.view()}, {"public_ip", record.value.public_ip}, {"reason", name(why)}});
}

void Agent::Impl::log_harmful(const overlay::LeaseKey& key, overlay::Ignored why) {
  static constexpr const char* kText =
      "peer ignored: its route would hide an address that must be reached directly";
  const Field subnet("subnet", key.subnet), reason("reason", name(why));
  const auto* held =
      why == overlay::Ignored::kHoldsProtected ? protected_addresses().in(key.subnet) : nullptr;
  if (held == nullptr) return log_.warning(kText, {subnet, reason});
  log_.warning(kText, {subnet, reason, {"holds", held->ip}, {"which_is", name(held->kind)}});
}

void Agent::Impl::report_harmful(const overlay::ProtectedAddresses& known) {
  struct Harmful final : overlay::LeaseTable::IgnoredVisitor {
    Harmful(Impl& the_agent, const overlay::ProtectedAddresses& already) : agent(the_agent), known(already) {}
    void ignored(const overlay::LeaseKey& key, overlay::Ignored why) override {
      const bool news = why == overlay::Ignored::kHoldsProtected ? known.in(key.subnet) == nullptr
                                                                 : known.begin() == known.end();
      if (is_harmful(why) && news) agent.log_harmful(key, why);
    }
    Impl& agent;
    const overlay::ProtectedAddresses& known;
  } harmful(*this, known);
  peers_.visit_ignored(harmful);
}

bool Agent::Impl::refuses_own(Net4 subnet, const char* what) {
  const auto* held = protected_addresses().in_own(subnet);
  if (held == nullptr) return false;
  log_.error("our subnet holds an address that this node depends on",
             {{"subnet", subnet}, {"holds", held->ip}, {"which_is", name(held->kind)}, {"then", what}});
  return true;
}

void Agent::Impl::on_removed(const overlay::LeaseKey& key, std::int64_t modified) {
  peers_.remove(key, modified);
}

void Agent::Impl::on_events_end() {
  if (state_ != State::kRunning) return;
  dataplane_.schedule_converge();
  memory_.save_peers_later();
}

void Agent::Impl::on_skipped(std::string_view key, registry::Skipped why) {
  switch (why) {
    case registry::Skipped::kForeignKey:
      return log_.info("a key that is no lease is left alone", {{"key", key}});
    case registry::Skipped::kTooLarge:
      return log_.warning("a registry entry is over the size limit and was skipped", {{"key", key}});
  }
}

void Agent::Impl::on_failure(const registry::Failure& failure) {
  failing_ = true;
  if (failures_reported_.is_news(failure_digest(failure.operation, failure.error, failure.detail),
                                 loop_.now())) {
    static constexpr const char* kText = "registry request failed";
    const Field during("during", failure.operation), endpoint("endpoint", failure.endpoint.view());
    const Field error(failure.error), retry("retry_in_ms", failure.retry_in);
    if (failure.detail.empty()) {
      log_.warning(kText, {during, endpoint, error, retry});
    } else {
      log_.warning(kText, {during, endpoint, error, {"detail", failure.detail.view()}, retry});
    }
  }
  try_degraded();
}

void Agent::Impl::on_working(std::string_view endpoint) {
  if (failing_) log_.info("registry reachable again", {{"endpoint", endpoint}});
  failing_ = false;
  failures_reported_.clear();
}

void Agent::Impl::on_server_address(const Ip& address) {
  if (address.is_v4()) underlay_watch_.add_server(address.v4());
}

/// Once the registry has delivered all leases, it knows better than we do. The sequence goes on beside this,
/// and ends it: on_joined() gives the data plane its new target, and the listing has taken out who is gone.
void Agent::Impl::try_degraded() {
  const bool unheard = state_ == State::kConfig || (state_ == State::kListing && !listing_);
  if (!memory_.registry_silent() || !unheard) return;
  const auto& node = memory_.node();
  if (!node || node->subnet.length == 0) return;
  if (refuses_own(node->subnet, "wait for the registry")) return memory_.forget_subnet();
  set_target(node->config, node->subnet, node->mac);
  const std::size_t peers = memory_.degrade();
  report_harmful({});
  log_.warning("the registry does not answer; this node comes up as it was, degraded",
               {{"subnet", node->subnet}, {"peers", std::uint64_t{peers}}});
  dataplane_.schedule_converge();
}

// -- convergence --

void Agent::Impl::on_converged() {
  report_peers();
  if (dataplane_.complete() && !ready_) {
    ready_ = true;
    log_.info("ready",
              {{"subnet", dataplane_.target()->subnet}, {"peers", std::uint64_t{peers_.counts().peers}}});
    if (on_ready_) on_ready_();
  }
}

void Agent::Impl::on_audit() { underlay_watch_.check(); }

void Agent::Impl::report_peers() {
  struct Conflicts final : overlay::LeaseTable::IgnoredVisitor {
    explicit Conflicts(Log& to) : log(to) {}
    void ignored(const overlay::LeaseKey& key, overlay::Ignored reason) override {
      if (reason == overlay::Ignored::kConflict)
        log.warning("peer shadowed by a conflicting lease",
                    {{"subnet", key.subnet}, {"reason", name(reason)}});
    }
    Log& log;
  };
  const auto counts = peers_.counts();
  if (counts.ignored != ignored_reported_) {
    ignored_reported_ = counts.ignored;
    Conflicts conflicts(log_);
    peers_.visit_ignored(conflicts);
  }
}

}  // namespace flannelette::agent
