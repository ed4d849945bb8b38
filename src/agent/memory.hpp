// SPDX-License-Identifier: Apache-2.0
// What this node remembers of itself and its peers, and when the memory stands in for the registry.
#pragma once

#include <cstdint>
#include <optional>

#include "agent/retry.hpp"
#include "agent/state_files.hpp"
#include "flannelette/base/state_machine.hpp"
#include "flannelette/io/loop.hpp"

namespace flannelette::agent {

enum class MemoryState : std::uint8_t {
  kWaiting,   ///< the registry has its time
  kSilent,    ///< it had it
  kDegraded,  ///< the data plane is as the state files say
  kJoined,    ///< a lease is held
};
inline constexpr StateTable kMemoryStates{
    "memory",
    {StateRow(MemoryState::kWaiting, "waiting", MemoryState::kSilent, MemoryState::kJoined),
     StateRow(MemoryState::kSilent, "silent", MemoryState::kDegraded, MemoryState::kJoined),
     StateRow(MemoryState::kDegraded, "degraded", MemoryState::kJoined),
     StateRow(MemoryState::kJoined, "joined")}};

/// Writes the state files in time, and knows whether the registry has had its time to answer at start: a node
/// whose registry is silent comes up as it was (degraded), until it holds a lease.
class Memory {
 public:
  /// The peers are written this often at most, for the sake of flash memory, and a large file less often
  /// (StateFiles::kPeersBytesPerDay); the first time earlier.
  static constexpr Millis kSavePeersEvery = 60'000;
  static constexpr Millis kSavePeersFirst = 2'000;

  /// `on_silent`: the registry had settings.registry_wait to answer.
  Memory(io::Loop& loop, Log& log, Files& files, const Settings& settings, overlay::LeaseTable& peers,
         Delegate<void()> on_silent);

  /// Reads who this node was; from now on the registry has its time.
  void start();
  /// What waits to be written is written.
  void stop();

  /// Who this node was before the restart; its subnet is empty after forget_subnet().
  const std::optional<overlay::NodeState>& node() const { return node_; }
  void forget_subnet() { node_->subnet = {}; }
  /// Our subnet before the restart: of the subnet file, else of the state (which alone survives a reboot).
  std::optional<Net4> previous_subnet() const;

  bool registry_silent() const { return state_ == MemoryState::kSilent; }
  const StateFiles& files() const { return state_files_; }
  bool degraded() const { return state_ == MemoryState::kDegraded; }
  /// From kSilent: the saved peers join the table. Their number.
  std::size_t degrade();
  /// A lease is held: what is true is saved from now on.
  void join();

  void save_node(const overlay::NodeState& node);
  void save_peers_later();

 private:
  void on_registry_wait();
  void write_node();
  void write_peers();

  io::Loop& loop_;
  Log& log_;
  Files& files_;
  const Settings& settings_;
  overlay::LeaseTable& peers_;
  StateFiles state_files_;
  Delegate<void()> on_silent_;
  io::Timer registry_wait_;
  io::Timer node_timer_;
  io::Timer peers_timer_;
  Backoff node_backoff_{kRetryFirst, kRetryMax};
  Backoff peers_backoff_{kRetryFirst, kRetryMax};

  StateMachine<kMemoryStates> state_;
  std::optional<overlay::NodeState> node_;
  overlay::NodeState to_save_;
  bool peers_saved_ = false;  ///< once; the next time can wait
};

}  // namespace flannelette::agent
