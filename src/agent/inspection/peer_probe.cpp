// SPDX-License-Identifier: Apache-2.0
// The way to peers.
#include "agent/inspection/peer_probe.hpp"

#include "flannelette/overlay/device.hpp"

namespace flannelette::agent {

PeerWay way_of(const PeerAnswers& answers) {
  const bool small = answers.tunnelled ? answers.tunnel_small : answers.small;
  const bool large = answers.tunnelled ? answers.tunnel_large : answers.large;
  if (large) return PeerWay::kOpen;
  if (small) return PeerWay::kNarrow;
  return answers.small ? PeerWay::kBlocked : PeerWay::kSilent;
}

void PeerProbe::add(const overlay::LeaseRecord& record) {
  const Ip& public_ip = record.value.public_ip;
  const Net4 subnet = record.key.subnet;
  if (count_ == peers_.size() || !public_ip.is_v4() || !context_.underlay) return;
  for (const Peer& peer : std::span(peers_).first(count_)) {
    if (peer.subnet == subnet) return;  // as another server has it, too
  }
  peers_[count_++] = {subnet, public_ip.v4()};
}

void PeerProbe::start() {
  InspectionContext& c = context_;
  c.report.begin("peers");
  if (count_ == 0) {
    c.report.note().put(c.network ? "none" : "not known");
    return finish();
  }
  const auto found = c.needs.device.find_device(overlay::device_name(c.network->vni));
  if (found && *found && (*found)->up) device_ = *found;
  for (Peer& peer : std::span(peers_).first(count_)) ask(peer);
  const auto started = echo_.start(std::span(probes_).first(probe_count_));
  if (started) return;
  put_error(c.report.warn(), started.error());
  c.report.repair().put("peers are pinged with CAP_NET_RAW: run it as root");
  finish();
}

void PeerProbe::ask(Peer& peer) {
  peer.first = probe_count_;
  peer.tunnelled = leads_through_tunnel(peer.subnet, peer.public_ip);
  ask(peer.public_ip, underlay_mtu(*context_.underlay, context_.config()));
  if (peer.tunnelled) ask(peer.subnet.base, device_->mtu);
}

void PeerProbe::ask(Ip4 to, std::uint32_t mtu) {
  const auto size = std::clamp<std::uint32_t>(mtu, io::EchoProbe::kMinSize, io::EchoProbe::kMaxSize);
  probes_[probe_count_++] = {to};
  probes_[probe_count_++] = {to, static_cast<std::uint16_t>(size)};
}

/// Or by a direct route to where it leads.
bool PeerProbe::leads_through_tunnel(Net4 subnet, Ip4 public_ip) const {
  if (!device_) return false;
  const auto route = context_.needs.links.route_to(subnet.base);
  return route && *route && ((*route)->link_index == device_->index || (*route)->gateway == Ip(public_ip));
}

/// With host-gw such a peer cannot be reached.
bool PeerProbe::behind_gateway(Ip4 public_ip) const {
  if (context_.config().backend != overlay::BackendType::kHostGw) return false;
  const auto route = context_.needs.links.route_to(public_ip);
  return route && *route && (*route)->gateway.v4() != Ip4{};
}

void PeerProbe::on_echo() {
  for (const Peer& peer : std::span(peers_).first(count_)) report(peer);
  Writer& out = context_.report.note().put_unsigned(open_).put(open_ == 1 ? " answers" : " answer");
  if (device_) out.put(", through the tunnel");
  finish();
}

void PeerProbe::report(const Peer& peer) {
  const io::EchoProbe* const probe = &probes_[peer.first];
  PeerAnswers answers{probe[0].answered, probe[1].answered, peer.tunnelled};
  if (peer.tunnelled) {
    answers.tunnel_small = probe[2].answered;
    answers.tunnel_large = probe[3].answered;
    context_.tunnel_works = context_.tunnel_works || answers.tunnel_small;
  }
  const PeerWay way = behind_gateway(peer.public_ip) ? PeerWay::kOffLink : way_of(answers);
  if (way == PeerWay::kOpen) return void(++open_);
  Report& found = context_.report;
  Writer& out = way == PeerWay::kNarrow ? found.fail() : found.warn();
  write(out, Net(peer.subnet));
  write(out.put(" at "), Ip(peer.public_ip));
  const char* repair = "is it switched on, and reached at this address?";
  if (way == PeerWay::kNarrow) {
    out.put(": packets of ").put_unsigned(probe[peer.tunnelled ? 3 : 1].size);
    out.put(" bytes are lost on the way, small ones are not");
    repair = "set Backend.MTU in the network config, or the interface's MTU, to what the path carries";
  } else if (way == PeerWay::kBlocked) {
    out.put(": answers, but not through the tunnel; UDP port ").put_unsigned(context_.network->port);
    out.put(" may be dropped on the way");
    repair = "accept it in the firewalls of both; does its agent run?";
  } else if (way == PeerWay::kOffLink) {
    out.put(": the peer is not on our link");
    repair = "host-gw needs all nodes on one link; use vxlan with DirectRouting";
  } else {
    out.put(": does not answer");
  }
  found.repair().put(repair);
}

void PeerProbe::finish() {
  context_.report.end();
  done_();
}

}  // namespace flannelette::agent
