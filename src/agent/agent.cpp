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

std::string_view name(State state) {
  switch (state) {
    case State::kInterface: return "waiting for the interface";
    case State::kConfig: return "waiting for the network config";
    case State::kListing: return "listing leases";
    case State::kClaiming: return "claiming a subnet";
    case State::kRunning: return "running";
    case State::kStopped: return "stopped";
  }
  return "";
}

Agent::Agent(const Dependencies& needs, const Settings& settings) : impl_(new Impl(needs, settings)) {}
Agent::~Agent() = default;
void Agent::start() { impl_->start(); }
void Agent::stop() { impl_->stop(); }
State Agent::state() const { return impl_->state_; }
overlay::PeerCounts Agent::counts() const { return impl_->peers_.counts(); }
bool Agent::degraded() const { return impl_->degraded_; }

Agent::Impl::Impl(const Dependencies& needs, const Settings& settings)
    : loop_(needs.loop),
      log_(needs.log),
      kernel_(needs.kernel),
      registry_(needs.registry),
      files_(needs.files),
      random_(needs.random),
      on_ready_(needs.on_ready),
      settings_(settings),
      peers_(needs.max_leases),
      dataplane_(kernel_, files_, log_, settings_, peers_),
      cache_(files_, log_, settings_),
      look_(loop_, Delegate<void()>::to<&Impl::on_look>(this)),
      rules_look_(loop_, Delegate<void()>::to<&Impl::on_rules_look>(this)),
      retry_(loop_, Delegate<void()>::to<&Impl::on_retry>(this)),
      redo_(loop_, Delegate<void()>::to<&Impl::on_redo>(this)),
      wait_(loop_, Delegate<void()>::to<&Impl::on_waited>(this)),
      keep_(loop_, Delegate<void()>::to<&Impl::on_keep>(this)),
      keep_node_(loop_, Delegate<void()>::to<&Impl::keep_node>(this)),
      claim_retry_(loop_, Delegate<void()>::to<&Impl::on_claim_retry>(this)),
      converge_(loop_, Delegate<void()>::to<&Impl::on_converge>(this)),
      audit_(loop_, Delegate<void()>::to<&Impl::on_audit>(this)) {}

void Agent::Impl::start() {
  kernel_.set_doorbell(Delegate<void(const kernel::Ring&)>::to<&Impl::on_doorbell>(this));
  registry_.start(*this);
  cache_.clean_up();
  kept_node_ = cache_.node();
  if (kept_node_) in_use_ = kept_node_->public_ip;
  wait_.arm_in(settings_.registry_wait);
  seek_interface();
}

void Agent::Impl::stop() {
  if (state_ == State::kStopped) return;
  registry_.stop();
  if (keep_.armed()) on_keep();
  kernel_.set_doorbell({});
  for (io::Timer* timer : {&look_, &rules_look_, &retry_, &redo_, &wait_, &keep_, &keep_node_, &claim_retry_,
                           &converge_, &audit_}) {
    timer->cancel();
  }
  enter(State::kStopped);
}

void Agent::Impl::enter(State next) {
  if (next == state_) return;
  log_.debug("state", {{"from", name(state_)}, {"to", name(next)}});
  state_ = next;
  retry_.cancel();
  wait_backoff_.reset();
  backoff_.reset();
}

// -- interface and config --

/// By what is known of ourselves so far.
Result<UnderlayChoice> Agent::Impl::choose_underlay() {
  Known known{.registry = std::span(servers_).first(std::min(servers_next_, Known::kMaxServers))};
  known.in_use = in_use_;
  if (state_ == State::kInterface || state_ == State::kConfig) {
    if (kept_node_) known.network = kept_node_->config.network;
  } else {
    known.network = config_.network;
  }
  if (has_data_plane()) {
    known.subnet = dataplane_.target()->subnet;
  } else if (underlay_) {
    known.subnet = previous_subnet();
  }
  return find_underlay(settings_.interface, kernel_, known);
}

