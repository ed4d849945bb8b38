// SPDX-License-Identifier: Apache-2.0
// What a node's kernel has on flannel.1, seen from outside of the agent, the same way for every agent.
#pragma once

#include <optional>
#include <string>

#include "support/netns.hpp"

namespace flannelette::bench {

/// Monotonic seconds.
double now();

/// Gives a descriptor back at the end of the scope.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd();
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  operator int() const { return fd_; }  // NOLINT: it is one

 private:
  int fd_;
};

class Tables {
 public:
  /// Before the agent is started.
  explicit Tables(const tests::Node& node);

  struct Counts {
    int routes = 0;      ///< of table main on the device
    int neighbours = 0;  ///< permanent ones on it
    int fdb = 0;         ///< with a remote
    bool all(int peers) const { return routes == peers && neighbours == peers && fdb == peers; }
  };
  Counts count() const;
  /// Waits until all three tables are those of `peers` peers; the time, or nothing after `limit` seconds.
  std::optional<double> wait(int peers, double limit) const;

 private:
  int prefixes() const;
  int count_routes(int device) const;
  int count_neighbours(int device, int family) const;

  const tests::Node& node_;
  Fd netlink_;
  Fd triestat_;
  const int others_;  ///< prefixes that were there before
};

/// Hears of each entry as it comes into being.
class Arrivals {
 public:
  explicit Arrivals(const tests::Node& node);
  /// Waits until neighbour, FDB entry and route of this peer (tests/system/gateway.hpp) were announced, all
  /// three since the call before. The time, or nothing after `limit` seconds.
  std::optional<double> wait(int peer, double limit);

 private:
  Fd netlink_;
};

}  // namespace flannelette::bench
