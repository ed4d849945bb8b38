// SPDX-License-Identifier: Apache-2.0
// The way to peers: whether they answer over the underlay and through the tunnel, and how large packets may
// be.
#pragma once

#include <algorithm>
#include <array>
#include <optional>

#include "agent/inspection/context.hpp"
#include "flannelette/io/echo.hpp"

namespace flannelette::agent {

/// What a peer answered.
struct PeerAnswers {
  bool small = false;  ///< over the underlay
  bool large = false;
  bool tunnelled = false;  ///< it was asked through the tunnel, too:
  bool tunnel_small = false;
  bool tunnel_large = false;
};
enum class PeerWay : std::uint8_t {
  kOpen,
  kNarrow,   ///< large packets are lost
  kBlocked,  ///< the tunnel alone is silent
  kSilent,
  kOffLink,  ///< there is none, whatever answers
};
PeerWay way_of(const PeerAnswers& answers);

/// The largest packet that is sent over the underlay, if the device is as it should be.
inline std::uint32_t underlay_mtu(const Underlay& underlay, const overlay::NetworkConfig& config) {
  return config.mtu != 0 ? std::min(underlay.mtu, config.mtu) : underlay.mtu;
}

class PeerProbe {
 public:
  PeerProbe(InspectionContext& context, Delegate<void()> done)
      : context_(context),
        done_(done),
        echo_(context.needs.loop, Delegate<void()>::to<&PeerProbe::on_echo>(this)) {}
  /// One of a peer, as the lease table says; those beyond Inspection::kMaxPeers are passed over.
  void add(const overlay::LeaseRecord& record);
  /// Asks them. `done` is called from the loop, or within this where there is nobody to
  /// ask.
  void start();

 private:
  struct Peer {
    Net4 subnet;
    Ip4 public_ip;
    std::size_t first = 0;  ///< of its probes: small, large, and perhaps both through the tunnel
    bool tunnelled = false;
  };

  void ask(Peer& peer);
  void ask(Ip4 to, std::uint32_t mtu);
  bool leads_through_tunnel(Net4 subnet, Ip4 public_ip) const;
  bool behind_gateway(Ip4 public_ip) const;
  void on_echo();
  void report(const Peer& peer);
  void finish();

  InspectionContext& context_;
  Delegate<void()> done_;
  io::Echo echo_;
  std::optional<overlay::Device> device_;
  std::array<Peer, Inspection::kMaxPeers> peers_{};
  std::size_t count_ = 0;
  std::array<io::EchoProbe, 4 * Inspection::kMaxPeers> probes_{};
  std::size_t probe_count_ = 0;
  std::size_t open_ = 0;  ///< peers that answered all
};

}  // namespace flannelette::agent
