// SPDX-License-Identifier: Apache-2.0
// The service manager's notification socket, and its watchdog.
#pragma once

#include "flannelette/base/log.hpp"
#include "flannelette/io/loop.hpp"

namespace flannelette::cli {

/// sd_notify(3) to the socket named by NOTIFY_SOCKET: a path, or an abstract name that begins with '@'.
/// Nothing is sent if the variable is not set or empty. Never waits for the service manager; what its full
/// queue does not take is sent again. The variables stay in the environment.
class Notifier {
 public:
  /// From now on WATCHDOG=1 is sent each watchdog_interval(), by the loop itself, so that one that hangs in a
  /// handler is restarted. One that spins, because a descriptor is ready in each turn, still sends it.
  Notifier(io::Loop& loop, Log& log);
  void ready();
  void stopping();

 private:
  static constexpr Millis kRetry = 1000;
  void ping();

  Log& log_;
  io::Timer retry_;
  io::Timer watchdog_;
  bool waiting_ = false;  ///< READY=1 was not taken
  bool late_ = false;     ///< nor the last WATCHDOG=1
};

/// Half of WATCHDOG_USEC; 0, for no watchdog, if that is not set, not a number of microseconds, or
/// WATCHDOG_PID is another process: as in sd_watchdog_enabled(3). Nor is there one without NOTIFY_SOCKET.
Millis watchdog_interval();

}  // namespace flannelette::cli
