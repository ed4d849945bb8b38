// SPDX-License-Identifier: Apache-2.0
// What the agent is, as plain values, and who gives them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "flannelette/base/clock.hpp"
#include "flannelette/base/ip.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/overlay/peer_status.hpp"

namespace flannelette::status {

/// Of a name or a sentence; what is longer is cut.
using Words = Text<119>;

/// The agent at one moment. Seconds and bytes are whole; an age is that of the moment of reading. Empty words
/// and unspecified addresses are left out of every form, as kNone is. Their names there are in the field
/// table (src/status/fields.cpp).
struct Status {
  /// Why it is not ready, a sentence each; empty: in this it is.
  struct Unready {
    Words lease;   ///< none is held, and none is remembered
    Words kernel;  ///< it is not as it should be
    Words watch;   ///< none stands, or it said nothing for too long
  } unready;

  struct Node {
    const char* state = nullptr;  ///< of the agent: "running"
    Words device;
    Net network = Net4{};
    Net subnet = Net4{};
    Mac mac;
    Ip public_ip = Ip4{};
    Words interface;  ///< the underlay's
    const char* backend = nullptr;
    std::int64_t mtu_bytes = 0;  ///< of the overlay
    std::int64_t vni = 0;
    std::int64_t port = 0;
  } node;

  struct Lease {
    const char* state = nullptr;  ///< "none", "cached" (the node is degraded), "held"
    bool reservation = false;     ///< it does not end by itself
    std::int64_t held = 0;        ///< 1: yes
    Millis remaining = 0;
  } lease;

  struct Registry {
    Words server;                  ///< URL, of the watch
    Millis connected = 0;          ///< age of the connection
    const char* watch = nullptr;   ///< its state: "stable"
    Millis watch_age = 0;          ///< since there was a sign of life
    Millis event_age = 0;          ///< since something changed
    Words failure;                 ///< the last one, as long as it lasts
    std::int64_t connections = 0;  ///< those of watches: each but the first is a reconnect
    std::int64_t requests = 0;
    std::int64_t messages = 0;  ///< of watches
    std::int64_t received_bytes = 0;
    std::int64_t sent_bytes = 0;
  } registry;
  std::array<std::int64_t, static_cast<std::size_t>(Code::kSystem) + 1>
      failures{};  ///< of the registry, by Code

  struct Peers {
    std::int64_t wanted = 0;
    std::int64_t programmed = 0;
    std::int64_t refused = 0;  ///< by the kernel
  } peers;
  std::array<std::int64_t, overlay::PeerTotals::kReasons>
      ignored{};  ///< records, by Ignored; the first two are unused

  struct Kernel {
    const char* rules = nullptr;  ///< of our traffic: "installed", "none", "failed"
    Words failure;                ///< what could not be done, as long as it lasts
    std::int64_t batches = 0;
    std::int64_t changes = 0;
    std::int64_t refusals = 0;
    std::int64_t audits = 0;
  } kernel;
  std::array<std::int64_t, 7> repairs{};  ///< route, nexthop, neighbour, fdb, sender, rules, device

  /// What the kernel counts of our device.
  struct Device {
    std::int64_t received_bytes = 0;
    std::int64_t received_packets = 0;
    std::int64_t sent_bytes = 0;
    std::int64_t sent_packets = 0;
    std::int64_t dropped_packets = 0;
  } device;

  struct Process {
    std::int64_t start_time_seconds = 0;  ///< Unix time
    Millis uptime = 0;
    std::int64_t resident_memory_bytes = 0;
    std::int64_t wakeups = 0;
    std::int64_t log_lines_dropped = 0;
    std::int64_t state_writes = 0;
    std::int64_t state_written_bytes = 0;
  } process;

  bool ready() const { return unready.lease.empty() && unready.kernel.empty() && unready.watch.empty(); }
};

/// One record of the registry. Of our own no form says anything.
using overlay::PeerStatus;

/// Whom the status is of. What it gives is computed from what it acts on when it is asked.
class Source {
 public:
  virtual void read(Status& status) const = 0;
  /// The record of this index, from 0, in subnet order; false: there are not so many.
  virtual bool peer(std::size_t index, PeerStatus& peer) const = 0;

 protected:
  ~Source() = default;
};

}  // namespace flannelette::status
