// SPDX-License-Identifier: Apache-2.0
// A Network that overlaps the LAN: nothing in the registry, and nothing of an earlier run, cuts the node off.
#include <doctest/doctest.h>

#include <csignal>
#include <filesystem>

#include "flannelette/base/files.hpp"
#include "flannelette/overlay/state.hpp"
#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/cluster.hpp"

using namespace flannelette;
using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

constexpr const char* kOverLan =
    R"({"Network":"172.30.0.0/16","SubnetMin":"172.30.30.0","SubnetMax":"172.30.90.0","Backend":{"Type":"vxlan"}})";
constexpr const char* kEtcdSubnet = "172.30.0.0/30";  // holds etcd's 172.30.0.1

/// The peers file that a version without protected addresses wrote: one good peer, and one that hides etcd.
void write_older_peers(const Machine& machine) {
  overlay::LeaseTable peers;
  overlay::LocalNode local;
  overlay::ConfigProblem problem;
  REQUIRE(overlay::parse_config(kOverLan, local.config, problem));
  local.subnet = *parse_net4(machine.subnet());
  peers.set_local(local);
  for (const char* key : {"172.30.0.0-30", "172.30.101.0-24"}) {
    overlay::LeaseRecord record;
    record.key = *overlay::parse_lease_key(key);
    record.value = {
        Ip4{record.key.subnet.base.value ^ 0x01000000}, overlay::BackendType::kVxlan, true, 1u, {}};
    record.value.mac = {{2, 0, 0, 0, 7, record.key.subnet.length}};
    REQUIRE(peers.upsert(record) == overlay::Ignored::kNo);
  }
  SystemFiles files;
  overlay::PeerStateSource source(peers);
  REQUIRE(files.replace_with(machine.state_dir() + "/peers", source, 0600));
}

}  // namespace

TEST_SUITE("system/underlay") {
  TEST_CASE(
      "a Network over the LAN: no record, no earlier run and no state file cuts the node off from etcd") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kOverLan);
    etcd.put(kSubnetKeys + "172.30.0.0-30", peer_value("172.31.0.1", "02:00:00:00:02:01"));  // etcd
    etcd.put(kSubnetKeys + "172.30.0.8-29", peer_value("172.31.0.2", "02:00:00:00:02:02"));  // 172.30.0.11
    etcd.put(kSubnetKeys + "172.30.9.0-24", peer_value("172.30.9.7", "02:00:00:00:02:03"));  // itself
    etcd.put(kSubnetKeys + "172.30.101.0-24", peer_value("172.30.0.77", "02:00:00:00:02:04"));
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(1), a.log());
    CHECK(a.logs("must be reached directly", 3));
    CHECK(a.logs("overlaps a connected prefix"));
    etcd.put(kSubnetKeys + "172.30.102.0-24", peer_value("172.30.0.78", "02:00:00:00:02:05"));
    REQUIRE_MESSAGE(wait_until(5s, [&] { return count_lines(a.routes()) == 2; }), a.log());
    REQUIRE(wait_until(10s, [&] { return !file_text(a.state_dir() + "/peers").empty(); }));

    // Restarted where an older version left such a route.
    a.agent().signal(SIGKILL);
    a.agent().wait(5s);
    a.node().ip(std::string("route add ") + kEtcdSubnet + " via 172.30.0.0 dev flannel.1 onlink");
    a.start();
    REQUIRE_MESSAGE(a.logs("lease held"), a.log());
    CHECK(count_lines(a.routes()) == 2);

    // Rebooted with an older version's state files, etcd being late.
    const std::string subnet = a.subnet();
    REQUIRE(wait_until(10s, [&] { return !file_text(a.state_dir() + "/peers").empty(); }));
    a.agent().signal(SIGKILL);
    a.agent().wait(5s);
    write_older_peers(a);
    a.node().ip("link delete flannel.1");
    std::filesystem::remove(a.subnet_file());
    etcd.stop();
    a.start();
    REQUIRE_MESSAGE(a.logs("degraded"), a.log());
    REQUIRE_MESSAGE(wait_until(5s, [&] { return count_lines(a.routes()) == 1; }), a.log());
    CHECK(contains(a.routes(), "172.30.101.0/24"));
    etcd.start();
    REQUIRE_MESSAGE(a.logs("no longer degraded"), a.log());
    CHECK(a.subnet() == subnet);
    CHECK(wait_until(5s, [&] { return count_lines(a.routes()) == 2; }));
    CHECK_FALSE(contains(a.routes(), kEtcdSubnet));
  }
}
