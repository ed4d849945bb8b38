// SPDX-License-Identifier: Apache-2.0
// The parts that speak with etcd, and who tells whom.
#include "registry/etcd/assembly.hpp"

#include "registry/etcd/protocol.hpp"

namespace flannelette::registry::etcd {

Assembly::Assembly(io::Loop& loop, Random& random, Log& log, io::Stream& request_stream,
                   io::Stream& watch_stream, const EtcdSettings& settings)
    : core{.loop = loop, .random = random, .log = log, .settings = settings, .keys = Keys(settings.prefix)},
      channel(core, request_stream, request_scratch),
      watch(channel, watch_stream, watch_scratch, Watch::OnGap::to<&Listing::begin_in>(&listing),
            Watch::OnReturn::to<&Assembly::on_watch_returned>(this),
            Watch::Probe::to<&ConfigReading::probe>(&config)) {
  const auto on_address = Delegate<void(Ip)>::to<&Assembly::on_address>(this);
  request_stream.set_on_address(on_address);
  watch_stream.set_on_address(on_address);
  channel.authenticator.set_on_token(Delegate<void()>::to<&Watch::on_token>(&watch));
  channel.session.set_on_return(Delegate<void()>::to<&Watch::skip_backoff>(&watch));
}

void Assembly::start(MemberListener& members, MembershipListener& membership, LeaseListener& lease) {
  core.members = &members;
  core.membership = &membership;
  core.health.set_listener(membership);
  core.lease = &lease;
  for (const io::Endpoint& endpoint :
       std::span(core.settings.endpoints).first(core.settings.endpoint_count)) {
    if (const auto address = parse_ip4(endpoint.host)) membership.on_server_address(*address);
  }
  const std::array<Request*, Session::kMaxRequests> requests{
      &channel.authenticator, &keeper, &claimer, &config, &listing, &revoker};
  channel.session.serve(requests);
}

void Assembly::list() {
  watch.stop();
  listing.begin_in(0);
}

/// There was an outage, or an etcd that forgot us.
void Assembly::on_watch_returned() {
  channel.session.skip_backoff();
  keeper.check();
}

/// An etcd that was made anew under its old name knows neither our lease nor what was listed, and may have
/// come to our revision meanwhile.
void Assembly::on_lease_lost() {
  if (watch.running()) list();
}

void Assembly::reconnect() {
  if (core.stopped) return;
  channel.session.reconnect();
  watch.reconnect();
}

void Assembly::stop() {
  if (core.stopped) return;
  core.stopped = true;
  watch.stop();
  const bool claiming = claimer.wanted();
  channel.session.stop();
  // A key may hang on it if a claim is under way.
  if (!claimer.unused() || claiming) return;
  std::array<char, 64> memory;
  json::Writer body(memory);
  write_lease(body, claimer.unused().id);
  http::Request revoke = post(kRevokePath, false);
  revoke.body = body.view();
  channel.session.send_last(revoke);
}

}  // namespace flannelette::registry::etcd
