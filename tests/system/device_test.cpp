// SPDX-License-Identifier: Apache-2.0
// What others do to our device, what is in its way, and what an earlier config left: with a real kernel, a
// hundred peers and pods that ping each other.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "kernel/offload.hpp"
#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/cluster.hpp"
#include "system/gateway.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

/// A device is right again that soon, with all entries of a hundred peers (median of kTimes).
constexpr milliseconds kSoon = 300ms;
constexpr int kTimes = 5;
constexpr int kPeers = 99;  // and one more node
/// While its name, VNI or port is taken it is tried every 5 s.
constexpr milliseconds kTaken = 8s;

/// Two nodes with pods, and peers that are only records.
struct Damaged {
  Etcd etcd;
  Machine a{etcd, 1}, b{etcd, 2};
  std::string pod;

  const std::vector<std::string> options;

  explicit Damaged(const std::vector<std::string>& any_options = {}) : options(any_options) {
    etcd.configure(kCrowdConfig);
    {
      Gateway gateway(etcd);
      put_peers(gateway, 1, kPeers);
    }
    a.start(options);
    b.start();
    REQUIRE_MESSAGE(a.joined(kPeers + 1), a.log());
    REQUIRE_MESSAGE(b.joined(kPeers + 1), b.log());
    pod = b.add_pod();
    a.add_pod();
    REQUIRE(pings(a.pod(), pod));
  }

  /// The device and all that is on it, less its index.
  std::string state() const {
    return run({.args =
                    {"sh", "-c",
                     "ip -d link show flannel.1 | sed 's/^[0-9]*: //'; ip -4 addr show dev flannel.1 | "
                     "grep inet; ip route show dev flannel.1; ip neigh show dev flannel.1 nud permanent | "
                     "sort; bridge fdb show dev flannel.1 | sort"},
                .netns = a.node().name()})
        .output;
  }
  std::string index() const { return shell(a.node(), "ip -o link show flannel.1 | cut -d: -f1"); }
  /// Before the agent notices.
  void at_once(const std::string& damage) {
    a.agent().signal(SIGSTOP);
    shell(a.node(), damage);
    a.agent().signal(SIGCONT);
  }
  bool becomes(const std::string& before, milliseconds limit) const {
    std::string now;
    const bool right = wait_until(limit, [&] { return (now = state()) == before; });
    CHECK_MESSAGE(right, before, "became\n", now, a.log());
    return right;
  }
  /// How long it takes until all is as it was, the median of several times. By an agent that has not repaired
  /// anything yet: after ten times it would leave the device to the other program for a minute.
  milliseconds repaired_after(const std::string& damage, int times = kTimes) {
    std::vector<milliseconds> took;
    CHECK(a.stop() == 0);
    a.start(options);
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    const std::string before = state();
    for (int i = 0; i < times; ++i) {
      shell(a.node(), damage);
      const auto start = std::chrono::steady_clock::now();
      INFO(damage);
      REQUIRE(becomes(before, 5s));
      took.push_back(std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start));
      CHECK(pings(a.pod(), pod));
    }
    std::sort(took.begin(), took.end());
    const milliseconds median = took[took.size() / 2];
    MESSAGE(damage, ": repaired after ", median.count(), " ms (", took.front().count(), " to ",
            took.back().count(), ")");
    return median;
  }
};

}  // namespace

