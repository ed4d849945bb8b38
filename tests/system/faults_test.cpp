// SPDX-License-Identifier: Apache-2.0
// What happens to a registry: a store restored or made anew, values of others that are too large, thousands
// of events, and a node that is cut off until another has its subnet.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "support/rng.hpp"
#include "system/cluster.hpp"
#include "system/gateway.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

/// While it lives, the nodes cannot reach etcd, and their connections are broken; etcd's own tools can.
class Outage {
 public:
  explicit Outage(Etcd& etcd) : etcd_(etcd) {
    shell(etcd_.node(),
          "nft 'table ip cut { chain c { type filter hook input priority 0; iifname \"br0\" tcp dport 2379 "
          "reject "
          "with tcp reset; }; }'");
  }
  ~Outage() { shell(etcd_.node(), "nft delete table ip cut"); }
  Outage(const Outage&) = delete;
  Outage& operator=(const Outage&) = delete;

 private:
  Etcd& etcd_;
};

std::string key(int third) { return kSubnetKeys + "10.64." + std::to_string(third) + ".0-24"; }
void put_peer(const Etcd& etcd, int third) {
  etcd.put(key(third),
           peer_value("172.30.0." + std::to_string(third), "02:00:00:00:01:" + std::to_string(third - 90)));
}
bool has(const Machine& machine, int third) {
  return contains(machine.routes(), "10.64." + std::to_string(third) + ".0/24 ");
}
/// As many writes elsewhere as it takes.
void overtake(const Etcd& etcd, long revision) {
  while (etcd.revision() <= revision) etcd.put("/elsewhere", "x");
}

}  // namespace

