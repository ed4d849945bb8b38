// SPDX-License-Identifier: Apache-2.0
// A ping every 10 ms from a pod, and how many got lost.
#pragma once

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

}  // namespace flannelette::tests