void Agent::Impl::seek_interface() {
  auto choice = choose_underlay();
  if (!choice) {
    report_unseen(choice.error());
    return retry_later();
  }
  interfaces_said_.clear();
  if (!choice->underlay) {
    report_missing("waiting for the interface", choice->missing);
    return retry_later();  // the doorbell brings links and addresses, but not routes
  }
  waiting_for_ = "";
  underlay_ = choice->underlay;
  in_use_ = underlay_->address;
  protected_ = choice->protected_addresses;
  free_the_way();
  log_.info("interface chosen", {{"interface", underlay_->name.view()},
                                 {"address", underlay_->address},
                                 {"public_ip", underlay_->public_ip},
                                 {"mtu", underlay_->mtu}});
  enter(State::kConfig);
  registry_.read_config();
  use_kept_state();
}

void Agent::Impl::report_unseen(const Error& error) {
  if (interfaces_said_.is_news(error)) log_.error("cannot look at the interfaces", {Field(error)});
}

void Agent::Impl::report_missing(const char* text, const char* reason) {
  if (waiting_for_ == reason) return;
  waiting_for_ = reason;
  const InterfaceSettings& wish = settings_.interface;
  const auto ip = text_of(wish.can_reach.value_or(wish.public_ip.value_or(Ip4{})));
  std::string_view wanted = "(default)";
  if (wish.can_reach || wish.public_ip) wanted = ip;
  if (!wish.regexes.empty()) wanted = wish.regexes.items().front();
  if (!wish.names.empty()) wanted = wish.names.items().front();
  log_.warning(text, {{"wanted", wanted}, {"reason", reason}});
}

void Agent::Impl::on_config(std::string_view text) {
  if (state_ != State::kConfig) return;
  overlay::ConfigProblem problem;
  if (auto parsed = parse_config(text, config_, problem); !parsed) {
    const overlay::ConfigProblem& known = config_problem_;
    if (known.key != problem.key || known.why != problem.why || known.offset != problem.offset) {
      log_.error(problem.unsupported ? "the network config asks for what flannelette cannot do"
                                     : "the network config is wrong",
                 {{"config", registry_.config_place()},
                  {"key", problem.key},
                  {"reason", problem.why},
                  {"offset", problem.offset},
                  {"at", text.substr(problem.offset, 1)}});
    }
    config_problem_ = problem;
    return retry_later();
  }
  log_.info("network config", {{"network", config_.network},
                               {"subnet_len", unsigned{config_.subnet_len}},
                               {"vni", config_.vni},
                               {"port", unsigned{config_.port}}});
  enter(State::kListing);
  if (auto choice = choose_underlay(); choice && choice->underlay) {  // by the network that we know now
    report_overlap(*choice);
    protected_ = choice->protected_addresses;
  }
  judge_peers();
  registry_.follow();
}

void Agent::Impl::on_config_missing() {
  if (state_ != State::kConfig) return;
  static constexpr const char* kMissing = "there is no network config in the registry yet; waiting for it";
  if (config_problem_.why != kMissing) log_.warning(kMissing, {{"key", registry_.config_place()}});
  config_problem_ = {"", kMissing};
  retry_later();
}

void Agent::Impl::on_retry() {
  switch (state_) {
    case State::kInterface: return seek_interface();
    case State::kConfig: return registry_.read_config();
    case State::kListing:
    case State::kClaiming:
    case State::kRunning:
    case State::kStopped: return;
  }
}

void Agent::Impl::on_redo() {
  dataplane_.retry();
  soon();
}

void Agent::Impl::on_doorbell(const kernel::Ring& ring) {
  switch (ring.cause) {
    case kernel::Ring::Cause::kLinks: return look_.arm_at_latest_in(kDoorbellDelay);
    case kernel::Ring::Cause::kRules: break;
  }
  dataplane_.rules_changed_by(ring);
  const Millis since = loop_.now() - rules_looked_;
  if (since > 6 * kRulesEvery) rules_backoff_.reset();
  rules_look_.arm_at_latest_in(since + kDoorbellDelay < rules_rest_ ? rules_rest_ - since : kDoorbellDelay);
}

