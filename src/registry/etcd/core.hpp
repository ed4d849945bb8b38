// SPDX-License-Identifier: Apache-2.0
// What the parts of the etcd registry share.
#pragma once

#include "flannelette/base/backoff.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/registry/etcd.hpp"
#include "registry/etcd/decode.hpp"
#include "registry/etcd/keys.hpp"
#include "registry/health.hpp"

namespace flannelette::registry::etcd {

/// Of connections and requests, to begin with.
inline constexpr Backoff kBackoff{EtcdRegistry::kBackoffFirst, EtcdRegistry::kBackoffMax};

/// Which store spoke, as the header of its answer says.
struct Store {
  std::uint64_t cluster = 0;  ///< 0: not known
  std::uint64_t term = 0;     ///< never goes back while a store lives
};

struct ClaimResult;

/// Hears what concerns our own lease.
class LeaseListener {
 public:
  /// The claim that was begun has ended.
  virtual void on_claim(const ClaimResult& result) = 0;
  /// The lease that keeps our key alive is gone (expired, revoked). The key is gone or about to be.
  virtual void on_lease_lost() = 0;
  /// The members' listener has heard of changes.
  virtual void on_leases_changed() = 0;
  /// One of them is a removal.
  virtual void on_lease_removed() = 0;

 protected:
  ~LeaseListener() = default;
};

struct Core {
  io::Loop& loop;
  Random& random;
  Log& log;
  const EtcdSettings settings;
  const Keys keys;
  MemberListener* members = nullptr;
  MembershipListener* membership = nullptr;
  LeaseListener* lease = nullptr;
  Health health{};
  overlay::NetworkConfig network{};  ///< as it was read
  bool stopped = false;
  bool listing_open = false;  ///< between on_snapshot_begin and its end: no claim speaks in between
  /// The listener knows the keys as of this revision at least; 0: it does not, a listing is due.
  std::int64_t delivered = 0;
  Store store{};  ///< what the listener knows was listed there

  /// False: what the listener knows is of another store, or of this one before it was made anew or restored.
  bool same_store(const Message& message);
};

}  // namespace flannelette::registry::etcd
