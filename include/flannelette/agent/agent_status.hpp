// SPDX-License-Identifier: Apache-2.0
// The status of an agent.
#pragma once

#include "flannelette/agent/agent.hpp"
#include "flannelette/status/status.hpp"

namespace flannelette::agent {

/// Computed from what the agent acts on, each time that it is read (invariant 16).
class AgentStatus final : public status::Source {
 public:
  /// A node is ready as long as a watch of the registry stood within this time. One that ends and is begun
  /// again does so in much less.
  static constexpr Millis kStoodWithin = 15'000;
  /// A watch of which nothing was heard for this long stands no more, though nobody has ended it: two probes
  /// (io::Stream::kProbeEvery) were lost, or their answers.
  static constexpr Millis kSilence = 25'000;

  /// `agent` outlives it, and has not been started.
  explicit AgentStatus(Agent& agent);
  /// Who reads has the watch's connection probed from then on, so that a silent cut is known within kSilence.
  void read(status::Status& to) const override;
  bool peer(std::size_t index, status::PeerStatus& to) const override;

 private:
  Agent::Impl& agent_;
  const Millis started_;
  /// Unix time of the start. The wall clock may be set later, so it is computed anew where it is out by more
  /// than rounding.
  mutable std::int64_t start_time_;
};

}  // namespace flannelette::agent
