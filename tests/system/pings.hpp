// SPDX-License-Identifier: Apache-2.0
// A ping every 10 ms from pod to pod, how many got lost, and what else an upgrade must leave as it is.
#pragma once

#include <doctest/doctest.h>

#include <csignal>
#include <string>

#include "system/cluster.hpp"

namespace flannelette::tests {

class Pings {
 public:
  Pings(const Node& from, const std::string& to)
      : ping_({.args = {"ping", "-q", "-n", "-i", "0.01", to}, .netns = from.name()}) {}
  /// "0 of 812 lost" once it has ended.
  std::string end() {
    ping_.signal(SIGINT);
    ping_.wait(std::chrono::seconds(5));
    const std::string text = ping_.output();
    const auto number_before = [&](const char* word) {
      const auto at = text.find(word);
      if (at == std::string::npos) return -1;
      const auto begin = text.find_last_of("\n,", at) + 1;
      return std::stoi(text.substr(begin, at - begin));
    };
    const int sent = number_before(" packets transmitted"), received = number_before(" received");
    lost_ = sent - received;
    return std::to_string(lost_) + " of " + std::to_string(sent) + " lost\n" + text;
  }
  /// After end().
  int lost() const { return lost_; }

 private:
  Process ping_;
  int lost_ = -1;
};

/// All that makes the overlay on this machine, less packet counts.
inline std::string overlay_of(const Machine& machine) {
  return shell(machine.node(),
               "ip -d link show flannel.1; ip -4 -o addr show dev flannel.1; ip route show dev flannel.1 | "
               "sort; "
               "ip neigh show dev flannel.1 nud permanent | sort; bridge fdb show dev flannel.1 | sort; "
               "ip nexthop show; nft list ruleset | sed 's/ counter packets.* bytes [0-9]*//; /^#/d'") +
         file_text(machine.subnet_file());
}

inline std::string index_of(const Machine& machine) {
  const std::string shown = machine.node().ip("-o link show flannel.1");
  return shown.substr(0, shown.find(':'));
}

/// Two machines, each with a pod, that ping each other every 10 ms both ways until they are told to stop.
struct Pinging {
  Machine &a, &b;
  const std::string pod_a = a.add_pod(), pod_b = b.add_pod();
  Pings there, back;
  Pinging(Machine& first, Machine& second)
      : a(first), b(second), there(ready(), pod_b), back(b.pod(), pod_a) {}
  ~Pinging() {
    const std::string a_to_b = there.end(), b_to_a = back.end();
    MESSAGE("a to b: ", a_to_b.substr(0, a_to_b.find('\n')),
            "; b to a: ", b_to_a.substr(0, b_to_a.find('\n')));
    CHECK_MESSAGE(there.lost() == 0, a_to_b, a.log());
    CHECK_MESSAGE(back.lost() == 0, b_to_a, a.log());
  }
  const Node& ready() const {
    REQUIRE(pings(a.pod(), pod_b));
    REQUIRE(pings(b.pod(), pod_a));
    return a.pod();
  }
};

}  // namespace flannelette::tests
