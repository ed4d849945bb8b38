// SPDX-License-Identifier: Apache-2.0
// The agent's inside.
#pragma once

#include <array>
#include <optional>

#include "agent/dataplane.hpp"
#include "agent/members.hpp"
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

/// The sequence (agent.cpp), and what we tell the registry and hear of ourselves (joining.cpp). What lasts
/// has an object of its own: the underlay watch, the membership (the registry's), the memory, the data plane.
struct Agent::Impl final : Members::Listener,
                           registry::MembershipListener,
                           UnderlayWatch::Listener,
                           Dataplane::Listener {
  Impl(const Dependencies& needs, const Settings& settings);

  void start();
  void stop();
  void on_resume(Millis suspended);

  // -- Members::Listener --
  void on_members_listed() override;
  void on_members_interrupted() override;
  void on_members_changed() override;

  // -- registry::MembershipListener --
  void on_config(const overlay::NetworkConfig& config) override;
  void on_config_problem(const overlay::ConfigProblem& problem, std::string_view at) override;
  void on_config_missing() override;
  void on_joined(const registry::Membership& membership) override;
  void on_left(const registry::Left& left) override;
  void on_failure(const registry::Failure& failure) override;
  void on_working(std::string_view endpoint) override;
  void on_server_address(const Ip& address) override;

  // -- UnderlayWatch::Listener --
  void on_underlay(const UnderlayWatch::Change& before) override;

  // -- Dataplane::Listener --
  void on_converged() override;
  void on_audit() override;

  // -- the sequence --
  void enter(State next);
  void on_doorbell(const kernel::Ring& ring);
  void validate_members();  ///< by the config and our address, on the way to kRunning
  void remove_shadowing_routes();
  /// Whether a subnet that would be ours holds a protected address; reported with what `then` happens to it.
  bool refuses_own(Net4 subnet, const char* then);
  const Underlay& underlay() const { return underlay_watch_.underlay(); }
  const overlay::ProtectedAddresses& protected_addresses() const {
    return underlay_watch_.protected_addresses();
  }
  /// Who we are, once nothing is left of who we were: until then that must be remembered.
  void save_node();
  bool has_data_plane() const { return state_ == State::kRunning || memory_.degraded(); }
  void set_target(const overlay::NetworkConfig& config, Net4 subnet, Mac mac);
  /// Brings the data plane up from the state files, if the registry had its time and did not answer.
  void try_degraded();

  // -- the membership (joining.cpp) --
  void join();
  void recall_address(const registry::Hints& hints);  ///< where no state file does it
  std::optional<Net4> previous_subnet() const;        ///< of this node, as its files say
  std::optional<Mac> device_mac(std::uint32_t vni);   ///< of the device that is there

  io::Loop& loop_;
  Log& log_;
  const kernel::Ports kernel_;
  registry::Registry& registry_;
  Files& files_;
  Delegate<void()> on_ready_;
  const Settings& settings_;

  Members members_;
  UnderlayWatch underlay_watch_;
  Memory memory_;
  Dataplane dataplane_;

  StateMachine<kAgentStates> state_;
  overlay::NetworkConfig config_;
  std::optional<overlay::NodeState> unsaved_;
  overlay::ConfigProblem config_problem_;  ///< the last one logged
  bool udp_warned_ = false;
  bool ready_ = false;
  SayOnce<8> failures_reported_{kRemindEvery};
  std::optional<Error> failure_;  ///< the registry was last heard failing
  std::array<std::uint32_t, static_cast<std::size_t>(Code::kSystem) + 1> failures_{};  ///< by Code
};

}  // namespace flannelette::agent
