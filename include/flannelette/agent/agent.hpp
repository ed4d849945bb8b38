// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "flannelette/agent/settings.hpp"
#include "flannelette/base/delegate.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/kernel/ports.hpp"
#include "flannelette/overlay/lease_table.hpp"
#include "flannelette/registry/registry.hpp"

namespace flannelette::agent {

/// Where the agent is on its way. Legal edges:
///
///     kInterface -> kConfig -> kListing -> kClaiming -> kRunning
///     any        -> kStopped
///
/// Losing the registry, the lease or the interface in kRunning is not a state: the data plane stays, and what
/// is missing is sought. Nor is being degraded: if the registry does not answer at start, the data plane
/// comes up as it was kept in the state files, and the way to kRunning goes on.
enum class State : std::uint8_t {
  kInterface,  ///< waiting for the underlay interface and its address
  kConfig,     ///< waiting for the network config
  kListing,    ///< waiting for the first complete list of leases
  kClaiming,   ///< a subnet is being claimed
  kRunning,
  kStopped,
};
std::string_view name(State state);  ///< "listing"

/// The line of log about a failed request.
void log_failure(Log& log, const registry::Failure& failure);

/// What the agent needs of the world, all outliving it.
struct Dependencies {
  io::Loop& loop;
  Log& log;
  kernel::Ports kernel;
  registry::Registry& registry;
  Files& files;
  Delegate<void()> on_ready;  ///< once: the device, the rules and subnet.env are in place
  std::size_t max_leases = overlay::LeaseTable::kMaxRecords;  ///< for this machine's memory
};

/// The state machine that ties registry and kernel: choose the interface, get the config, hold a lease, keep
/// the kernel equal to what the registry says. Nothing but stop() ends it.
class Agent {
 public:
  Agent(const Dependencies& needs, const Settings& settings);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  void start();
  /// Goes silent and leaves the data plane, the lease and the files as they are.
  void stop();
  /// The machine was suspended for so long: everything may have changed, and no connection is to be trusted.
  void on_resume(Millis suspended);
  State state() const;
  overlay::PeerCounts counts() const;
  /// The data plane is as the state files say; the registry was not heard yet.
  bool degraded() const;

 private:
  friend class AgentStatus;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flannelette::agent
