// SPDX-License-Identifier: Apache-2.0
// The registry in Kubernetes: the parts that speak with the API server, and who tells whom.
#include "flannelette/registry/kube.hpp"

#include "registry/kube/config_file.hpp"
#include "registry/kube/node_list.hpp"
#include "registry/kube/node_watch.hpp"
#include "registry/kube/own_node.hpp"

namespace flannelette::registry {

/// A good config begins a list, a list's end begins the watch, a gap in the watch begins a list.
struct KubeRegistry::Impl {
  // Not initialised, so that what no value ever fills costs no memory.
  using Scratch = std::array<char, kube::NodeDecoder::kScratch>;

  Impl(const kube::Core& parts, io::Stream& request_stream, io::Stream& watch_stream);

  void start(MemberListener& members, MembershipListener& membership);
  void stop();

  void on_config();
  void list() { listing.begin_in(0); }
  void on_gap(Millis delay) { listing.begin_in(delay); }
  void on_older();
  void on_read();
  void on_watch_returned() { channel.session.skip_backoff(); }
  void on_address(Ip address) { core.membership->on_server_address(address); }

  kube::Core core;
  Scratch request_scratch;
  Scratch watch_scratch;
  kube::Channel channel;
  kube::OwnNode own{channel};
  kube::Roster roster;
  kube::NodeReading reading;
  kube::NodeListing listing;
  kube::PodReading pod{channel, kube::PodReading::OnRead::to<&Impl::list>(this)};
  kube::ConfigFile config{core, kube::ConfigFile::OnRead::to<&Impl::on_config>(this)};
  kube::NodeWatch watch;
};

KubeRegistry::Impl::Impl(const kube::Core& parts, io::Stream& request_stream, io::Stream& watch_stream)
    : core(parts),
      channel(core, request_stream, request_scratch),
      roster(core, kube::Roster::Ask::to<&kube::NodeReading::ask>(&reading),
             kube::Roster::OnOwn::to<&kube::OwnNode::on_seen>(&own)),
      reading(channel, kube::NodeReading::OnRead::to<&kube::Roster::on_read>(&roster),
              kube::NodeReading::OnIdle::to<&Impl::on_read>(this)),
      listing(channel, roster, reading, kube::NodeListing::OnEnd::to<&kube::NodeWatch::begin>(&watch),
              kube::NodeListing::OnOlder::to<&Impl::on_older>(this)),
      watch(channel, watch_stream, watch_scratch, roster, kube::NodeWatch::OnGap::to<&Impl::on_gap>(this),
            kube::NodeWatch::OnSilence::to<&kube::NodeListing::check>(&listing),
            kube::NodeWatch::OnReturn::to<&Impl::on_watch_returned>(this)) {
  const auto on_address = Delegate<void(Ip)>::to<&Impl::on_address>(this);
  request_stream.set_on_address(on_address);
  watch_stream.set_on_address(on_address);
  channel.session.set_on_return(Delegate<void()>::to<&kube::NodeWatch::skip_backoff>(&watch));
}

void KubeRegistry::Impl::start(MemberListener& members, MembershipListener& membership) {
  core.members = &members;
  core.membership = &membership;
  core.health.set_listener(membership);
  if (core.access.in_cluster())
    core.health.set_hint(
        "this address is the Service of the cluster itself: does kube-proxy run on this node?");
  for (const io::Endpoint& server : core.access.servers()) {
    if (const auto address = parse_ip4(server.host)) membership.on_server_address(*address);
  }
  const std::array<Request*, 4> requests{&pod, &own, &reading, &listing};
  channel.session.serve(requests);
}

void KubeRegistry::Impl::on_config() {
  if (core.node_name.empty()) return pod.begin();
  list();
}

void KubeRegistry::Impl::on_older() {
  watch.stop();
  list();
}

void KubeRegistry::Impl::on_read() {
  listing.on_read();
  if (!core.stopped) core.members->on_events_end();
}

void KubeRegistry::Impl::stop() {
  core.stopped = true;
  config.stop();
  watch.stop();
  channel.session.stop();
}

KubeRegistry::KubeRegistry(io::Loop& loop, const Clock& clock, Random& random, Log& log, Files& files,
                           KubeAccess& access, io::Stream& requests, io::Stream& watch,
                           const KubeSettings& settings)
    : impl_(new Impl(kube::core_of(loop, clock, random, log, files, access, settings), requests, watch)) {}

KubeRegistry::~KubeRegistry() = default;

void KubeRegistry::start(MemberListener& members, MembershipListener& membership) {
  impl_->start(members, membership);
}

std::string_view KubeRegistry::config_location() const { return impl_->core.settings.net_config_path; }
void KubeRegistry::follow() { impl_->config.begin(); }

void KubeRegistry::join(const Self& self, const Hints& hints) {
  impl_->roster.set_leases(*hints.leases);
  impl_->own.join(self, hints);
}

void KubeRegistry::update(const Self& self) { impl_->own.update(self); }
void KubeRegistry::announce_ready() { impl_->own.announce_ready(); }

void KubeRegistry::reconnect() {
  if (impl_->core.stopped) return;
  impl_->channel.session.reconnect();
  impl_->watch.reconnect();
}

void KubeRegistry::report(Standing& to) {
  impl_->own.report(to);
  impl_->watch.report(to);
  impl_->channel.session.report(to);
}

void KubeRegistry::stop() {
  if (!impl_->core.stopped) impl_->stop();
}

}  // namespace flannelette::registry
