// SPDX-License-Identifier: Apache-2.0
// Two nodes and peers that are records, and what other programs do to the first one.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "support/poll.hpp"
#include "system/cluster.hpp"

namespace flannelette::tests {

/// Peers 10.64.101.0 to 10.64.120.0 at 172.30.0.101 and so on.
struct DamagedNode {
  static constexpr int kFirst = 101, kPeers = 20;

  Etcd etcd;
  Machine a{etcd, 1}, b{etcd, 2};

  DamagedNode() {
    etcd.configure(kVxlanConfig);
    for (int peer = kFirst; peer < kFirst + kPeers; ++peer)
      etcd.put(kSubnetKeys + "10.64." + std::to_string(peer) + ".0-24", peer_value(remote(peer), mac(peer)));
    start_a();
    b.start();
    REQUIRE_MESSAGE(a.joined(kPeers + 1), a.log());
    REQUIRE_MESSAGE(b.joined(kPeers + 1), b.log());
    REQUIRE(a.logs("ready"));
  }

  void start_a() { a.start({"--ip-masq"}); }

  static std::string subnet(int peer) { return "10.64." + std::to_string(peer) + ".0"; }
  static std::string remote(int peer) { return "172.30.0." + std::to_string(peer); }
  static std::string mac(int peer) {
    char text[18];
    std::snprintf(text, sizeof text, "02:00:00:00:01:%02x", static_cast<unsigned>(peer));
    return text;
  }
  /// Id of the nexthop object.
  static std::string object(int peer) { return std::to_string(0x46000000 + peer * 64); }
  bool has_objects() const { return !a.node().ip("nexthop").empty(); }

  /// `text` with PEER, REMOTE, MAC and ID of this peer; STRAY, STRANGER and ELSEWHERE are a subnet, a MAC and
  /// a network that are nobody's, other ones for each peer.
  static std::string of_peer(std::string text, int peer) {
    const std::pair<const char*, std::string> words[] = {
        {"PEER", subnet(peer)},
        {"REMOTE", remote(peer)},
        {"STRAY", subnet(peer + 120)},
        {"STRANGER", "02:aa" + mac(peer).substr(5)},
        {"ELSEWHERE", "10.99." + std::to_string(peer) + ".0/24"},
        {"MAC", mac(peer)},
        {"ID", object(peer)}};
    for (const auto& [word, value] : words) {
      for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + value.size()))
        text.replace(at, std::string(word).size(), value);
    }
    return text;
  }
  std::string on(const std::string& command) const { return shell(a.node(), command); }
};

}  // namespace flannelette::tests
