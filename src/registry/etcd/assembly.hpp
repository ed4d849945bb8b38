// SPDX-License-Identifier: Apache-2.0
// The parts that speak with etcd, and who tells whom: a good config begins a listing, a listing's end begins
// the watch, a gap in the watch begins a listing.
#pragma once

#include <array>

#include "registry/etcd/claim.hpp"
#include "registry/etcd/config_reading.hpp"
#include "registry/etcd/keepalive.hpp"
#include "registry/etcd/listing.hpp"
#include "registry/etcd/watch.hpp"

namespace flannelette::registry::etcd {

struct Assembly {
  // Not initialised, so that what no value ever fills costs no memory.
  using Scratch = std::array<char, Decoder::kScratch>;

  Assembly(io::Loop& loop, Random& random, Log& log, io::Stream& request_stream, io::Stream& watch_stream,
           const EtcdSettings& settings);

  void start(MemberListener& members, MembershipListener& membership, LeaseListener& lease);
  /// Reads the config, lists, then watches.
  void follow() { config.begin(ConfigReading::OnRead::to<&Assembly::list>(this)); }
  void list();
  void reconnect();
  void stop();

  void on_address(Ip address) { core.membership->on_server_address(address); }
  void on_listed(const Change& newest, std::int64_t revision) { watch.begin(newest, revision + 1); }
  void on_watch_returned();
  void on_lease_lost();

  Core core;
  Scratch request_scratch;
  Scratch watch_scratch;
  Channel channel;
  Keeper keeper{channel, Keeper::OnLost::to<&Assembly::on_lease_lost>(this)};
  Revoker revoker{channel};
  Claimer claimer{channel, keeper, revoker};
  ConfigReading config{channel};
  Listing listing{channel, Listing::OnEnd::to<&Assembly::on_listed>(this)};
  Watch watch;
};

}  // namespace flannelette::registry::etcd
