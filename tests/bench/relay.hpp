// SPDX-License-Identifier: Apache-2.0
// What stands between agents and their etcd, and knows when it passed an event on.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "bench/shared.hpp"
#include "support/forked.hpp"
#include "system/cluster.hpp"

namespace flannelette::bench {

/// In a process of its own, beside the etcd.
class Relay {
 public:
  static constexpr std::uint16_t kPort = 2390;

  explicit Relay(const tests::Etcd& etcd);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  std::string url() const { return "http://172.30.0.1:" + std::to_string(kPort); }
  /// now() when the last event of a watch was passed to this machine's agent; 0: none were.
  double passed(const tests::Machine& machine) const;

 private:
  /// By the last byte of the address.
  struct Times {
    std::array<std::atomic<double>, 256> passed{};
  };
  static void serve(int listener, Times& times);

  const Shared<Times> times_;
  const UniqueFd listener_;
  const tests::Forked process_;
};

}  // namespace flannelette::bench
