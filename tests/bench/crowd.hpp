// SPDX-License-Identifier: Apache-2.0
// Many clients of one agent: slow ones, which hold connections and send a byte now and then, and health
// checks at a steady rate.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "bench/shared.hpp"
#include "support/forked.hpp"
#include "support/netns.hpp"

namespace flannelette::bench {

/// In a process of its own, of the least weight: what is measured is the agent, not who gets the processor.
class Crowd {
 public:
  /// Half of them at the health port, half at the status socket. One that is refused or cut off comes again.
  static constexpr int kSlow = 100;
  static constexpr int kChecksASecond = 1'000;

  struct Counts {
    std::atomic<long> sent{0};         ///< checks
    std::atomic<long> ok{0};           ///< of them, answered 200
    std::atomic<long> busy{0};         ///< ... or 503
    std::atomic<long> connections{0};  ///< of slow clients
  };

  /// Begins at once. `node`: where the agent is, with its health port at 127.0.0.1.
  Crowd(const tests::Node& node, std::uint16_t port, const std::string& socket);
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  const Counts& counts() const { return *counts_; }

 private:
  const Shared<Counts> counts_;
  const tests::Forked process_;
};

}  // namespace flannelette::bench
