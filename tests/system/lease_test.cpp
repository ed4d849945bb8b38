// SPDX-License-Identifier: Apache-2.0
// Our lease against everything that others do to it.
#include <doctest/doctest.h>
#include <unistd.h>

#include <sstream>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/cluster.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

/// IDs of all leases that etcd has, as etcdctl writes them.
std::vector<std::string> lease_ids(const Etcd& etcd) {
  std::vector<std::string> ids;
  std::istringstream in(etcd.ctl({"lease", "list"}));
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && !contains(line, " ")) ids.push_back(line);
  }
  return ids;
}

/// The key hangs on a lease.
bool leased(const Etcd& etcd, const std::string& name) {
  return contains(etcd.ctl({"get", "-w", "json", kSubnetKeys + name}), R"("lease":)");
}

}  // namespace

TEST_SUITE("system/lease") {
  TEST_CASE(
      "compat 9.7: a deleted key and a revoked lease are claimed again, with the same subnet, and nothing "
      "else changes") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(0), a.log());
    const std::string subnet = a.subnet(), name = lease_name(subnet), record = etcd.lease(name);
    etcd.put(kSubnetKeys + "10.64.200.0-24", peer_value("172.30.0.90", "02:00:00:00:00:01"));
    REQUIRE(wait_until(5s, [&] { return count_lines(a.routes()) == 1; }));
    const std::string before = a.routes() + a.neighbours() + a.fdb();

    etcd.ctl({"del", kSubnetKeys + name});
    CHECK_MESSAGE(wait_until(5s, [&] { return etcd.lease(name) == record && leased(etcd, name); }), a.log());
    CHECK(a.logs("our lease was deleted"));
    CHECK(lease_ids(etcd).size() == 1);

    REQUIRE(lease_ids(etcd).size() == 1);
    const std::string old = lease_ids(etcd)[0];
    etcd.ctl({"lease", "revoke", old});
    CHECK_MESSAGE(wait_until(5s, [&] { return etcd.lease(name) == record && leased(etcd, name); }), a.log());
    REQUIRE(lease_ids(etcd).size() == 1);
    CHECK(lease_ids(etcd)[0] != old);

    CHECK(a.running());
    CHECK(a.subnet() == subnet);
    CHECK(etcd.leases().size() == 2);
    CHECK(a.routes() + a.neighbours() + a.fdb() == before);
  }

  TEST_CASE("compat 9.8: a reservation, a key without a lease, is used and stays without one") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    const std::string reserved = "10.64.77.0-24";
    etcd.put(kSubnetKeys + reserved, R"({"PublicIP":"172.30.0.11"})");
    Machine a(etcd, 1), b(etcd, 2);
    b.start();
    REQUIRE_MESSAGE(b.joined(0), b.log());
    CHECK(b.subnet() != "10.64.77.0/24");
    for (int round = 0; round < 2; ++round) {
      a.start();
      REQUIRE_MESSAGE(a.joined(1), a.log());
      CHECK(a.subnet() == "10.64.77.0/24");
      CHECK(etcd.lease(reserved) == peer_value("172.30.0.11", a.device("link/ether")));
      CHECK_FALSE(leased(etcd, reserved));
      CHECK(a.logs("kind=reservation"));
      CHECK(a.stop() == 0);
    }
    CHECK(b.joined(1));
    CHECK(lease_ids(etcd).size() == 1);  // b's
    CHECK(leased(etcd, lease_name(b.subnet())));
  }

  TEST_CASE(
      "compat 9.11: a subnet that another node took meanwhile is neither stolen back at the start nor fought "
      "over later") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(0), a.log());
    const std::string first = lease_name(a.subnet());
    CHECK(a.stop() == 0);
    const std::string rival = peer_value("172.30.0.66", "02:00:00:00:00:66");
    etcd.put(kSubnetKeys + first, rival);
    a.start();
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    REQUIRE(lease_name(a.subnet()) != first);
    CHECK(etcd.lease(first) == rival);
    CHECK_MESSAGE(a.joined(1), a.log());

    const std::string second = lease_name(a.subnet());
    const std::string other = peer_value("172.30.0.67", "02:00:00:00:00:67");
    etcd.put(kSubnetKeys + second, other);
    CHECK_MESSAGE(a.logs("another node holds our subnet"), a.log());
    CHECK(contains(a.log(), "rival_public_ip=172.30.0.67"));
    CHECK(etcd.lease(second) == other);
    CHECK(a.running());
    CHECK(count_lines(a.routes()) == 1);  // nothing into our own subnet
    etcd.ctl({"del", kSubnetKeys + second});
    CHECK_MESSAGE(wait_until(10s, [&] { return contains(etcd.lease(second), "172.30.0.11"); }), a.log());
  }

  TEST_CASE("compat 9.11: two nodes with one public address are told apart and named") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1), b(etcd, 2);
    a.start();
    REQUIRE_MESSAGE(a.joined(0), a.log());
    b.start({"--iface=eth0", "--public-ip=172.30.0.11"});
    CHECK_MESSAGE(
        wait_until(20s, [&] { return contains(a.log() + b.log(), "two nodes have one public address"); }),
        a.log(), b.log());
    CHECK(a.running());
    CHECK(b.running());
  }

  TEST_CASE("compat 9.12: starting again and changing the record leave one lease, not a trail of them") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    std::string subnet, mac;
    for (int round = 0; round < 3; ++round) {
      a.start();
      REQUIRE_MESSAGE(a.logs("ready"), a.log());
      if (round > 0) CHECK(a.subnet() == subnet);
      subnet = a.subnet();
      mac = a.device("link/ether");
      CHECK(lease_ids(etcd).size() == 1);
      CHECK(a.stop() == 0);
    }
    a.start({"--iface=eth0", "--public-ip=203.0.113.7"});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK(a.subnet() == subnet);
    CHECK(etcd.lease(lease_name(subnet)) == peer_value("203.0.113.7", mac));
    CHECK(etcd.leases().size() == 1);
    CHECK_MESSAGE(wait_until(5s, [&] { return lease_ids(etcd).size() == 1; }), a.log());
    CHECK(leased(etcd, lease_name(subnet)));
    CHECK(a.stop() == 0);

    (void)unlink(a.subnet_file().c_str());  // the record alone says who we are
    a.start({"--iface=eth0", "--public-ip=203.0.113.7"});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK(a.subnet() == subnet);
    CHECK(wait_until(5s, [&] { return lease_ids(etcd).size() == 1; }));
  }

  TEST_CASE("a lease of seconds is kept alive with no event for the others") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    const TempDir files;
    write_file(files.file("short.ini"), "[etcd]\nlease-ttl = 5s\n");
    Machine a(etcd, 1);
    a.start({"-c", files.file("short.ini")});
    REQUIRE_MESSAGE(a.joined(0), a.log());
    const std::string key = kSubnetKeys + lease_name(a.subnet());
    const std::string before = etcd.ctl({"get", "-w", "fields", key});
    REQUIRE(lease_ids(etcd).size() == 1);
    const std::string id = lease_ids(etcd)[0];
    const auto started = std::chrono::steady_clock::now();
    CHECK(wait_until(9s, [&] {  // longer than the lease lives by itself
      return etcd.lease(lease_name(a.subnet())).empty() || std::chrono::steady_clock::now() - started > 7s;
    }));
    CHECK(etcd.ctl({"get", "-w", "fields", key}) == before);
    CHECK(lease_ids(etcd) == std::vector<std::string>{id});
  }

  TEST_CASE(
      "compat 9.3: after a compaction while we were away, changed and vanished peers are put right, and "
      "nothing stalls") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    etcd.put(kSubnetKeys + "10.64.101.0-24", peer_value("172.30.0.101", "02:00:00:00:01:01"));
    etcd.put(kSubnetKeys + "10.64.102.0-24", peer_value("172.30.0.102", "02:00:00:00:01:02"));
    etcd.put(kSubnetKeys + "10.64.103.0-24", peer_value("172.30.0.103", "02:00:00:00:01:03"));
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(3), a.log());
    // The agent is cut off, and its connections with it; etcd's own tools are not.
    shell(etcd.node(),
          "nft 'table ip cut { chain c { type filter hook input priority 0; iifname \"br0\" tcp dport 2379 "
          "reject with tcp reset; }; }'");
    etcd.stop();
    etcd.start();
    REQUIRE(a.logs("registry request failed"));
    etcd.put(kSubnetKeys + "10.64.101.0-24", peer_value("172.30.0.101", "02:00:00:00:02:01"));
    etcd.put(kSubnetKeys + "10.64.102.0-24", peer_value("172.30.0.112", "02:00:00:00:01:02"));
    etcd.ctl({"del", kSubnetKeys + "10.64.103.0-24"});
    etcd.put(kSubnetKeys + "10.64.104.0-24", peer_value("172.30.0.104", "02:00:00:00:01:04"));
    etcd.compact();
    CHECK(count_lines(a.routes()) == 3);
    shell(etcd.node(), "nft delete table ip cut");
    CHECK_MESSAGE(wait_until(40s,
                             [&] {
                               return a.fdb() ==
                                      "02:00:00:00:01:02 dst 172.30.0.112 self permanent\n02:00:00:00:01:04 "
                                      "dst 172.30.0.104 self permanent\n"
                                      "02:00:00:00:02:01 dst 172.30.0.101 self permanent\n";
                             }),
                  a.fdb(), a.log());
    CHECK(count_lines(a.routes()) == 3);
    CHECK_FALSE(contains(a.routes(), "10.64.103.0"));
    CHECK(a.neighbours().find("10.64.101.0 lladdr 02:00:00:00:02:01") != std::string::npos);
    etcd.put(kSubnetKeys + "10.64.105.0-24", peer_value("172.30.0.105", "02:00:00:00:01:05"));
    CHECK_MESSAGE(wait_until(5s, [&] { return count_lines(a.routes()) == 4; }), a.log());
    CHECK(contains(etcd.lease(lease_name(a.subnet())), "172.30.0.11"));
  }
}
