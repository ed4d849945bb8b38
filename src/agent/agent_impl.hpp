// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "agent/dataplane.hpp"
#include "agent/memory.hpp"
#include "agent/retry.hpp"
#include "agent/underlay_watch.hpp"
#include "flannelette/agent/agent.hpp"
#include "flannelette/base/say_once.hpp"
#include "flannelette/base/state_machine.hpp"

namespace flannelette::agent {

/// After this a failure of the registry that lasts is reported again.
inline constexpr Millis kRemindEvery = 10 * 60'000;

inline constexpr StateTable kAgentStates{
    "agent",
    {StateRow(State::kInterface, "interface", State::kConfig, State::kStopped),
     StateRow(State::kConfig, "config", State::kListing, State::kStopped),
     StateRow(State::kListing, "listing", State::kClaiming, State::kStopped),
     StateRow(State::kClaiming, "claiming", State::kRunning, State::kStopped),
     StateRow(State::kRunning, "running", State::kStopped), StateRow(State::kStopped, "stopped")}};

/// The sequence (agent.cpp), and which subnet is ours and whether it still is (lease.cpp). What lasts has an
/// object of its own: the underlay watch, the memory, the data plane.
struct Agent::Impl final : registry::Listener, UnderlayWatch::Listener, Dataplane::Listener {
  Impl(const Dependencies& needs, const Settings& settings);

  void start();
  void stop();

  // -- registry::Listener --
  void on_config(std::string_view text) override;
  void on_config_missing() override;
  void on_listing_begin() override;
  void on_listing_end() override;
  void on_listing_abort() override;
  void on_record(const overlay::LeaseRecord& record) override;
  void on_removed(const overlay::LeaseKey& key, std::int64_t mod_revision) override;
  void on_events_end() override;
  void on_skipped(std::string_view key, registry::Skipped why) override;
  void on_claim(const registry::ClaimResult& result) override;
  void on_lease_lost() override;
  void on_failure(const registry::Failure& trouble) override;
  void on_working(std::string_view endpoint) override;
  void on_server_address(Ip4 address) override;

  // -- UnderlayWatch::Listener --
  void on_links_changed() override;
  void on_underlay(const UnderlayWatch::Change& before) override;

  // -- Dataplane::Listener --
  void on_converged() override;
  void on_audit() override;

  // -- the sequence --
  void enter(State next);
  void on_doorbell(const kernel::Ring& ring);
  void judge_peers();  ///< by the config and our address, on the way to kRunning
  void on_retry();     ///< retry_: the config again
  void retry_later() { retry_.arm_in(wait_backoff_.next()); }
  void remove_shadowing_routes();
  /// Names the peers whose subnet holds a protected address, but not those that held one of `known` already.
  void report_harmful(const overlay::ProtectedAddresses& known);
  void log_harmful(const overlay::LeaseKey& key, overlay::Ignored why);
  /// Whether a subnet that would be ours holds a protected address; reported with what `then` happens to it.
  bool refuses_own(Net4 subnet, const char* then);
  const Underlay& underlay() const { return underlay_watch_.underlay(); }
  const overlay::ProtectedAddresses& protected_addresses() const {
    return underlay_watch_.protected_addresses();
  }
  bool has_data_plane() const { return state_ == State::kRunning || memory_.degraded(); }
  void set_target(const overlay::NetworkConfig& config, Net4 subnet, Mac mac);
  /// Brings the data plane up from the state files, if the registry had its time and did not answer.
  void try_degraded();

  void report_peers();

  // -- the lease (lease.cpp) --
  /// Decides which subnet to ask for, and asks. From kListing (first time) and kClaiming (again).
  void claim_subnet();
  /// Asks for the subnet that we had: the key is gone, or says what is no longer true (our address changed).
  void reclaim();
  void send_claim(const overlay::LeaseKey& key, std::int64_t mod_revision, bool always_write);
  void lease_held(const registry::ClaimResult& result);
  /// Compares what the table says of our subnet with what we wrote.
  void check_lease();
  void claim_later() { claim_retry_.arm_in(claim_backoff_.next()); }
  void on_claim_retry();
  void lost_claim();      ///< somebody was first, or stands in the way
  void recall_address();  ///< where no state file does it
  void adopt_or_choose(std::optional<overlay::LeaseKey>& key, std::int64_t& mod_revision, bool& always_write);
  std::optional<Net4> previous_subnet();  ///< of this node, as its files say
  bool in_range(Net4 subnet) const;

  /// The subnet that we hold or are claiming.
  struct Own {
    overlay::LeaseKey key;
    overlay::LeaseValue value;
    std::int64_t mod_revision = 0;  ///< of our key as we know it; 0: not held
    bool creating = false;          ///< the claim under way is of a subnet that nobody holds
    bool held = false;
  };

  io::Loop& loop_;
  Log& log_;
  const kernel::Ports kernel_;
  registry::Registry& registry_;
  Files& files_;
  Random& random_;
  Delegate<void()> on_ready_;
  const Settings& settings_;

  overlay::LeaseTable peers_;
  UnderlayWatch underlay_watch_;
  Memory memory_;
  Dataplane dataplane_;
  io::Timer retry_;
  io::Timer claim_retry_;
  Backoff wait_backoff_{kRetryFirst, kWaitMax};
  /// Of its own: a kernel that obeys must not hurry a registry that refuses.
  Backoff claim_backoff_{kRetryFirst, kRetryMax};

  StateMachine<kAgentStates> state_;
  overlay::NetworkConfig config_;
  std::optional<Mac> mac_;
  std::optional<Own> own_;
  overlay::ConfigProblem config_problem_;  ///< the last one logged
  bool udp_warned_ = false;
  bool table_full_ = false;          ///< reported
  bool claiming_ = false;            ///< a claim is under way
  int lost_races_ = 0;               ///< since we last held a lease
  std::optional<Net4> blocked_;      ///< free by the table, but taken: a foreign key stands in the way
  std::int64_t rival_revision_ = 0;  ///< newest revision of our key that somebody else wrote, as reported
  std::size_t ignored_reported_ = 0;
  bool ready_ = false;
  bool listing_ = false;  ///< a list of leases is arriving
  SayOnce<8> troubles_said_{kRemindEvery};
  bool trouble_ = false;  ///< the registry was last heard failing
};

}  // namespace flannelette::agent