void Agent::Impl::on_rules_look() {
  rules_looked_ = loop_.now();
  rules_rest_ = rules_backoff_.next();
  dataplane_.look_at_rules();
  soon();
}

void Agent::Impl::on_look() {
  if (state_ == State::kInterface) return seek_interface();
  follow_underlay();
}

void Agent::Impl::follow_underlay() {
  if (has_data_plane()) {
    dataplane_.doubt();
    soon();
  }
  auto choice = choose_underlay();
  if (!choice || !choice->underlay) {
    // The old address is kept: the data plane outlives its NIC, and the address most often comes back. The
    // doorbell does not bring routes, so that we look by ourselves too.
    if (!choice) {
      report_unseen(choice.error());
    } else {
      report_missing("the interface is gone; keeping what is there", choice->missing);
    }
    return look_.arm_at_latest_in(look_backoff_.next());
  }
  look_backoff_.reset();
  waiting_for_ = "";
  if (interfaces_said_.clear()) log_.info("the interfaces are seen again");
  const bool changed = *choice->underlay != *underlay_;
  if (!changed && choice->protected_addresses == protected_) return;
  const bool moved = choice->underlay->public_ip != underlay_->public_ip;
  if (choice->underlay->address != underlay_->address) registry_.reconnect();
  underlay_ = choice->underlay;
  in_use_ = underlay_->address;
  const overlay::ProtectedAddresses known = protected_;
  protected_ = choice->protected_addresses;
  if (changed) {
    log_.info("the underlay changed", {{"interface", underlay_->name.view()},
                                       {"address", underlay_->address},
                                       {"public_ip", underlay_->public_ip},
                                       {"mtu", underlay_->mtu}});
  }
  if (has_data_plane()) {
    auto target = *dataplane_.target();
    target.underlay = *underlay_;
    target.protected_addresses = protected_;
    dataplane_.set_target(target);
    refuses_own(target.subnet, "it stays until a restart takes another");
  }
  free_the_way();
  if (state_ == State::kRunning) {
    if (moved) reclaim();
  } else if (state_ != State::kConfig) {
    judge_peers();  // a claim under way is corrected when it is held
  }
  report_harmful(known);
}

void Agent::Impl::report_overlap(const UnderlayChoice& choice) {
  if (!choice.overlap || overlap_reported_) return;
  overlap_reported_ = true;
  log_.warning(
      "Network overlaps a connected prefix of this machine; subnets that hold what it needs are refused",
      {{"network", config_.network}, {"connected", choice.overlap->net}});
}

/// Without a data plane, which looks after its routes itself.
void Agent::Impl::free_the_way() {
  if (has_data_plane()) return;
  const overlay::NetworkConfig known = kept_node_ ? kept_node_->config : config_;
  dataplane_.free_the_way(protected_, known);
}

/// Before our subnet is known, nothing is programmed; the kept one is known.
void Agent::Impl::judge_peers() {
  overlay::LocalNode local{config_,      underlay_->public_ip, std::nullopt,
                           std::nullopt, underlay_->broadcast, protected_};
  if (degraded_) {
    local.subnet = dataplane_.target()->subnet;
    local.mac = dataplane_.target()->mac;
  }
  peers_.set_local(local);
}

// -- records --

void Agent::Impl::on_listing_begin() {
  listing_ = true;
  peers_.begin_listing();
}

void Agent::Impl::on_listing_abort() {
  listing_ = false;
  peers_.abort_listing();
  use_kept_state();
}

void Agent::Impl::on_listing_end() {
  listing_ = false;
  peers_.end_listing();
  table_full_ = table_full_ && peers_.full();
  if (config_.backend_absent && !udp_warned_ && peers_.without_backend() > 0) {
    udp_warned_ = true;
    log_.warning(
        "the network config has no Backend: vxlan here, but flanneld takes udp; say Backend.Type vxlan");
  }
  if (state_ == State::kListing) {
    recall_address();
    enter(State::kClaiming);
    claim_subnet();
  }
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
  const auto* held = why == overlay::Ignored::kHoldsProtected ? protected_.in(key.subnet) : nullptr;
  if (held == nullptr) return log_.warning(kText, {subnet, reason});
  log_.warning(kText, {subnet, reason, {"holds", held->ip}, {"which_is", name(held->kind)}});
}

