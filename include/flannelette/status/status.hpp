// SPDX-License-Identifier: Apache-2.0
// What the agent is, as plain values, and who gives them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "flannelette/base/ip.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/overlay/ignored.hpp"

namespace flannelette::status {

/// Of a name or a sentence; what is longer is cut.
using Words = Text<119>;

/// A number that there is not: what is not known, or does not apply. It is left out of every form.
inline constexpr std::int64_t kNone = -1;

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
    const char* state = "";  ///< of the agent: "running"
    Words device;
    Net network = Net4{};
    Net subnet = Net4{};
    Mac mac;
    Ip public_ip = Ip4{};
    Words interface;  ///< the underlay's
    const char* backend = "";
    std::int64_t mtu_bytes = kNone;  ///< of the overlay
    std::int64_t vni = kNone;
    std::int64_t port = kNone;
  } node;

  struct Lease {
    const char* state = "none";  ///< "none", "cached" (the node is degraded), "held"
    bool reservation = false;    ///< it does not end by itself
    std::int64_t held = 0;       ///< 1: yes
    std::int64_t remaining_seconds = kNone;
  } lease;

  struct Registry {
    Words server;  ///< URL, of the watch
    std::int64_t connected_seconds = kNone;
    const char* watch = "";                  ///< "stable"
    std::int64_t watch_age_seconds = kNone;  ///< since there was a sign of life
    std::int64_t event_age_seconds = kNone;  ///< since something changed
    Words failure;                           ///< the last one, as long as it lasts
    std::int64_t connections = 0;            ///< those of watches: each but the first is a reconnect
    std::int64_t requests = 0;
    std::int64_t messages = 0;  ///< of watches
    std::int64_t received_bytes = 0;
    std::int64_t sent_bytes = 0;
  } registry;
  static constexpr std::size_t kFailures = static_cast<std::size_t>(Code::kSystem) + 1;
  std::array<std::int64_t, kFailures> failures{};  ///< of the registry, by Code

  struct Peers {
    std::int64_t wanted = 0;
    std::int64_t programmed = 0;
    std::int64_t refused = 0;  ///< by the kernel
  } peers;
  static constexpr std::size_t kReasons = static_cast<std::size_t>(overlay::Ignored::kConflict) + 1;
  std::array<std::int64_t, kReasons> ignored{};  ///< records, by Ignored; the first two are unused

  struct Kernel {
    const char* rules = "";  ///< of our traffic: "installed", "none", "failed"
    Words failure;           ///< what could not be done, as long as it lasts
    std::int64_t batches = 0;
    std::int64_t changes = 0;
    std::int64_t refusals = 0;
    std::int64_t audits = 0;
  } kernel;
  std::array<std::int64_t, 6> repairs{};  ///< route, nexthop, neighbour, fdb, rules, device

  /// What the kernel counts of our device.
  struct Device {
    std::int64_t received_bytes = kNone;
    std::int64_t received_packets = kNone;
    std::int64_t sent_bytes = kNone;
    std::int64_t sent_packets = kNone;
    std::int64_t dropped_packets = kNone;
  } device;

  struct Process {
    std::int64_t start_time_seconds = kNone;  ///< Unix time
    std::int64_t uptime_seconds = kNone;
    std::int64_t resident_memory_bytes = kNone;
    std::int64_t wakeups = 0;
    std::int64_t log_lines_dropped = 0;
    std::int64_t state_writes = 0;
    std::int64_t state_written_bytes = 0;
  } process;

  bool ready() const { return unready.lease.empty() && unready.kernel.empty() && unready.watch.empty(); }
};

/// One record of the registry.
struct PeerStatus {
  enum class State : std::uint8_t {
    kOurs,        ///< none: our own record, which no form shows
    kProgrammed,  ///< its entries are in the kernel
    kPending,     ///< they are to be
    kRefused,     ///< the kernel refused its route
    kIgnored,     ///< see `why`
  };
  State state = State::kPending;
  overlay::Ignored why = overlay::Ignored::kNo;
  bool direct = false;  ///< its route leads through the underlay
  Net subnet = Net4{};
  Ip public_ip = Ip4{};
  Mac mac;
  Net shadowed_by = Net4{};  ///< the peer that a record with kConflict gives way to
};

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
