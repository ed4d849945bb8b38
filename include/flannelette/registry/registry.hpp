// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "flannelette/base/clock.hpp"
#include "flannelette/base/ip.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/overlay/lease.hpp"

/// The seam to whatever holds the cluster's truth. One implementation a folder: etcd now. All calls return at
/// once; what comes of them arrives through the Listener, from the loop. The implementation reconnects,
/// rotates endpoints and backs off by itself, for ever.
namespace flannelette::registry {

/// How a claim ended.
enum class ClaimOutcome : std::uint8_t {
  kHeld,   ///< the key is ours, with our value
  kTaken,  ///< somebody has it, or changed it first; what is there now was delivered by on_record (or
           ///< on_removed) before this, unless the watch has told something newer, or a foreign key is in the
           ///< way (on_skipped)
  kRefused,  ///< the registry does not let us write (permission, no such prefix...): `error` and `detail`;
             ///< try again later
};

struct ClaimResult {
  ClaimOutcome outcome = ClaimOutcome::kRefused;
  std::int64_t mod_revision = 0;  ///< kHeld: of the key as it is now
  bool reservation = false;       ///< kHeld: the key has no lease, and keeps none
  bool written = false;           ///< kHeld: something was put (else the key was right already)
  bool told = false;  ///< kHeld: the listener has heard of that revision already, or of a later one
  std::int64_t ttl_seconds = 0;  ///< kHeld: as granted; 0 for a reservation
  Error error;
  Text<160> detail;  ///< the registry's own words, may be empty
};

struct Claim {
  overlay::LeaseKey key;
  std::string_view value;  ///< copied; at most overlay::LeaseValue::kMaxText
  std::int64_t mod_revision =
      0;  ///< 0: nobody may hold this subnet; else: the key must be at exactly this revision
  bool always_write = false;  ///< with mod_revision: put even if the value is the same
};

enum class Skipped : std::uint8_t {
  kForeignKey,  ///< not the name of a lease
  kTooLarge,    ///< key or value over its limit; if the key is a lease's, it was delivered as an unreadable
                ///< record too
};

/// Failure with the registry, for the log. Everything goes on by itself.
struct Failure {
  const char* operation = "";  ///< static: "connect", "watch", "list", "keepalive", "config", ...
  Text<280> endpoint;          ///< URL
  Error error;
  Text<160> detail;  ///< the server's message or what TLS said; empty if there is none
  Millis retry_in = 0;
};

class Listener {
 public:
  /// The text of `<prefix>/config`; empty if the key has an empty value.
  virtual void on_config(std::string_view text) = 0;
  virtual void on_config_missing() = 0;

  /// A listing: begin, records, then end (complete) or abort (cut; another will follow).
  virtual void on_listing_begin() = 0;
  virtual void on_listing_end() = 0;
  virtual void on_listing_abort() = 0;
  /// A record, in a listing or from the watch or a lost claim. Ours as well. The last word on a key counts:
  /// after a cut or a lost claim a change may be told twice, and then what led to it once more, in order.
  virtual void on_record(const overlay::LeaseRecord& record) = 0;
  virtual void on_removed(const overlay::LeaseKey& key, std::int64_t mod_revision) = 0;
  /// All events of one message were delivered: a good moment to act.
  virtual void on_events_end() = 0;
  virtual void on_skipped(std::string_view key, Skipped why) = 0;

  virtual void on_claim(const ClaimResult& result) = 0;
  /// The lease that keeps our key alive is gone (expired, revoked). The key is gone or about to be: claim it
  /// again.
  virtual void on_lease_lost() = 0;

  virtual void on_failure(const Failure& failure) = 0;
  /// All that was in failure works (again): the requests, and the watch since a few seconds.
  virtual void on_working(std::string_view endpoint) = 0;
  /// A server of the registry has this address: told of all that are known by start(), and of each other
  /// before the first connection to it. The same one may be told again.
  virtual void on_server_address(Ip4 address) = 0;

 protected:
  ~Listener() = default;
};

class Registry {
 public:
  virtual ~Registry() = default;
  virtual void start(Listener& listener) = 0;
  /// Where the config is, as an operator would look for it; holds as long as this.
  virtual std::string_view config_place() const = 0;
  /// One reading of the config; transport failure is retried until there is an answer.
  virtual void read_config() = 0;
  /// Lists, then watches from the list's revision + 1, for ever; lists again where the watch cannot go on
  /// without a gap, and now and then as long as requests are answered and no watch can be had.
  virtual void follow() = 0;
  /// One claim at a time. Transport failure is retried until the outcome is known (a claim whose answer was
  /// lost is looked up, never blindly repeated). Once held, the lease is kept alive until stop(). A new claim
  /// replaces one that is under way; claims wait while a listing is open, and claims that follow each other
  /// closely wait longer each time (50 ms to 30 s).
  virtual void claim(const Claim& claim) = 0;
  /// Our address changed: connections from the old one are dead, and nobody will say so. What is under way
  /// goes on over new ones. Not to be called from within a Listener's call.
  virtual void reconnect() = 0;
  /// Leaves everything in the registry as it is and goes silent.
  virtual void stop() = 0;
};

}  // namespace flannelette::registry