TEST_SUITE("system/faults") {
  TEST_CASE("an etcd that is restored from a snapshot, or made anew, is recognised and listed again") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    put_peer(etcd, 101);
    put_peer(etcd, 102);
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(2), a.log());
    const std::string subnet = a.subnet(), record = etcd.lease(lease_name(subnet));
    const TempDir files;
    etcd.ctl({"snapshot", "save", files.file("snapshot")});
    etcd.ctl({"del", key(101)});
    put_peer(etcd, 103);
    REQUIRE(wait_until(5s, [&] { return !has(a, 101) && has(a, 103); }));

    const auto restore = [&] {
      etcd.stop();
      std::filesystem::remove_all(etcd.data_dir());
      must_run({.args = {etcd_program("etcdctl"), "snapshot", "restore", files.file("snapshot"), "--data-dir",
                         etcd.data_dir()},
                .env = {"ETCDCTL_API=3"}});
      etcd.start();
    };
    restore();  // the revision goes back
    CHECK_MESSAGE(wait_until(20s, [&] { return has(a, 101) && has(a, 102) && !has(a, 103); }), a.routes(),
                  a.log());
    CHECK(etcd.lease(lease_name(subnet)) == record);
    etcd.ctl({"del", key(101)});
    put_peer(etcd, 104);
    REQUIRE_MESSAGE(wait_until(5s, [&] { return !has(a, 101) && has(a, 104); }), a.log());
    const long known = etcd.revision();
    {
      const Outage outage(etcd);
      restore();  // and has come further than before when the node sees it again
      overtake(etcd, known + 5);
    }
    CHECK_MESSAGE(wait_until(20s, [&] { return has(a, 101) && has(a, 102) && !has(a, 104); }), a.routes(),
                  a.log());
    CHECK(etcd.lease(lease_name(subnet)) == record);
    {
      const Outage outage(etcd);
      const long before = etcd.revision();
      etcd.stop();
      std::filesystem::remove_all(etcd.data_dir());
      etcd.start();
      etcd.configure(kVxlanConfig);
      put_peer(etcd, 105);
      overtake(etcd, before + 5);
    }
    CHECK_MESSAGE(wait_until(20s, [&] { return !has(a, 101) && !has(a, 102) && has(a, 105); }), a.routes(),
                  a.log());
    CHECK_MESSAGE(wait_until(5s, [&] { return etcd.lease(lease_name(subnet)) == record; }), a.log());
    CHECK(a.subnet() == subnet);
    CHECK(a.running());
  }

  TEST_CASE(
      "a value of 1.5 MB among the leases blocks nobody, in the list and in the watch, and is told once") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd({.arguments = {"--max-request-bytes", "4000000"}});
    etcd.configure(kVxlanConfig);
    const TempDir files;
    write_file(files.file("large"), std::string(1'500'000, 'x'));
    const auto put_large = [&](const std::string& name) {
      shell(etcd.node(), "ETCDCTL_API=3 " + etcd_program("etcdctl") + " --endpoints " + etcd.url() + " put " +
                             name + " <" + files.file("large"));
    };
    put_large(key(100));
    put_large(kSubnetKeys + "a-note");
    put_peer(etcd, 101);
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(1), a.log());
    put_large(kSubnetKeys + "10.64.102.0-24");
    put_peer(etcd, 103);
    CHECK_MESSAGE(wait_until(5s, [&] { return has(a, 101) && has(a, 103); }), a.log());
    CHECK(count_of(a.log(), "over the size limit") == 2);
    CHECK(count_of(a.log(), "that is no lease") == 1);
    CHECK(a.memory_kib("VmHWM") < 8'000);  // and is not held either
  }

  TEST_CASE(
      "2,000 joins and leaves as fast as etcd takes them: the tables are what etcd says, none is lost") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kCrowdConfig);
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(0), a.log());
    constexpr int kPeers = 400, kEvents = 2'000;
    Rng rng;
    std::vector<bool> there(kPeers + 1);
    {
      Gateway gateway(etcd);
      const std::string lease = grant(gateway);
      for (int event = 0; event < kEvents; ++event) {
        const int number = 1 + static_cast<int>(rng.below(kPeers));
        const auto at = static_cast<std::size_t>(number);
        if (there[at]) {
          remove_peers(gateway, number, number);
        } else {
          gateway.post("/v3/kv/put", put_body(number, lease));
        }
        there[at] = !there[at];
      }
    }
    std::string wanted;
    for (int number = 1; number <= kPeers; ++number) {
      if (there[static_cast<std::size_t>(number)])
        wanted += "10." + std::to_string(number / 256) + "." + std::to_string(number % 256) + ".0/24 ";
    }
    const auto subnets = [&] {
      return shell(a.node(), "ip route show dev flannel.1 | sort -V | awk '{ printf \"%s \", $1 }'");
    };
    CHECK_MESSAGE(wait_until(5s, [&] { return subnets() == wanted; }), a.log());
    const int peers = count_of(wanted, "/24");
    CHECK(count_lines(a.neighbours()) == peers);
    CHECK(count_lines(a.fdb()) == peers);
    CHECK(static_cast<int>(etcd.leases().size()) == peers + 1);
  }

  TEST_CASE(
      "a node is cut off for three lives of its lease, and another takes its subnet: nobody is robbed, the "
      "conflict is named, and it heals when the other goes") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    const TempDir files;
    write_file(files.file("short.ini"), "[etcd]\nlease-ttl = 5s\n");
    const std::vector<std::string> short_lease{"-c", files.file("short.ini")};
    Machine a(etcd, 1), b(etcd, 2), c(etcd, 3);
    a.start(short_lease);
    b.start(short_lease);
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE_MESSAGE(b.joined(1), b.log());
    const std::string pod = a.add_pod();
    b.add_pod();
    REQUIRE(pings(b.pod(), pod));
    const std::string subnet = a.subnet(), name = lease_name(subnet);

    shell(a.node(),
          "nft 'table ip cut { chain o { type filter hook output priority 0; tcp dport 2379 drop; }; }'");
    const auto cut = std::chrono::steady_clock::now();
    REQUIRE_MESSAGE(wait_until(20s, [&] { return etcd.lease(name).empty(); }), a.log());
    // c had this subnet once, as its file says.
    write_file(c.subnet_file(),
               "FLANNEL_NETWORK=10.64.0.0/16\nFLANNEL_SUBNET=" + host_in(subnet, 1).append("/24") +
                   "\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n");
    c.start(short_lease);
    REQUIRE_MESSAGE(c.logs("ready"), c.log());
    REQUIRE(c.subnet() == subnet);
    c.add_pod();  // with the same address as a's
    const std::string rival = etcd.lease(name);
    CHECK(contains(rival, "172.30.0.13"));
    // b sends there now, and what a does meanwhile changes nothing.
    CHECK(wait_until(5s, [&] { return contains(b.fdb(), c.device("link/ether") + " dst 172.30.0.13"); }));
    CHECK(pings(b.pod(), pod));
    CHECK(wait_until(20s, [&] { return std::chrono::steady_clock::now() - cut > 15s; }));
    CHECK(a.running());
    CHECK(a.subnet() == subnet);
    shell(a.node(), "nft delete table ip cut");
    CHECK_MESSAGE(wait_until(40s, [&] { return contains(a.log(), "another node holds our subnet"); }),
                  a.log());
    CHECK(contains(a.log(), "rival_public_ip=172.30.0.13 rival_mac=" + c.device("link/ether")));
    CHECK(etcd.lease(name) == rival);
    CHECK_FALSE(contains(b.fdb(), "172.30.0.11"));
    CHECK(pings(b.pod(), pod));
    CHECK(c.running());

    // c goes, and its lease ends.
    CHECK(c.stop() == 0);
    CHECK_MESSAGE(wait_until(20s, [&] { return contains(etcd.lease(name), "172.30.0.11"); }), a.log());
    CHECK_MESSAGE(
        wait_until(5s, [&] { return contains(b.fdb(), a.device("link/ether") + " dst 172.30.0.11"); }),
        b.log());
    CHECK(pings(b.pod(), pod));
  }
}
