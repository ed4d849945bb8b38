// SPDX-License-Identifier: Apache-2.0
// What is shown of an agent, and whether it is ready.
#include "flannelette/agent/agent_status.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "agent/agent_impl.hpp"
#include "agent/words.hpp"
#include "flannelette/base/function_ref.hpp"

namespace flannelette::agent {
namespace {

using status::Status;
using status::Words;

/// An age as a status has it: 0 means that there is none.
constexpr Millis age(Millis of) { return of < 0 ? 0 : of + 1; }

/// As much as there is room for.
void fill(Words& words, FunctionRef<void(Writer& out)> write) { words = to_text<320>(write).view(); }

void read_lease(Status& to, const registry::Standing& have, bool cached, bool any) {
  to.lease = {cached ? "cached" : have.lease, have.reservation, have.held, age(have.remaining)};
  if (!any || have.lost) fill(to.unready.lease, [&](Writer& out) { out.put("none, ").put(have.lease); });
}

void read_registry(Status& to, const registry::Standing& have) {
  Status::Registry& r = to.registry;
  const io::StreamReport& stream = have.stream;
  if (have.server != nullptr) fill(r.server, [&](Writer& out) { write(out, *have.server); });
  r.connected = age(stream.connected);
  r.watch = have.watch;
  r.watch_age = age(have.stands ? stream.heard : have.stood);
  r.event_age = age(have.event);
  r.connections = stream.connections;
  r.requests = have.requests;
  r.messages = have.messages;
  r.received_bytes = static_cast<std::int64_t>(stream.received);
  r.sent_bytes = static_cast<std::int64_t>(stream.sent);

  // What was not probed may well be silent.
  const Millis silent = std::min(stream.heard, stream.probed);
  const bool stands = have.stands && silent < AgentStatus::kSilence;
  const bool stood = have.stands ? stands : have.stood >= 0 && have.stood < AgentStatus::kStoodWithin;
  if (stood) return;
  fill(to.unready.watch, [&](Writer& out) {
    out.put(have.stands ? "no word from the registry" : "there is none");
    if (r.watch_age != 0) out.put(" for ").put_signed(r.watch_age / 1'000).put(" s");
    if (!r.failure.empty()) out.put(": ").put(r.failure);
  });
}

}  // namespace

AgentStatus::AgentStatus(Agent& agent)
    : agent_(*agent.impl_), started_(agent_.loop_.now()), start_time_(agent_.loop_.clock().wall_seconds()) {}

void AgentStatus::read(Status& to) const {
  Agent::Impl& a = agent_;
  const Millis uptime = a.loop_.now() - started_;
  const std::int64_t start = a.loop_.clock().wall_seconds() - uptime / 1'000;
  if (std::abs(start - start_time_) > 2) start_time_ = start;

  to.node.state = a.state_.name();
  if (a.underlay_watch_.found()) {
    to.node.public_ip = a.underlay().public_ip;
    to.node.interface = a.underlay().name.view();
  }
  registry::Standing standing;
  a.registry_.report(standing);
  read_lease(to, standing, a.memory_.degraded(), a.has_data_plane());
  if (a.state_ == State::kInterface) {
    fill(to.unready.lease, [&](Writer& out) { out.put("no interface: ").put(a.underlay_watch_.missing()); });
  } else if (a.state_ == State::kConfig && *a.config_problem_.why != '\0') {
    fill(to.unready.lease, [&](Writer& out) { put_reason(out, a.config_problem_); });
  }
  if (a.failure_) fill(to.registry.failure, [&](Writer& out) { write(out, *a.failure_); });
  read_registry(to, standing);
  std::ranges::copy(a.failures_, to.failures.begin());
  a.dataplane_.report(to);

  Status::Process& p = to.process;
  p.start_time_seconds = start_time_;
  p.uptime = age(uptime);
  std::array<char, 128> buffer;  // sizes in pages: of all, resident, ...
  if (const auto statm = a.files_.read("/proc/self/statm", buffer); statm && *statm) {
    std::string_view text = **statm;
    text.remove_prefix(std::min(text.find(' '), text.size() - 1) + 1);
    std::uint64_t pages = 0;
    if (parse_unsigned(text.substr(0, text.find(' ')), pages))
      p.resident_memory_bytes = static_cast<std::int64_t>(pages) * ::getpagesize();
  }
  p.wakeups = static_cast<std::int64_t>(a.loop_.wakeups());
  p.log_lines_dropped = a.log_.held_back();
  p.state_writes = a.memory_.files().writes();
  p.state_written_bytes = static_cast<std::int64_t>(a.memory_.files().written_bytes());
}

bool AgentStatus::peer(std::size_t index, status::PeerStatus& to) const {
  return agent_.dataplane_.plan().peer(index, to);
}

/// The device, the rules and the peers, and what is not there as it should be.
void Dataplane::report(Status& to) const {
  Status::Kernel& k = to.kernel;
  const EntrySync::Counts& counts = entries_.counts();
  const overlay::PeerTotals totals = entries_.plan().totals();
  using Peer = overlay::PeerStatus::State;
  to.peers.programmed = totals[Peer::kProgrammed];
  to.peers.refused = totals[Peer::kRefused];
  to.peers.wanted = to.peers.programmed + to.peers.refused + totals[Peer::kPending];
  std::ranges::copy(totals.reasons, to.ignored.begin());
  k.batches = counts.batches;
  k.changes = counts.changes;
  k.refusals = counts.refusals;
  k.audits = counts.audits;
  for (std::size_t kind = 0; kind < to.repairs.size(); ++kind)
    to.repairs[kind] = repairs_.counted(static_cast<Repairs::Kind>(kind));
  if (!done_) fill(k.failure, [&](Writer& out) { write(out, done_.error()); });

  fill(to.unready.kernel, [&](Writer& out) {
    if (!target_) {
      out.put("nothing is set up yet");
    } else if (!done_ || !complete_) {
      out.put(complete_ ? "out of sync" : "not set up yet");
      if (!done_) out.put(": ").put(k.failure);
    } else if (entries_.damaged()) {
      out.put("other programs change entries; they are not repaired yet");
    } else if (own_rules_timer_.armed() && traffic_rules_.exhausted(loop_.now())) {
      out.put("another program keeps changing our traffic rules");
    } else if (totals[Peer::kPending] > 0) {
      out.put_unsigned(totals[Peer::kPending]).put(" peers are not programmed");
    }
  });
  if (!target_) return;

  const overlay::NetworkConfig& config = target_->config;
  Status::Node& n = to.node;
  n.network = config.network;
  n.subnet = target_->subnet;
  n.mac = target_->mac;
  n.backend = backend().type.data();  // a literal
  n.mtu_bytes = device_.mtu();
  k.rules = !rules_ ? "failed" : traffic_rules_.any() ? "installed" : "none";
  if (backend().device == nullptr) return;
  n.device = overlay::device_name(config.vni).view();
  n.vni = config.vni;
  n.port = config.port;
  if (device_.index() == 0) return;
  if (const auto traffic = kernel_.links.traffic(device_.index())) {
    const auto number = [](std::uint64_t count) { return static_cast<std::int64_t>(count); };
    to.device = {number(traffic->received_bytes), number(traffic->received_packets),
                 number(traffic->sent_bytes), number(traffic->sent_packets),
                 number(traffic->dropped_packets)};
  }
}

}  // namespace flannelette::agent
