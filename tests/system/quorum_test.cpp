// SPDX-License-Identifier: Apache-2.0
// A node on a cluster of three etcd members that die, are cut off, compacted and defragmented.
#include <doctest/doctest.h>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/quorum.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

std::string record(int number) {
  return peer_value("172.30.0." + std::to_string(number),
                    "02:00:00:00:01:" + std::to_string(number % 90 + 10));
}
/// etcdctl at that member, until its cluster has a leader and it knows of it.
void persist(const Quorum& quorum, int member, const std::vector<std::string>& arguments) {
  std::string why;
  const bool done = wait_until(15s, [&] {
    try {
      quorum.ctl(member, arguments);
      return true;
    } catch (const std::runtime_error& error) {
      why = error.what();
      return false;
    }
  });
  REQUIRE_MESSAGE(done, why);
}
void put(const Quorum& quorum, int member, int number) {
  persist(quorum, member, {"put", kSubnetKeys + "10.64." + std::to_string(number) + ".0-24", record(number)});
}
void remove(const Quorum& quorum, int member, int number) {
  persist(quorum, member, {"del", kSubnetKeys + "10.64." + std::to_string(number) + ".0-24"});
}
bool has(const Machine& machine, int number) {
  return contains(machine.routes(), "10.64." + std::to_string(number) + ".0/24 ");
}

}  // namespace

TEST_SUITE("system/quorum") {
  TEST_CASE(
      "the leader is killed, another is cut off from its cluster, all are compacted and defragmented: the "
      "tables follow within 15 seconds each time") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Quorum quorum;
    quorum.etcd().configure(kVxlanConfig);
    put(quorum, 0, 101);
    Machine a(quorum.etcd(), 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(1), a.log());

    // Whoever it is: the next round kills the next leader.
    for (int round = 0; round < 2; ++round) {
      const int leader = quorum.wait_for_leader(), other = (leader + 1) % Quorum::kMembers;
      quorum.kill(leader);
      put(quorum, other, 110 + round);
      CHECK_MESSAGE(wait_until(15s, [&] { return has(a, 110 + round); }), a.log());
      quorum.start(leader);
      quorum.wait_for_leader();
    }

    // A member without its cluster goes on answering, and knows nothing new. The node is at one of them.
    for (int lonely = 0; lonely < Quorum::kMembers; ++lonely) {
      const int other = (lonely + 1) % Quorum::kMembers;
      quorum.isolate(lonely);
      put(quorum, other, 120 + lonely);
      if (lonely == 0) remove(quorum, other, 101);
      CHECK_MESSAGE(wait_until(15s, [&] { return has(a, 120 + lonely) && !has(a, 101); }), lonely, a.log());
      quorum.mend(lonely);
    }

    // Churn, while what it leaves behind is taken away below it.
    for (int i = 0; i < 30; ++i) {
      put(quorum, i % 3, 130 + i);
      if (i >= 3) remove(quorum, (i + 1) % 3, 130 + i - 3);
      if (i % 10 == 5) quorum.ctl(0, {"compact", std::to_string(quorum.etcd().revision())});
      if (i % 10 == 7) quorum.ctl(i % 3, {"defrag"});
    }
    CHECK_MESSAGE(wait_until(15s, [&] { return has(a, 159) && count_lines(a.routes()) == 8; }), a.routes(),
                  a.log());
    CHECK(a.running());
    CHECK(count_lines(a.log()) < 60);
  }
}
