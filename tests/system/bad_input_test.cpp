// SPDX-License-Identifier: Apache-2.0
// What others put into the registry and onto this machine: a clear line each, no wrong kernel entry, and the
// good go on.
#include <doctest/doctest.h>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/cluster.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

const char* const kGoodPeer = "10.64.100.0-24";

/// Everything of the kernel that a record could reach: routes and rules of all tables, neighbours and FDB of
/// the device. IPv4 alone: the kernel gives devices link-local addresses of IPv6 in its own time.
std::string data_plane(const Machine& machine) {
  return machine.node().ip("-4 route show table all") + machine.node().ip("rule show") +
         machine.neighbours() + machine.fdb();
}

/// Proof that everything before was handled: a peer that comes last is there.
bool goes_on(const Etcd& etcd, const Machine& machine) {
  etcd.put(kSubnetKeys + "10.64.99.0-24", peer_value("172.30.0.99", "02:00:00:00:00:99"));
  const bool came = wait_until(10s, [&] { return contains(machine.routes(), "10.64.99.0/24"); });
  etcd.ctl({"del", kSubnetKeys + "10.64.99.0-24"});
  return came && wait_until(10s, [&] {
           return !contains(machine.routes() + machine.fdb() + machine.neighbours(), "99");
         });
}

}  // namespace

