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
void put(const Quorum& quorum, int member, int number) {
  quorum.ctl(member, {"put", kSubnetKeys + "10.64." + std::to_string(number) + ".0-24", record(number)});
}
void remove(const Quorum& quorum, int member, int number) {
  quorum.ctl(member, {"del", kSubnetKeys + "10.64." + std::to_string(number) + ".0-24"});
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
      CHECK_MESSAGE(wait_until(15s,
                               [&] {
                                 try {
                                   put(quorum, other, 110 + round);
                                 } catch (const std::runtime_error&) {
                                   return false;  // the election
                                 }
                                 return true;
                               }),
                    a.log());
      CHECK_MESSAGE(wait_until(15s, [&] { return has(a, 110 + round); }), a.log());
      quorum.start(leader);
      quorum.wait_for_leader();
    }

    // A member without its cluster goes on answering, and knows nothing new.
    const int lonely = quorum.any_follower(), other = (lonely + 1) % Quorum::kMembers;
    quorum.isolate(lonely);
    CHECK(wait_until(15s, [&] {
      try {
        put(quorum, other, 120);
        remove(quorum, other, 101);
      } catch (const std::runtime_error&) {
        return false;
      }
      return true;
    }));
    CHECK_MESSAGE(wait_until(15s, [&] { return has(a, 120) && !has(a, 101); }), a.log());
    quorum.mend(lonely);
    quorum.wait_for_leader();

    // Churn, while what it leaves behind is taken away below it.
    for (int i = 0; i < 30; ++i) {
      put(quorum, i % 3, 130 + i);
      if (i >= 3) remove(quorum, (i + 1) % 3, 130 + i - 3);
      if (i % 10 == 5) quorum.ctl(0, {"compact", std::to_string(quorum.etcd().revision())});
      if (i % 10 == 7) quorum.ctl(i % 3, {"defrag"});
    }
    CHECK_MESSAGE(wait_until(15s, [&] { return has(a, 159) && count_lines(a.routes()) == 6; }), a.routes(),
                  a.log());
    CHECK(a.running());
    CHECK(count_lines(a.log()) < 60);
  }
}
