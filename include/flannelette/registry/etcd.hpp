// SPDX-License-Identifier: Apache-2.0
// The registry in etcd, by flannel's schema.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "flannelette/base/log.hpp"
#include "flannelette/base/random.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/io/stream.hpp"
#include "flannelette/registry/registry.hpp"

namespace flannelette::registry {

struct EtcdSettings {
  static constexpr std::size_t kMaxEndpoints = 16;
  static constexpr std::size_t kMaxPrefix = 128;
  static constexpr std::size_t kMaxCredential = 128;

  std::array<io::Endpoint, kMaxEndpoints> endpoints;
  std::size_t endpoint_count = 0;
  Text<kMaxPrefix> prefix{"/coreos.com/network"};
  Text<kMaxCredential> username;  ///< empty: no authentication
  Text<kMaxCredential> password;  ///< secret: in no log, status or error
  std::int64_t lease_ttl_seconds = 86'400;
  /// The lease is kept alive at the earlier of ttl / 3 and ttl - margin after the last time; a margin that is
  /// not below the ttl is ignored.
  std::int64_t renew_margin_seconds = 3'600;
};

/// etcd v3 through its HTTP/JSON gateway: one connection for requests, one for the watch. See flannel's and
/// etcd's documentation for the schema; paths are /v3/kv/range, /v3/kv/txn, /v3/lease/*, /v3/watch,
/// /v3/auth/authenticate.
class EtcdRegistry final : public Registry {
 public:
  static constexpr std::size_t kMaxKey = 512;          ///< longer keys are skipped as foreign
  static constexpr std::size_t kMaxValue = 16 * 1024;  ///< longer values make an unreadable record
  /// Records in a page of the list: the first, the largest. etcd walks over all keys that are left for each
  /// page, so that small pages of a large list cost it the square; a large page must not take too long over a
  /// slow link. So pages double as long as each comes within kQuickPage.
  static constexpr int kListPage = 500;
  static constexpr int kListPageMax = 8'000;
  static constexpr Millis kQuickPage = 500;
  /// kAnswerLimit of a page of the list: kListPage records have some 150 KB, which are 125 s at 9600 bit/s.
  static constexpr Millis kPageLimit = 180'000;
  /// Longest time without a message from a watch. etcd sends a progress notice every 10 to 11 minutes in
  /// which there was no event (server/etcdserver/api/v3rpc/watch.go, progressReportInterval). A member that
  /// hangs sends none, while its kernel goes on answering TCP's keepalive probes.
  static constexpr Millis kWatchSilence = 25 * 60'000;
  static constexpr std::uint16_t kDefaultPort = 2379;  ///< of an endpoint that names none
  /// A config that is missing or wrong is read again after these: somebody is setting the cluster up.
  static constexpr Millis kConfigFirst = 1'000;
  static constexpr Millis kConfigMax = 5'000;
  /// A subnet that cannot be had is asked for again after these.
  static constexpr Millis kClaimFirst = 1'000;
  static constexpr Millis kClaimMax = 60'000;

  /// The two streams are used by nothing else and outlive this. Settings are copied; there is at least one
  /// endpoint. It may not be destroyed from within a listener's call; anything else may be called there.
  EtcdRegistry(io::Loop& loop, Random& random, Log& log, io::Stream& requests, io::Stream& watch,
               const EtcdSettings& settings);
  ~EtcdRegistry() override;
  void start(MemberListener& members, MembershipListener& membership) override;
  std::string_view config_location() const override;
  void follow() override;
  void join(const Self& self, const Hints& hints) override;
  void update(const Self& self) override;
  void reconnect() override;
  void stop() override;
  void report(Standing& to) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flannelette::registry