TEST_SUITE("system/bad_input") {
  TEST_CASE("a config that is broken, refused or absent is waited out, with its reason") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.logs("there is no network config"), a.log());
    CHECK(a.stop() == 0);
    const struct {
      const char* config;
      const char* words;
    } cases[] = {
        {R"({"Network":"10.64.0.0/16","Backend":{"Type":"vxlan"})", "offset="},
        {R"(not JSON)", "offset="},
        {R"([])", "the network config is wrong"},
        {R"({"Network":"fd00::/48","Backend":{"Type":"vxlan"}})", "key=Network"},  // compat 9.20
        {R"({"Network":"10.64.0.0/33","Backend":{"Type":"vxlan"}})", "key=Network"},
        {R"({"Network":"10.64.0.0/29","Backend":{"Type":"vxlan"}})", "the network config is wrong"},
        {R"({"Backend":{"Type":"vxlan"}})", "key=Network"},
        {R"({"Network":"10.64.0.0/16","SubnetLen":17,"Backend":{"Type":"vxlan"}})", "key=SubnetLen"},
        {R"({"Network":"10.64.0.0/16","SubnetMin":"10.65.0.0","Backend":{"Type":"vxlan"}})", "key=SubnetMin"},
        {R"({"Network":"10.64.0.0/16","SubnetMax":"10.64.0.9","Backend":{"Type":"vxlan"}})", "key=SubnetMax"},
        {R"({"Network":"10.64.0.0/16","Backend":{"Type":"ipip"}})", "cannot do"},
        {R"({"Network":"10.64.0.0/16","Backend":{"Type":"vxlan","DirectRouting":1}})", "DirectRouting"},
        {R"({"Network":"10.64.0.0/16","EnableIPv6":true,"IPv6Network":"fd00::/48","Backend":{"Type":"vxlan"}})",
         "EnableIPv6"},
        {R"({"Network":"10.64.0.0/16","Backend":{"Type":"vxlan","VNI":16777216}})", "VNI"},
    };
    for (const auto& c : cases) {
      etcd.configure(c.config);
      a.start();
      CHECK_MESSAGE(a.logs("the network config "), c.config, a.log());
      CHECK_MESSAGE(contains(a.log(), c.words), c.config, a.log());
      CHECK_MESSAGE(count_of(a.log(), "error: ") == 1, a.log());
      CHECK(a.running());
      CHECK(a.node().ip("-o link show type vxlan") == "");
      if (&c != std::end(cases) - 1) CHECK(a.stop() == 0);
    }
    etcd.configure(kVxlanConfig);  // mended under the running agent
    CHECK_MESSAGE(a.joined(0), a.log());
    CHECK(etcd.leases().size() == 1);
  }

  TEST_CASE(
      "compat 9.1: foreign keys and garbage under the prefix cost no peer, whether listed or as events") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    etcd.put(kSubnetKeys + kGoodPeer, peer_value("172.30.0.90", "02:00:00:00:00:01"));
    Machine a(etcd, 1);
    const auto scatter = [&](const std::string& network) {
      for (const char* name : {"readme", "10.64.1.0-24/sub", "x10.64.1.0-24", "10.64.1-24", "10.64.1.0-",
                               "-24", "300.64.1.0-24", "10.64.1.0-33", "10.64.3.0-24&junk", "%s%n"}) {
        etcd.put(kSubnetKeys + name, peer_value("172.30.0.91", "02:00:00:00:00:02"));
      }
      etcd.put("/coreos.com/network/subnets2/10.64.2.0-24", peer_value("172.30.0.91", "02:00:00:00:00:02"));
      etcd.put(kSubnetKeys + std::string(600, 'k'), "x");
      const char* values[] = {
          "",
          "null",
          "{}",
          "[]",
          "7",
          "{",
          R"({"PublicIP":null})",
          R"({"PublicIP":"172.30.0.92")",
          R"({"PublicIP":172})",
          "\x01\x02\xff",
          R"({"PublicIP":"172.30.0.92","BackendType":"vxlan"})",
          R"({"PublicIP":"fd00::1","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:03"}})",
          R"({"PublicIP":"172.30.0.92","BackendType":"VXLAN","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:03"}})",
          R"({"PublicIP":"172.30.0.92","BackendType":"host-gw"})",
          R"({"PublicIP":"172.30.0.92","BackendType":"vxlan","BackendData":"text"})",
          R"({"PublicIP":"172.30.0.92","BackendType":"vxlan","BackendData":{"VNI":2,"VtepMAC":"02:00:00:00:00:03"}})"};
      int third = 10;
      for (const char* value : values)
        etcd.put(kSubnetKeys + network + std::to_string(++third) + ".0-24", value);
      etcd.put(kSubnetKeys + network + "9.0-24", std::string(100'000, 'v'));
    };
    scatter("10.64.");
    a.start();
    REQUIRE_MESSAGE(a.joined(1), a.log());
    CHECK(goes_on(etcd, a));
    const std::string before = data_plane(a);
    scatter("10.64.2");
    CHECK_MESSAGE(goes_on(etcd, a), a.log());
    CHECK(data_plane(a) == before);
    CHECK(contains(a.log(), "a key that is no lease is left alone key=/coreos.com/network/subnets/readme"));
    CHECK(contains(a.log(), "its value is not a lease"));
    CHECK(contains(a.log(), "its backend is not ours"));
    CHECK(contains(a.log(), "over the size limit"));
    CHECK(count_lines(a.log()) < 80);  // garbage does not fill a disk
    CHECK(a.memory_kib("VmHWM") <= 768);
    CHECK(etcd.leases().size() > 30);  // and none of it was deleted
  }

  TEST_CASE("compat 9.20 and 9.25: no record captures routes of the host, of ours or of others") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    etcd.put(kSubnetKeys + kGoodPeer, peer_value("172.30.0.90", "02:00:00:00:00:01"));
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(1), a.log());
    CHECK(goes_on(etcd, a));
    const std::string before = data_plane(a);
    const std::string own = host_in(a.subnet(), 0), mac = a.device("link/ether");
    const struct {
      std::string name, value, reason;
    } cases[] = {
        {"0.0.0.0-0", peer_value("172.30.0.91", "02:00:00:00:00:02"), "not a subnet of the network"},
        {"0.0.0.0-1", peer_value("172.30.0.91", "02:00:00:00:00:02"), "not a subnet of the network"},
        {"10.64.0.0-16", peer_value("172.30.0.91", "02:00:00:00:00:02"), "not a subnet of the network"},
        {"172.30.0.0-24", peer_value("172.30.0.91", "02:00:00:00:00:02"), "not a subnet of the network"},
        {"192.168.14.0-24", peer_value("172.30.0.91", "02:00:00:00:00:02"), "not a subnet of the network"},
        {"10.64.9.1-24", peer_value("172.30.0.91", "02:00:00:00:00:02"), "not a subnet of the network"},
        {own + "-25", peer_value("172.30.0.91", "02:00:00:00:00:02"), "overlaps ours"},
        {own + "-23", peer_value("172.30.0.91", "02:00:00:00:00:02"), ""},  // overlaps, or is not aligned
        {"10.64.9.0-24", peer_value("172.30.0.11", "02:00:00:00:00:02"), "its public IP is ours"},
        {"10.64.9.0-24", peer_value("127.0.0.1", "02:00:00:00:00:02"), "not a unicast address"},
        {"10.64.9.0-24", peer_value("224.0.0.1", "02:00:00:00:00:02"), "not a unicast address"},
        {"10.64.9.0-24", peer_value("0.0.0.0", "02:00:00:00:00:02"), "not a unicast address"},
        {"10.64.9.0-24", peer_value("fd00::1", "02:00:00:00:00:02"), "not a lease"},
        {"10.64.9.0-24", peer_value("172.30.0.91", "01:00:5e:00:00:01"), "MAC is missing or not unicast"},
        {"10.64.9.0-24", peer_value("172.30.0.91", "ff:ff:ff:ff:ff:ff"), "MAC is missing or not unicast"},
        {"10.64.9.0-24", peer_value("172.30.0.91", "00:00:00:00:00:00"), "MAC is missing or not unicast"},
        {"10.64.9.0-24", peer_value("172.30.0.91", mac), "its VTEP MAC is ours"},
    };
    // A burst of ten lines a cause, then one a minute: the agent starts anew for the second half.
    int put = 0;
    for (const auto& c : cases) {
      if (++put == 9) {
        CHECK(a.stop() == 0);
        a.start();
        REQUIRE_MESSAGE(a.logs("ready"), a.log());
      }
      const int lines = count_of(a.log(), "peer ignored");
      etcd.put(kSubnetKeys + c.name, c.value);
      CHECK_MESSAGE(a.logs("peer ignored", lines + 1), c.name, c.value, a.log());
      const std::string log = a.log();
      const std::string last = log.substr(log.rfind("peer ignored"));
      CHECK_MESSAGE(contains(last, "key=" + c.name), last);
      CHECK_MESSAGE(contains(last, c.reason), c.value, last);
      CHECK_MESSAGE(data_plane(a) == before, c.name, c.value);
      etcd.ctl({"del", kSubnetKeys + c.name});
    }
    CHECK_MESSAGE(goes_on(etcd, a), a.log());
    CHECK(data_plane(a) == before);
    CHECK(a.running());
  }

  TEST_CASE(
      "of two records with one subnet, MAC or address one is a peer, and the other takes over when it goes") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(0), a.log());
    etcd.put(kSubnetKeys + "10.64.200.0-24", peer_value("172.30.0.90", "02:00:00:00:00:01"));
    etcd.put(kSubnetKeys + "10.64.200.0-25", peer_value("172.30.0.91", "02:00:00:00:00:02"));
    etcd.put(kSubnetKeys + "10.64.201.0-24", peer_value("172.30.0.92", "02:00:00:00:00:01"));
    CHECK(goes_on(etcd, a));
    CHECK(a.fdb() == "02:00:00:00:00:01 dst 172.30.0.90 self permanent\n");
    CHECK(count_lines(a.routes()) == 1);
    etcd.ctl({"del", kSubnetKeys + "10.64.200.0-24"});
    CHECK(wait_until(5s, [&] {
      return a.fdb() ==
             "02:00:00:00:00:01 dst 172.30.0.92 self permanent\n02:00:00:00:00:02 dst 172.30.0.91 self "
             "permanent\n";
    }));
    CHECK(contains(a.routes(), "10.64.200.0/25"));
    CHECK(contains(a.routes(), "10.64.201.0/24"));
    CHECK(count_lines(a.routes()) == 2);
  }

  TEST_CASE("compat 9.2: entries that somebody removed by hand hold nothing up when their peer goes") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    etcd.put(kSubnetKeys + kGoodPeer, peer_value("172.30.0.90", "02:00:00:00:00:01"));
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE(a.logs("ready"));
    shell(a.node(),
          "ip route del 10.64.100.0/24; ip neigh del 10.64.100.0 dev flannel.1; bridge fdb del "
          "02:00:00:00:00:01 dev flannel.1");
    etcd.ctl({"del", kSubnetKeys + kGoodPeer});
    etcd.put(kSubnetKeys + "10.64.101.0-24", peer_value("172.30.0.91", "02:00:00:00:00:02"));
    CHECK_MESSAGE(
        wait_until(2s, [&] { return a.fdb() == "02:00:00:00:00:02 dst 172.30.0.91 self permanent\n"; }),
        a.log());
    CHECK(count_lines(a.routes()) == 1);
    CHECK(count_lines(a.neighbours()) == 1);
  }

  TEST_CASE(
      "compat 9.17: an existing device with a wrong port, MTU or learning is put right and keeps its MAC") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    etcd.put(kSubnetKeys + kGoodPeer, peer_value("172.30.0.90", "02:00:00:00:00:01"));
    Machine a(etcd, 1);
    for (const char* device :
         {"dstport 4789 nolearning local 172.30.0.11", "dstport 8472 learning local 172.30.0.11",
          "dstport 8472 nolearning local 172.30.0.99",
          "dstport 8472 nolearning dev eth0 local 172.30.0.11"}) {
      a.node().ip(std::string("link add flannel.1 address 06:00:00:00:00:11 mtu 1400 type vxlan id 1 ") +
                  device);
      a.start();
      REQUIRE_MESSAGE(a.logs("ready"), device, a.log());
      CHECK(a.device("dstport") == "8472");
      CHECK(a.device("local") == "172.30.0.11");
      CHECK(a.device("mtu") == "1450");
      CHECK(a.device("link/ether") == "06:00:00:00:00:11");
      const std::string link = a.node().ip("-d link show flannel.1");
      CHECK_MESSAGE(contains(link, "nolearning"), device, link);
      CHECK(contains(link, "UP"));
      CHECK(count_lines(a.routes()) == 1);
      CHECK(contains(etcd.lease(lease_name(a.subnet())), "06:00:00:00:00:11"));
      CHECK(a.stop() == 0);
      a.node().ip("link del flannel.1");
    }
  }

  TEST_CASE("the keys of the vxlan backend are honoured") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(
        R"({"Network":"10.64.0.0/16","SubnetLen":26,"Backend":{"Type":"vxlan","VNI":42,"Port":4789,"MTU":1300,"Learning":true}})");
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    const std::string link = a.node().ip("-d link show flannel.42");
    for (const char* words : {" id 42 ", "dstport 4789", "mtu 1250", "local 172.30.0.11"})
      CHECK_MESSAGE(contains(link, words), link);
    CHECK_FALSE(contains(link, "nolearning"));
    CHECK(contains(file_text(a.subnet_file()), "/26\nFLANNEL_MTU=1250\n"));
    CHECK(contains(etcd.ctl({"get", "--prefix", kSubnetKeys}), R"("BackendData":{"VNI":42,)"));
  }

  TEST_CASE("compat 9.21: a public address that is not on this machine is published, and not sent from") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    a.start({"--iface=eth0", "--public-ip=203.0.113.7"});
    REQUIRE_MESSAGE(a.joined(0), a.log());
    CHECK(a.device("local") == "172.30.0.11");
    CHECK(contains(etcd.lease(lease_name(a.subnet())), R"({"PublicIP":"203.0.113.7",)"));
  }

  TEST_CASE(
      "compat 9.28: device, entries, rules, lease and subnet.env stay after SIGTERM, SIGINT and SIGKILL") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    etcd.put(kSubnetKeys + kGoodPeer, peer_value("172.30.0.90", "02:00:00:00:00:01"));
    Machine a(etcd, 1);
    std::string before;
    for (const int number : {15, 2, 9}) {
      a.start({"--ip-masq"});
      REQUIRE_MESSAGE(a.logs("ready"), a.log());
      // The kernel's own IPv6 address changes until it has looked for duplicates of it.
      REQUIRE(wait_until(5s, [&] { return !contains(a.node().ip("addr show flannel.1"), "tentative"); }));
      const auto all = [&] {
        return data_plane(a) + a.node().ip("-d link show flannel.1") + a.node().ip("addr show flannel.1") +
               shell(a.node(), "nft -a list ruleset") + file_text(a.subnet_file()) +
               etcd.ctl({"get", "--prefix", "/coreos.com"});
      };
      if (!before.empty()) CHECK(all() == before);
      before = all();
      a.agent().signal(number);
      CHECK(a.agent().wait(1s) == (number == 9 ? 137 : 0));
      CHECK(all() == before);
    }
  }
}
