// SPDX-License-Identifier: Apache-2.0
// When all is listed again where no watch can be had.
#pragma once

#include "flannelette/io/loop.hpp"
#include "registry/session.hpp"
#include "registry/watch_state.hpp"

namespace flannelette::registry {

/// Where requests are answered and no watch can be had (a proxy that buffers answers, or blocks what it does
/// not know; a right that is missing), what there is is listed again after the first time, then at growing
/// intervals. After an outage the watch goes on without a list: so a request must be answered first, and the
/// watch have its time after that.
class Relisting {
 public:
  /// List now, or else make any request: session.answered() shows whether it is answered. False: a watch has
  /// just begun, and has yet to prove itself.
  using Act = Delegate<bool(bool list)>;
  Relisting(io::Loop& loop, Random& random, const Session& session, Act act);

  /// There is no watch, or none any more.
  void begin();
  /// There is one.
  void end();
  /// A list is under way.
  void stop() { timer_.cancel(); }
  /// Of a watch, at the end of each list; `server`: where it begins.
  void report(Health& health, const char* operation, const io::Endpoint& server) const;

 private:
  static constexpr Millis kFirst = 30'000;
  static constexpr Millis kMax = 5 * 60'000;

  void on_timer();
  Millis interval() const;
  void arm();

  io::Loop& loop_;
  Random& random_;
  const Session& session_;
  Act act_;
  io::Timer timer_;
  Millis probed_ = 0;  // when it was asked whether requests are answered; 0: not yet
  int lists_ = 0;      // since there was a watch
};

}  // namespace flannelette::registry
