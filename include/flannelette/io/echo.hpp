// SPDX-License-Identifier: Apache-2.0
// ICMP echo requests to several IPv4 addresses at once, which no router may cut into pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "flannelette/base/delegate.hpp"
#include "flannelette/base/ip.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/io/loop.hpp"

namespace flannelette::io {

/// One question.
struct EchoProbe {
  static constexpr std::uint16_t kMinSize = 64;
  static constexpr std::uint16_t kMaxSize = 9000;
  Ip4 to;
  std::uint16_t size = kMinSize;  ///< of the IP packet, kMinSize to kMaxSize
  bool answered = false;
};

class Echo {
 public:
  /// Twice, since a first packet may be lost while an address is resolved.
  static constexpr Millis kRound = 800;
  static constexpr int kRounds = 2;

  /// `done` is called once for each start() that succeeded, from the loop, after kRounds * kRound at the
  /// latest.
  Echo(Loop& loop, Delegate<void()> done);
  /// They outlive this, and hear whether they were answered. Needs CAP_NET_RAW, or a group of
  /// net.ipv4.ping_group_range.
  Result<void> start(std::span<EchoProbe> probes);

 private:
  void send();
  void on_timer();
  void on_readable(std::uint32_t events);

  Delegate<void()> done_;
  UniqueFd fd_;
  Source source_;
  Timer timer_;
  std::span<EchoProbe> probes_;
  std::size_t open_ = 0;  ///< those without an answer
  int round_ = 0;
  bool raw_ = false;
};

}  // namespace flannelette::io
