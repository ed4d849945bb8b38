// SPDX-License-Identifier: Apache-2.0
#include "flannelette/registry/etcd.hpp"

#include <array>

#include "registry/etcd/claim.hpp"
#include "registry/etcd/config.hpp"
#include "registry/etcd/lease.hpp"
#include "registry/etcd/listing.hpp"
#include "registry/etcd/protocol.hpp"
#include "registry/etcd/requests.hpp"
#include "registry/etcd/watch.hpp"

namespace flannelette::registry {

/// The parts and who tells whom: a listing's end begins the watch, a gap in the watch begins a listing.
struct EtcdRegistry::Impl {
  // Not initialised, so that what no value ever fills costs no memory.
  using Scratch = std::array<char, etcd::Decoder::kScratch>;

  Impl(io::Loop& loop, Random& random, io::Stream& request_stream, io::Stream& watch_stream,
       const EtcdSettings& settings)
      : core{.loop = loop, .random = random, .settings = settings, .keys = etcd::Keys(settings.prefix)},
        requests(core, request_stream, request_scratch),
        watch(core, requests, watch_stream, watch_scratch,
              etcd::Watch::OnGap::to<&etcd::Listing::begin_in>(&listing),
              etcd::Watch::OnReturn::to<&Impl::on_watch_returned>(this),
              etcd::Watch::Probe::to<&etcd::ConfigReading::probe>(&config)) {
    const std::array<etcd::Operation*, etcd::Requests::kMaxOperations> operations{&keeper, &claimer, &config,
                                                                                  &listing, &revoker};
    const auto on_address = Delegate<void(Ip)>::to<&Impl::on_address>(this);
    request_stream.set_on_address(on_address);
    watch_stream.set_on_address(on_address);
    requests.serve(operations);
    requests.set_on_token(Delegate<void()>::to<&etcd::Watch::on_token>(&watch));
    requests.set_on_return(Delegate<void()>::to<&etcd::Watch::skip_backoff>(&watch));
  }

  void on_address(Ip address) {
    if (address.is_v4()) core.listener->on_server_address(address.v4());
  }
  void on_listed(std::int64_t revision) { watch.begin(revision + 1); }
  void follow() {
    watch.stop();
    listing.begin_in(0);
  }
  /// There was an outage, or an etcd that forgot us.
  void on_watch_returned() {
    requests.skip_backoff();
    keeper.check();
  }
  /// An etcd that was made anew under its old name knows neither our lease nor what was listed, and may have
  /// come to our revision meanwhile.
  void on_lease_lost() {
    if (watch.running()) follow();
  }

  etcd::Core core;
  Scratch request_scratch;
  Scratch watch_scratch;
  etcd::Requests requests;
  etcd::Keeper keeper{core, requests, etcd::Keeper::OnLost::to<&Impl::on_lease_lost>(this)};
  etcd::Revoker revoker{core, requests};
  etcd::Claimer claimer{core, requests, keeper, revoker};
  etcd::ConfigReading config{core, requests};
  etcd::Listing listing{core, requests, etcd::Listing::OnEnd::to<&Impl::on_listed>(this)};
  etcd::Watch watch;
};

EtcdRegistry::EtcdRegistry(io::Loop& loop, Random& random, io::Stream& requests, io::Stream& watch,
                           const EtcdSettings& settings)
    : impl_(new Impl(loop, random, requests, watch, settings)) {}

EtcdRegistry::~EtcdRegistry() = default;

void EtcdRegistry::start(Listener& listener) {
  impl_->core.listener = &listener;
  for (const io::Endpoint& endpoint :
       std::span(impl_->core.settings.endpoints).first(impl_->core.settings.endpoint_count)) {
    if (const auto address = parse_ip4(endpoint.host)) listener.on_server_address(*address);
  }
  impl_->requests.schedule();
}

std::string_view EtcdRegistry::config_place() const { return impl_->core.keys.config(); }

void EtcdRegistry::read_config() { impl_->config.begin(); }

void EtcdRegistry::follow() { impl_->follow(); }

void EtcdRegistry::claim(const Claim& claim) { impl_->claimer.begin(claim); }

void EtcdRegistry::reconnect() {
  if (impl_->core.stopped) return;
  impl_->requests.reconnect();
  impl_->watch.reconnect();
}

void EtcdRegistry::stop() {
  if (impl_->core.stopped) return;
  impl_->core.stopped = true;
  impl_->watch.stop();
  const bool claiming = impl_->claimer.wanted();
  impl_->requests.stop();
  // A key may hang on it if a claim is under way.
  if (!impl_->claimer.unused() || claiming) return;
  std::array<char, 64> memory;
  json::Writer body(memory);
  etcd::write_lease(body, impl_->claimer.unused().id);
  impl_->requests.send_last(etcd::kRevokePath, body.view());
}

}  // namespace flannelette::registry
