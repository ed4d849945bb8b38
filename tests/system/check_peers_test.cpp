// SPDX-License-Identifier: Apache-2.0
// The verb check beside other nodes, and records of nodes, that the agent does nothing for.
#include <doctest/doctest.h>

#include "support/means.hpp"
#include "system/checked.hpp"

using namespace flannelette::tests;

TEST_SUITE("system/check") {
  TEST_CASE("host-gw: a peer behind a gateway is found, with the words of the agent's log") {
    REQUIRE_MEANS(cluster_means());
    Bare bare({}, R"({"Network":"10.64.0.0/16","Backend":{"Type":"host-gw"}})");
    const auto add = [&](const char* name, const char* public_ip) {
      bare.etcd.put(kSubnetKeys + name,
                    std::string(R"({"PublicIP":")") + public_ip + R"(","BackendType":"host-gw"})");
    };
    add("10.64.100.0-24", "172.30.0.1");
    check_nothing(check(bare.machine, {etcd_flag(bare.etcd)}));
    bare.etcd.node().ip("addr add 203.0.113.7/32 dev lo");
    add("10.64.101.0-24", "203.0.113.7");
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kWarning, "peers",
               {"10.64.101.0/24 at 203.0.113.7: the peer is not on our link", "use vxlan"});
    bare.machine.start();
    CHECK(bare.machine.logs("the peer is not on our link"));
  }

  TEST_CASE("records that the agent ignores are not asked, and take no place from those that are") {
    REQUIRE_MEANS(cluster_means());
    Bare bare;
    bare.machine.start();
    REQUIRE_MESSAGE(bare.machine.joined(0), bare.machine.log());
    std::string inside = bare.machine.subnet();
    inside.replace(inside.find("/24"), 3, "-26");
    bare.etcd.put(kSubnetKeys + inside, peer_value("172.30.0.97", "02:00:00:00:02:01"));
    bare.etcd.put(kSubnetKeys + "0.0.0.0-0", peer_value("172.30.0.98", "02:00:00:00:02:02"));
    for (int i = 100; i < 117; ++i) {
      const char* const mac = i % 2 == 0 ? "00:00:00:00:00:00" : "01:00:00:00:01:01";
      bare.etcd.put(kSubnetKeys + "10.64." + std::to_string(i) + ".0-24", peer_value("172.30.0.99", mac));
    }
    bare.etcd.put(kSubnetKeys + "10.64.200.0-24", peer_value("172.30.0.96", "02:00:00:00:02:03"));
    REQUIRE(bare.machine.joined(1));
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kWarning, "peers",
               {"10.64.200.0/24 at 172.30.0.96: does not answer"});
  }
}
