// SPDX-License-Identifier: Apache-2.0
// The network config in a file, as a ConfigMap brings it.
#pragma once

#include "flannelette/base/delegate.hpp"
#include "registry/kube/api.hpp"

namespace flannelette::registry::kube {

/// Reads the file until it holds a good config, then looks now and then whether it still does. What we run
/// with stays until a restart.
class ConfigFile {
 public:
  /// A config that is missing or wrong is read again after these.
  static constexpr Millis kFirst = 1'000;
  static constexpr Millis kMax = 5'000;

  using OnRead = Delegate<void()>;  ///< core.network is the config; the listener has heard of it
  ConfigFile(Core& core, OnRead on_read);

  void begin();
  void stop() { timer_.cancel(); }

 private:
  void read();
  void parse(std::string_view text);
  void again() { timer_.arm_in(backoff_.next()); }

  Core& core_;
  OnRead on_read_;
  io::Timer timer_;
  Backoff backoff_{kFirst, kMax};
  std::uint64_t digest_ = 0;  // of what was read last
  bool running_ = false;      // there was a good one
};

}  // namespace flannelette::registry::kube
