// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "registry/etcd/protocol.hpp"
#include "registry/etcd/requests.hpp"

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
  Keeper(Core& core, Requests& requests, OnLost on_lost)
      : core_(core), requests_(requests), on_lost_(on_lost) {}

  const Lease& lease() const { return lease_; }
  /// From now on this one; none: nothing is kept.
  void hold(const Lease& lease);
  /// Asks at once, since etcd may have forgotten it.
  void check();

 private:
  const char* name() const override { return "keepalive"; }
  Call compose(json::Writer& body) override;
  void on_answer(const Message& message) override;
  void on_refusal(const Status& status) override;
  bool on_lost(const Status&) override { return false; }
  void want_next();
  void lose();

  Core& core_;
  Requests& requests_;
  OnLost on_lost_;
  Lease lease_;
};

/// Gives back leases that nobody needs, at leisure. One that cannot be given back expires by itself.
class Revoker final : public Operation {
 public:
  Revoker(Core& core, Requests& requests) : core_(core), requests_(requests) {}
  void add(std::int64_t id);

 private:
  const char* name() const override { return "revoke"; }
  Call compose(json::Writer& body) override;
  void on_answer(const Message&) override { next(); }
  void on_refusal(const Status&) override { next(); }
  bool on_lost(const Status&) override { return false; }
  void next();

  Core& core_;
  Requests& requests_;
  std::array<std::int64_t, 4> ids_{};
  std::size_t count_ = 0;
};

}  // namespace flannelette::registry::etcd