void Agent::Impl::report_harmful(const overlay::ProtectedAddresses& known) {
  struct Harmful final : overlay::PeerTable::IgnoredVisitor {
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
  const auto* held = protected_.in_own(subnet);
  if (held == nullptr) return false;
  log_.error("our subnet holds an address that this node depends on",
             {{"subnet", subnet}, {"holds", held->ip}, {"which_is", name(held->kind)}, {"then", what}});
  return true;
}

void Agent::Impl::on_removed(const overlay::LeaseKey& key, std::int64_t mod_revision) {
  peers_.remove(key, mod_revision);
  if (state_ == State::kClaiming && claim_retry_.armed()) claim_retry_.arm_in(0);  // a subnet may be free now
}

void Agent::Impl::on_events_end() {
  if (state_ != State::kRunning) return;
  check_lease();
  soon();
  keep_peers_later();
}

void Agent::Impl::on_skipped(std::string_view key, registry::Skipped why) {
  switch (why) {
    case registry::Skipped::kForeignKey:
      return log_.info("a key that is no lease is left alone", {{"key", key}});
    case registry::Skipped::kTooLarge:
      return log_.warning("a registry entry is over the size limit and was skipped", {{"key", key}});
  }
}

void Agent::Impl::on_trouble(const registry::Trouble& trouble) {
  trouble_ = true;
  if (troubles_said_.is_news(trouble, loop_.now())) {
    static constexpr const char* kText = "registry trouble";
    const Field during("during", trouble.operation), endpoint("endpoint", trouble.endpoint.view());
    const Field error(trouble.error), retry("retry_in_ms", trouble.retry_in);
    if (trouble.detail.empty()) {
      log_.warning(kText, {during, endpoint, error, retry});
    } else {
      log_.warning(kText, {during, endpoint, error, {"detail", trouble.detail.view()}, retry});
    }
  }
  use_kept_state();
}

void Agent::Impl::on_working(std::string_view endpoint) {
  if (trouble_) log_.info("registry works again", {{"endpoint", endpoint}});
  trouble_ = false;
  troubles_said_.clear();
}

void Agent::Impl::on_server_address(Ip4 address) {
  if (std::ranges::find(servers_, address) != servers_.end()) return;
  servers_[servers_next_++ % Known::kMaxServers] = address;
  if (underlay_) look_.arm_at_latest_in(0);
}

// -- convergence --

void Agent::Impl::on_converge() {
  if (!has_data_plane()) return;
  if (auto done = dataplane_.converge(loop_.now()); !done) {
    const Error& error = done.error();
    const Millis delay = backoff_.next();
    if (dataplane_said_.is_news(error)) {
      log_.warning("this node is not as it should be; trying again and again",
                   {Field(error), {"retry_in_ms", delay}});
    }
    redo_.arm_at_latest_in(delay);
  } else {
    if (dataplane_said_.clear()) log_.info("this node is as it should be");
    backoff_.reset();
    redo_.cancel();
  }
  report_peers();
  if (dataplane_.complete() && !ready_) {
    ready_ = true;
    log_.info("ready",
              {{"subnet", dataplane_.target()->subnet}, {"peers", std::uint64_t{peers_.counts().peers}}});
    if (on_ready_) on_ready_();
  }
  if (!audit_.armed()) audit_.arm_in(kAuditEvery);
}

void Agent::Impl::on_audit() {
  peers_.invalidate();
  dataplane_.look_at_rules();  // the kernel's older interface tells nobody
  follow_underlay();
}

void Agent::Impl::report_peers() {
  struct Conflicts final : overlay::PeerTable::IgnoredVisitor {
    explicit Conflicts(Log& to) : log(to) {}
    void ignored(const overlay::LeaseKey& key, overlay::Ignored reason) override {
      if (reason == overlay::Ignored::kConflict)
        log.warning("peer waits", {{"subnet", key.subnet}, {"reason", name(reason)}});
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
