// SPDX-License-Identifier: Apache-2.0
// The seam to whatever holds the cluster's truth: who is a member, and our own membership.
#pragma once

#include <cstdint>
#include <string_view>

#include "flannelette/base/clock.hpp"
#include "flannelette/base/ip.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/io/stream.hpp"
#include "flannelette/overlay/allocation.hpp"
#include "flannelette/overlay/config.hpp"
#include "flannelette/overlay/lease.hpp"

/// One implementation a folder: etcd now. All calls return at once; what comes of them arrives through the
/// listeners, from the loop. The implementation reconnects, rotates servers and backs off by itself, for
/// ever.
namespace flannelette::registry {

enum class Skipped : std::uint8_t {
  kForeignKey,  ///< not the name of a lease
  kTooLarge,    ///< key or value over its limit; if the key is a lease's, it was delivered as an unreadable
                ///< record too
};

/// Hears who the members of the cluster are, ourselves among them.
class MemberListener {
 public:
  /// All of them: begin, records, then end (complete) or abort (cut; another will follow).
  virtual void on_snapshot_begin() = 0;
  virtual void on_snapshot_end() = 0;
  virtual void on_snapshot_abort() = 0;
  /// A record, in a snapshot or after it. The latest call about a key counts: after a cut a change may be
  /// delivered twice, and then what led to it once more, in order.
  virtual void on_record(const overlay::LeaseRecord& record) = 0;
  /// `modified`: the age of the removal. A record that is younger stays.
  virtual void on_removed(const overlay::LeaseKey& key, std::int64_t modified) = 0;
  /// All changes of one message were delivered: a good moment to act.
  virtual void on_events_end() = 0;
  virtual void on_skipped(std::string_view key, Skipped why) = 0;

 protected:
  ~MemberListener() = default;
};

/// What we hold, as it is published.
struct Membership {
  Net4 subnet;
  Ip public_ip;
  Mac mac;
  std::int64_t ttl_seconds = 0;  ///< 0 for a reservation
  bool reservation = false;      ///< does not end by itself, and stays so
  bool written = false;          ///< else it was right already
};

/// What came between us and a subnet. The registry goes on by itself.
struct Left {
  enum class Why : std::uint8_t {
    kNoneFree,  ///< waiting until one is
    kUnfit,     ///< our record of before fits the config no more, or holds a protected address: another one
    kTaken,     ///< somebody was first: another one
    kBlocked,   ///< no record, but a key that is no lease is in the way: another one, or, where it is in the
                ///< way of what we held, the same later
    kRefused,   ///< `error`, `detail`: no permission, no such prefix...: again later
    kExpired,   ///< claimed again
    kDeleted,   ///< claimed again
    kRestored,  ///< the registry went back to an earlier record of ours: claimed again
    kAwaited,   ///< it is given to us, and was not yet; `detail`: what is missing
    kOutside,   ///< what is given to us does not lie in the network, or holds what must be reached directly
    kNamesake,  ///< another program publishes itself in our place: left as it is until it is gone
    kTwin,      ///< another node writes our record with our own address: left as it is
    kRival,  ///< another node, at `public_ip` with `mac`, holds what we held: claimed again when it is gone
  };
  Why why{};
  Net4 subnet{};
  Ip public_ip{};
  Mac mac{};
  Error error{};
  std::string_view detail{};  ///< the registry's words, may be empty
};

/// The `operation` of a Failure to join where the record to be written is given.
inline constexpr const char* kOwnRecord = "our Node";

/// An attempt that failed, for the log. Everything goes on by itself.
struct Failure {
  const char* operation = "";  ///< static: "connect", "watch", "list", "keepalive", "config", ...
  Text<280> endpoint;          ///< URL
  Error error;
  Text<160> detail;  ///< the server's message or what TLS said; empty if there is none
  Millis retry_in = 0;
};

/// Why there is no watch, as far as that can be guessed.
inline constexpr const char* kNoWatch =
    "registry: requests are answered, the watch is not (does a proxy buffer or block it?); listing instead";

/// Hears whether the registry can be asked.
class FailureListener {
 public:
  virtual void on_failure(const Failure& failure) = 0;
  /// All that was failing works (again): the requests, and the watch since a few seconds.
  virtual void on_working(std::string_view endpoint) = 0;

