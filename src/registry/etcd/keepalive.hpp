// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "registry/etcd/operation.hpp"
#include "registry/etcd/protocol.hpp"

namespace flannelette::registry::etcd {

struct Lease {
  std::int64_t id = 0;   ///< 0: none
  std::int64_t ttl = 0;  ///< seconds, as granted
  explicit operator bool() const { return id != 0; }
};

/// How long after the last time a lease is kept alive: the earlier of a third of its life and its life minus
/// the margin. A margin that is no shorter than the life says nothing. Never less than a second.
Millis keepalive_delay(std::int64_t ttl_seconds, std::int64_t margin_seconds);

/// Keeps the lease of our key alive. That it has expired is never inferred from our own clock: etcd says so,
/// or it has not.
class Keeper final : public Operation {
 public:
  using OnLost = Delegate<void()>;
  Keeper(Channel& channel, OnLost on_lost) : Operation(channel, "keepalive"), on_lost_(on_lost) {}

  const Lease& lease() const { return lease_; }
  /// From now on this one; none: nothing is kept.
  void hold(const Lease& lease);
  /// Asks at once, since etcd may have forgotten it.
  void check();
  void report(Standing& to) const;

 private:
  Call write(json::Writer& body) override;
  Outcome on_message(const Message& message) override;
  Outcome on_error(const Status& status) override;
  void want_next();
  Outcome lose();

  OnLost on_lost_;
  Lease lease_;
  Millis kept_ = 0;  ///< when it was granted or kept alive last
};

/// Gives back leases that nobody needs, at leisure. One that cannot be given back expires by itself.
class Revoker final : public Operation {
 public:
  explicit Revoker(Channel& channel) : Operation(channel, "revoke") {}
  void add(std::int64_t id);

 private:
  Call write(json::Writer& body) override;
  Outcome on_message(const Message&) override { return next(); }
  Outcome on_error(const Status&) override { return next(); }
  Outcome next();

  std::array<std::int64_t, 4> ids_{};
  std::size_t count_ = 0;
};

}  // namespace flannelette::registry::etcd
