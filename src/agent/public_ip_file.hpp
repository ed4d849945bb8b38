// SPDX-License-Identifier: Apache-2.0
// The public address of this node, as a file has it.
#pragma once

#include <optional>

#include "flannelette/agent/settings.hpp"
#include "flannelette/base/say_once.hpp"
#include "flannelette/io/loop.hpp"

namespace flannelette::agent {

/// Follows settings.public_ip_file, for a node behind a port forward. What is in it counts as long as it is
/// one address; else the one before stays.
class PublicIpFile {
 public:
  /// A change is seen after this at the latest.
  static constexpr Millis kCheckEvery = 60'000;

  /// `on_change`: read() gives another address than before.
  PublicIpFile(io::Loop& loop, Log& log, Files& files, const InterfaceSettings& settings,
               Delegate<void()> on_change);

  /// `before`: the one to go on with where the file has none, and no setting says another. No call to
  /// on_change.
  void start(std::optional<Ip4> before);
  void stop() { timer_.cancel(); }
  /// Our own: an address of our pods is none to be reached at.
  void set_subnet(std::optional<Net4> subnet) { subnet_ = subnet; }
  /// Reads the file, if there is to be one.
  const std::optional<Ip4>& read();

 private:
  void on_timer();
  void report(std::uint64_t digest, const Field& why);

  Log& log_;
  Files& files_;
  const InterfaceSettings& settings_;
  Delegate<void()> on_change_;
  io::Timer timer_;
  std::optional<Ip4> address_;
  std::optional<Net4> subnet_;
  SayOnce<> reported_;
};

}  // namespace flannelette::agent