 protected:
  ~FailureListener() = default;
};

/// Hears of our own membership and of the registry itself.
class MembershipListener : public FailureListener {
 public:
  /// Once, and no snapshot begins before.
  virtual void on_config(const overlay::NetworkConfig& config) = 0;
  /// `at`: what is in the config at problem.offset. Read again, as a missing one is.
  virtual void on_config_problem(const overlay::ConfigProblem& problem, std::string_view at) = 0;
  virtual void on_config_missing() = 0;

  /// We hold this; also after each time that it was claimed again or corrected.
  virtual void on_joined(const Membership& membership) = 0;
  virtual void on_left(const Left& left) = 0;
  /// A watch has begun: from now on changes are heard.
  virtual void on_watching() {}

  /// A server of the registry has this address: all that are known are given by start(), and each other one
  /// before the first connection to it. The same one may be given again.
  virtual void on_server_address(const Ip& address) = 0;

 protected:
  ~MembershipListener() = default;
};

/// What we publish of ourselves, beside what the registry decides.
struct Self {
  Ip public_ip;
};

/// What helps a registry in which nodes choose their subnets.
struct Hints {
  const overlay::Allocation* leases;  ///< what was delivered to the members' listener; outlives the registry
  std::optional<Net4> subnet{};       ///< ours before the restart, where that is known and still wanted
  std::optional<Mac> device_mac{};    ///< of the device that is there: a record that has it is ours
  std::optional<Mac> saved_mac{};     ///< ours before the restart
};

/// How a registry fares, for those who are shown it. Ages in milliseconds; -1: not known, or there is none.
struct Standing {
  const char* lease = "none";  ///< the state of our membership: "held", "contested"
  bool held = false;
  bool lost = false;  ///< we had one, and it is somebody else's, refused or taken from us
  bool reservation = false;
  Millis remaining = -1;  ///< until the lease ends unless it is kept alive

  const io::Endpoint* server = nullptr;  ///< of the watch; the registry's
  const char* watch = "off";
  bool stands = false;        ///< there is a watch, as far as that is noticed
  Millis stood = -1;          ///< since then there is none; -1: there never was one
  Millis event = -1;          ///< since it brought a message
  io::StreamReport stream{};  ///< of the watch, but with the bytes of the requests, too
  std::uint32_t requests = 0;
  std::uint32_t messages = 0;  ///< of watches
};

/// Says how it fares.
class Observed {
 public:
  /// Who asks has the connection of the watch probed from then on (io::Stream::report).
  virtual void report(Standing& to) = 0;

 protected:
  ~Observed() = default;
};

class Registry : public Observed {
 public:
  /// Longest silence while a response is awaited. etcd itself gives up after 7 s.
  static constexpr Millis kRequestTimeout = 10'000;
  /// Longest time from a question to the whole answer, dripping or not, where the answer is small.
  static constexpr Millis kAnswerLimit = 30'000;
  /// The request connection is closed when nothing was asked for this long: etcd probes every connection
  /// twice a minute, and with TLS it holds memory. The next request opens another.
  static constexpr Millis kIdleConnection = 60'000;
  static constexpr Millis kBackoffFirst = 100;
  static constexpr Millis kBackoffMax = 30'000;

  virtual ~Registry() = default;
  virtual void start(MemberListener& members, MembershipListener& membership) = 0;
  /// Where the config is, as an operator would look for it; holds as long as this.
  virtual std::string_view config_location() const = 0;
  /// Reads the config, again and again until there is a good one; then a snapshot of the members, then each
  /// change, for ever. Another snapshot where changes cannot be had without a gap, and now and then as long
  /// as requests are answered and no watch can be had.
  virtual void follow() = 0;
  /// From the end of a snapshot on: we want to be a member. What is ours is kept alive until stop(), and
  /// claimed again if it is lost.
  virtual void join(const Self& self, const Hints& hints) = 0;
  /// What we publish has changed; what is ours stays. Nothing before join().
  virtual void update(const Self& self) = 0;
  /// The data plane is as it should be, for the first time: where others wait for that, they may know.
  virtual void announce_ready() {}
  /// Our address changed: connections from the old one are dead, and nobody will say so. What is under way
  /// goes on over new ones. Not to be called from within a listener's call.
  virtual void reconnect() = 0;
  /// Leaves everything in the registry as it is and goes silent.
  virtual void stop() = 0;
};

}  // namespace flannelette::registry