TEST_SUITE("system/device") {
  TEST_CASE("deleted: recreated with its MAC and all entries") {
    REQUIRE_MEANS(cluster_means());
    Damaged d;
    CHECK(d.repaired_after("ip link delete flannel.1") < kSoon);
    CHECK(d.a.logs("device created", kTimes));
  }

  TEST_CASE(
      "renamed, put into a bridge, set down, MAC, MTU or local changed, a foreign address or route: put "
      "right in "
      "place") {
    REQUIRE_MEANS(cluster_means());
    Damaged d;
    const std::string index = d.index();
    d.a.node().ip("link add br9 type bridge");
    CHECK(d.repaired_after("ip link set flannel.1 name wan0 || "
                           "{ ip link set flannel.1 down; ip link set flannel.1 name wan0; }") < kSoon);
    CHECK(d.repaired_after("ip link set flannel.1 master br9") < kSoon);
    CHECK(d.repaired_after("ip link set flannel.1 down") < kSoon);
    CHECK(d.repaired_after("ip link set flannel.1 down; ip link set flannel.1 up") < kSoon);
    CHECK(d.repaired_after("ip link set flannel.1 address 02:de:ad:be:ef:01") < kSoon);
    CHECK(d.repaired_after("ip link set flannel.1 mtu 1300") < kSoon);
    CHECK(d.repaired_after("ip link set flannel.1 type vxlan id 1 local 172.30.0.99") < kSoon);
    CHECK(d.repaired_after("ip addr add 10.200.0.9/16 dev flannel.1") < kSoon);
    CHECK(d.repaired_after("ip route add 10.201.0.0/24 dev flannel.1") < kSoon);
    CHECK(d.repaired_after("ip route add default dev flannel.1 metric 9999") < kSoon);
    CHECK(d.index() == index);
  }

  TEST_CASE(
      "forwarding switched off, or rp_filter made strict, on the device or on all links: set again on the "
      "device alone") {
    REQUIRE_MEANS(cluster_means());
    Damaged d;
    const auto settings = [&](const std::string& links) {
      return shell(d.a.node(), "cd /proc/sys/net/ipv4/conf; grep . " + links);
    };
    const std::string mine = "flannel.1/forwarding flannel.1/rp_filter";
    const auto repaired = [&](const std::string& damage, const std::string& rp_filter) {
      const auto start = std::chrono::steady_clock::now();
      shell(d.a.node(), "cd /proc/sys/net/ipv4; " + damage);
      const std::string others = settings("*/* | grep -v ^flannel");
      CHECK_MESSAGE(wait_until(2s,
                               [&] {
                                 return settings(mine) ==
                                        "flannel.1/forwarding:1\nflannel.1/rp_filter:" + rp_filter + "\n";
                               }),
                    damage, settings(mine), d.a.log());
      MESSAGE(damage, ": ",
              std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start).count(),
              " ms");
      CHECK(settings("*/* | grep -v ^flannel") == others);
    };
    repaired("echo 0 > conf/flannel.1/forwarding", "0");
    repaired("echo 1 > conf/all/rp_filter", "2");
    repaired("echo 1 > conf/flannel.1/rp_filter", "2");
    repaired("echo 0 > ip_forward", "2");
    repaired("echo 0 > conf/all/rp_filter; echo 1 > conf/flannel.1/rp_filter", "2");
    CHECK(d.a.logs("net.ipv4.ip_forward is 0"));
    shell(d.a.node(), "echo 1 > /proc/sys/net/ipv4/ip_forward");
    CHECK(pings(d.a.pod(), d.pod));
  }

  TEST_CASE("a link of another kind takes its name: that goes") {
    REQUIRE_MEANS(cluster_means());
    Damaged d;
    const std::string before = d.state();
    d.at_once(
        "ip link set flannel.1 down; ip link set flannel.1 name wan0; ip link add flannel.1 type bridge");
    CHECK(d.becomes(before, 2s));
    CHECK(pings(d.a.pod(), d.pod));
  }

  TEST_CASE("moved to another network namespace: reported, and recreated when the kernel lets it") {
    REQUIRE_MEANS(cluster_means());
    const Damaged d;
    const Node other("elsewhere");
    const std::string before = d.state();
    d.a.node().ip("link set flannel.1 netns elsewhere");
    REQUIRE(d.a.logs("held_by=\"a device moved to another network namespace\""));
    other.ip("link delete flannel.1");
    CHECK(d.becomes(before, kTaken));
    CHECK(pings(d.a.pod(), d.pod));
  }

  TEST_CASE("another device takes its VNI, or its port: named, and ours is there when that goes") {
    REQUIRE_MEANS(cluster_means());
    Damaged d;
    const std::string before = d.state();
    d.at_once("ip link delete flannel.1; ip link add mine type vxlan id 1 dstport 8472");
    CHECK(d.a.logs("held_by=\"device mine\""));
    d.a.node().ip("link delete mine");
    CHECK(d.becomes(before, kTaken));
    d.at_once(
        "ip link delete flannel.1; ip link add other type vxlan external dstport 8472; ip link set other up");
    CHECK(d.a.logs("held_by=\"device other\""));
    d.a.node().ip("link delete other");
    CHECK(d.becomes(before, kTaken));
    CHECK(pings(d.a.pod(), d.pod));
  }

  TEST_CASE("a socket takes its port: its user and inode are named, and the device is up when that goes") {
    REQUIRE_MEANS(cluster_means(), means::program("python3"));
    Damaged d;
    const std::string before = d.state();
    CHECK(d.a.stop() == 0);
    d.a.node().ip("link set flannel.1 down");
    {
      const Process holder(
          {.args = {"python3", "-c",
                    "import os,socket,time; s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                    "s.bind(('', 8472)); print('inode', os.fstat(s.fileno()).st_ino, flush=True); "
                    "time.sleep(600)"},
           .netns = d.a.node().name()});
      REQUIRE(wait_until(10s, [&] { return contains(holder.output(), "\n"); }));
      const std::string text = holder.output();
      d.a.start();
      CHECK(d.a.logs("held_by=\"socket of uid 0, " + text.substr(0, text.find('\n')) + "\""));
    }
    CHECK(d.becomes(before, kTaken));
    CHECK(pings(d.a.pod(), d.pod));
  }

  TEST_CASE("tx-checksum off: set when the device is made, and again when it is recreated") {
    REQUIRE_MEANS(cluster_means());
    const TempDir files;
    write_file(files.file("off.ini"), "[node]\ntx-checksum = off\n");
    const Damaged d({"--config=" + files.file("off.ini")});
    const auto is_off = [&] {
      const auto changed =
          d.a.node().inside([] { return flannelette::kernel::set_tx_checksum("flannel.1", false); });
      return changed && !*changed;
    };
    CHECK(is_off());
    const std::string before = d.state();
    d.a.node().ip("link delete flannel.1");
    CHECK(d.becomes(before, 5s));
    CHECK(is_off());
    (void)d.a.node().inside([] { return flannelette::kernel::set_tx_checksum("flannel.1", true); });
    CHECK(d.a.logs("checksum offload set", 3));
    CHECK(is_off());
    CHECK(pings(d.a.pod(), d.pod));
  }

  TEST_CASE(
      "a device bound to its NIC is used; it goes with that, and is recreated unbound, its MAC the same") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1), b(etcd, 2);
    a.node().ip(
        "link add flannel.1 address 02:00:00:00:77:77 type vxlan id 1 dev eth0 local 172.30.0.11 dstport "
        "8472 "
        "nolearning");
    const std::string made = a.node().ip("-o link show flannel.1");
    a.start();
    b.start();
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE_MESSAGE(b.joined(1), b.log());
    a.add_pod();
    const std::string pod = b.add_pod();
    CHECK(pings(a.pod(), pod));
    CHECK(a.node().ip("-o link show flannel.1").substr(0, 3) == made.substr(0, 3));
    CHECK(a.device("dev") == "eth0");
    CHECK_FALSE(contains(a.log(), "recreating"));
    a.node().ip("link set eth0 mtu 1400");
    CHECK(wait_until(2s, [&] { return a.device("mtu") == "1350"; }));
    etcd.node().ip("link delete p1");
    CHECK(wait_until(2s, [&] { return a.joined(1) && a.device("dev") != "eth0"; }));
    connect_to_bridge(etcd.node(), "br0", "p1", a.node(), "eth0");
    a.node().ip("addr add 172.30.0.11/24 dev eth0");
    a.node().ip("route add default via 172.30.0.1");
    CHECK(pings(a.pod(), pod));
    CHECK(a.device("link/ether") == "02:00:00:00:77:77");
  }

  TEST_CASE("VNI and port of the config change: after a restart nothing of the old device is left") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    etcd.put(kSubnetKeys + "10.64.101.0-24", peer_value("172.30.0.101", "02:00:00:00:01:01"));
    Machine a(etcd, 1);
    a.start({"--ip-masq"});
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE(a.logs("ready"));
    const std::string mac = a.device("link/ether"), subnet = a.subnet();
    a.node().ip("link add flannel.5 type vxlan id 5 dstport 8479");  // another network's
    for (const bool remembers : {true, false}) {
      CAPTURE(remembers);
      const std::string vni = remembers ? "7" : "9", before = remembers ? "flannel.1" : "flannel.7";
      CHECK(a.stop() == 0);
      if (!remembers) shell(a.node(), "rm -r " + a.state_dir());
      etcd.configure(
          R"({"Network":"10.64.0.0/16","SubnetMin":"10.64.30.0","SubnetMax":"10.64.90.0","Backend":{"Type":"vxlan","Port":4789,"VNI":)" +
          vni + "}}");
      etcd.put(kSubnetKeys + "10.64.101.0-24",
               R"({"PublicIP":"172.30.0.101","BackendType":"vxlan","BackendData":{"VNI":)" + vni +
                   R"(,"VtepMAC":"02:00:00:00:01:01"}})");
      a.start({"--ip-masq"});
      REQUIRE(a.logs("ready"));
      CHECK(wait_until(5s, [&] { return !contains(a.node().ip("-o link show"), before); }));
      const std::string device = a.node().ip("-d link show flannel." + vni);
      CHECK(contains(device, mac));
      CHECK(contains(device, "dstport 4789"));
      CHECK(a.subnet() == subnet);
      CHECK(wait_until(2s, [&] { return count_lines(a.node().ip("nexthop show")) == 1; }));
      CHECK_MESSAGE(count_lines(a.node().ip("route show proto 70")) == 1, a.node().ip("route"),
                    a.node().ip("neigh"), a.log());
      CHECK(contains(a.node().ip("-o link show"), "flannel.5"));
      const std::string tables = shell(a.node(), "nft list tables");
      CHECK(tables == "table ip flannelette-" + vni + "\n");
    }
  }
}
