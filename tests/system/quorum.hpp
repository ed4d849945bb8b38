// SPDX-License-Identifier: Apache-2.0
// Three etcd members, each a machine of its own on the underlay bridge: 172.30.0.2 to 172.30.0.4.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "system/cluster.hpp"

namespace flannelette::tests {

class Quorum {
 public:
  static constexpr int kMembers = 3;
  Quorum();

  /// The bridge, and etcdctl with all three endpoints.
  const Etcd& etcd() const { return hub_; }
  void start(int member);
  void kill(int member);  ///< kill -9
  /// Who leads, as the others see it; -1: nobody.
  int leader() const;
  int wait_for_leader() const;  ///< throws if there is none in time
  int any_follower() const { return (wait_for_leader() + 1) % kMembers; }
  /// Drops what comes from the other members, and what goes there; clients reach it as before.
  void isolate(int member) const;
  /// Drops what comes from clients, silently.
  void go_dead(int member) const;
  void mend(int member) const;
  /// etcdctl for one member.
  std::string ctl(int member, const std::vector<std::string>& arguments) const;
  const Node& node(int member) const { return members_[static_cast<std::size_t>(member)]->node; }

 private:
  struct Member {
    explicit Member(int number) : node("m" + std::to_string(number)) {}
    Node node;
    TempDir data;
    std::unique_ptr<Process> process;
  };
  static std::string address(int member) { return "172.30.0." + std::to_string(2 + member); }
  static std::string client_urls();
  bool is_leader(int member) const;

  Etcd hub_;
  std::array<std::unique_ptr<Member>, kMembers> members_;
};

}  // namespace flannelette::tests
