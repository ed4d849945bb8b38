// SPDX-License-Identifier: Apache-2.0
// The underlay of a node fails, comes back, is made anew and gets other addresses, while its pod pings
// another node's every ten milliseconds and keeps a TCP connection.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <sstream>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/cluster.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

/// A ping every ten milliseconds from its beginning to its end, and how long it went unanswered.
class Pings {
 public:
  Pings(const Node& from, const std::string& to)
      : ping_({.args = {"ping", "-D", "-n", "-i", "0.01", to},
               .netns = from.name(),
               .output_file = files_.file("pings")}) {}
  /// The longest time without an answer so far, in milliseconds.
  int outage() const {
    double last = 0, longest = 0;
    std::istringstream in(file_text(files_.file("pings")));
    for (std::string line; std::getline(in, line);) {
      if (line[0] != '[' || !contains(line, " bytes from ")) continue;
      const double at = std::strtod(line.c_str() + 1, nullptr);
      if (last > 0) longest = std::max(longest, at - last);
      last = at;
    }
    return last > 0 ? static_cast<int>(longest * 1000) : 1'000'000;
  }
  int answers() const { return count_of(file_text(files_.file("pings")), " bytes from "); }
  /// Pings are answered again.
  bool go_on() const {
    const int before = answers();
    return wait_until(10s, [&] { return answers() > before + 20; });
  }

 private:
  TempDir files_;
  Process ping_;
};

/// A TCP connection between two pods.
class Connection {
 public:
  Connection(const Node& from, const Node& to, const std::string& address) {
    const auto tcp = [] { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); };
    const int listener = to.inside(tcp);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(7777);
    inet_pton(AF_INET, address.c_str(), &at.sin_addr);
    const auto* name = reinterpret_cast<const sockaddr*>(&at);
    REQUIRE(bind(listener, name, sizeof at) == 0);
    REQUIRE(listen(listener, 1) == 0);
    client_ = from.inside(tcp);
    const timeval limit{5, 0};
    setsockopt(client_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    REQUIRE(connect(client_, name, sizeof at) == 0);
    server_ = accept(listener, nullptr, nullptr);
    setsockopt(server_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    close(listener);
  }
  ~Connection() {
    close(client_);
    close(server_);
  }
  bool carries() const {
    char byte = 'x';
    return send(client_, &byte, 1, 0) == 1 && recv(server_, &byte, 1, 0) == 1;
  }

 private:
  int client_, server_;
};

constexpr const char* kEthernet = "192.168.7.2";
constexpr const char* kLte = "100.64.0.9";

/// Node a behind two routers, which lead to etcd and node b: eth0 and wwan0, as DHCP and a modem set them up.
struct Edge {
  Etcd etcd;
  Machine a{etcd, 1}, b{etcd, 2};
  std::string pod_a, pod_b, before;

  explicit Edge(std::vector<std::string> settings, bool lte = true) {
    etcd.configure(kVxlanConfig);
    shell(etcd.node(),
          "echo 1 > /proc/sys/net/ipv4/ip_forward; for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > "
          "$f; done");
    shell(a.node(), "echo 1 > /proc/sys/net/ipv4/conf/all/ignore_routes_with_linkdown");
    etcd.node().ip("link set p1 nomaster");
    etcd.node().ip("addr add 192.168.7.1/24 dev p1");
    a.node().ip("addr flush dev eth0");
    ethernet(kEthernet);
    if (lte) modem("wwan0", kLte);
    a.start(std::move(settings));
    b.start();
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE_MESSAGE(b.joined(1), b.log());
    pod_a = a.add_pod();
    pod_b = b.add_pod();
    REQUIRE(pings(a.pod(), pod_b));
    before = identity();
  }
  /// DHCP on eth0 gave this address.
  void ethernet(const std::string& address) const {
    a.node().ip("addr replace " + address + "/24 dev eth0");
    a.node().ip("route replace default via 192.168.7.1 dev eth0 metric 100");
  }
  /// A modem appears as this link, and is given this address.
  void modem(const std::string& name, const std::string& address) const {
    connect(etcd.node(), "lte", a.node(), name);
    etcd.node().ip("addr add 100.64.0.10/24 dev lte");
    a.node().ip("addr add " + address + "/24 dev " + name);
    a.node().ip("route add default via 100.64.0.10 dev " + name + " metric 700");
  }
  void unplug() const { etcd.node().ip("link set p1 down"); }
  void plug() const { etcd.node().ip("link set p1 up"); }
  std::string identity() const { return a.subnet() + " " + a.device("link/ether"); }
  bool follows(const std::string& address) const {
    return wait_until(10s, [&] {
      return a.device("local") == address &&
             contains(etcd.lease(lease_name(a.subnet())), '"' + address + '"');
    });
  }
  void unchanged() const { CHECK(identity() == before); }
};

const std::vector<std::string> kBoth = {"--iface=eth0", "--iface=wwan0"};

/// In milliseconds, on a busy machine; it is a tenth of that on another, and each test prints what it was.
/// What nothing but a timer mends takes a minute.
constexpr int kOutage = 5'000;

}  // namespace

TEST_SUITE("system/failover") {
  TEST_CASE("Ethernet -> LTE -> Ethernet: subnet, MAC and the pods' connections stay") {
    REQUIRE_MEANS(cluster_means());
    Edge e(kBoth);
    e.a.stop();
    e.a.add_etc("/etc/flannelette.ini", "[node]\ninterface = eth0\ninterface = wwan0\nfailback-delay = 2s\n");
    e.a.start();
    REQUIRE_MESSAGE(e.a.logs("lease held"), e.a.log());
    const Connection connection(e.a.pod(), e.b.pod(), e.pod_b);
    const auto lose = [&](auto loss, const std::string& address) {
      const Pings ping(e.a.pod(), e.pod_b);
      REQUIRE(ping.go_on());
      loss();
      CHECK_MESSAGE(e.follows(address), e.a.log());
      REQUIRE(ping.go_on());
      MESSAGE("to ", address, ": ", ping.outage(), " ms");
      CHECK(ping.outage() < kOutage);
      CHECK(connection.carries());
      e.unchanged();
    };
    lose([&] { e.unplug(); }, kLte);
    CHECK(e.a.device("mtu") == "1450");
    lose([&] { e.plug(); }, kEthernet);
    lose([&] { e.a.node().ip("link set eth0 down"); }, kLte);
    lose(
        [&] {
          e.a.node().ip("link set eth0 up");
          e.ethernet(kEthernet);
        },
        kEthernet);
    for (int i = 0; i < 3; ++i) {
      lose([&] { e.a.node().ip("addr flush dev eth0"); }, kLte);
      lose([&] { e.ethernet(kEthernet); }, kEthernet);
    }
  }

  TEST_CASE("the default route changes: the one of the lowest metric is followed at once, both ways") {
    REQUIRE_MEANS(cluster_means());
    Edge e({});
    const Pings ping(e.a.pod(), e.pod_b);
    REQUIRE(ping.go_on());
    e.a.node().ip("route del default dev eth0");
    CHECK_MESSAGE(e.follows(kLte), e.a.log());
    REQUIRE(ping.go_on());
    e.a.node().ip("route add default via 192.168.7.1 dev eth0 metric 100");
    CHECK_MESSAGE(e.follows(kEthernet), e.a.log());
    REQUIRE(ping.go_on());
    MESSAGE("default route: ", ping.outage(), " ms");
    CHECK(ping.outage() < kOutage);
    e.unchanged();
  }

  TEST_CASE("a modem goes and comes back as another link, with another address or the same one") {
    REQUIRE_MEANS(cluster_means());
    std::string address = kLte;
    std::string name = "wwan0";
    std::vector<std::string> settings = {"--iface=wwan0"};
    SUBCASE("by name, the same address") {}
    SUBCASE("by name") { address = "100.64.0.77"; }
    SUBCASE("under another name, by a regular expression") {
      address = "100.64.0.77", name = "usb1", settings = {"--iface-regex=^(wwan|usb)[0-9]$"};
    }
    Edge e(settings);
    e.a.node().ip("route del default dev eth0");
    const Pings ping(e.a.pod(), e.pod_b);
    REQUIRE(ping.go_on());
    e.a.node().ip("link delete wwan0");
    REQUIRE_MESSAGE(e.a.logs("the interface is gone"), e.a.log());
    e.modem(name, address);
    const auto there = std::chrono::steady_clock::now();
    REQUIRE(ping.go_on());
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - there);
    MESSAGE(name, " ", address, ": ", took.count(), " ms");
    CHECK(e.follows(address));
    e.unchanged();
  }

  TEST_CASE(
      "DHCP renews with another address: it is published within a second; the address may go for long") {
    REQUIRE_MEANS(cluster_means());
    Edge e({}, false);
    const Pings ping(e.a.pod(), e.pod_b);
    REQUIRE(ping.go_on());
    e.a.node().ip("addr flush dev eth0");
    e.ethernet("192.168.7.99");
    CHECK_MESSAGE(e.follows("192.168.7.99"), e.a.log());
    REQUIRE(ping.go_on());
    MESSAGE("another address: ", ping.outage(), " ms");
    CHECK(ping.outage() < kOutage);
    e.unchanged();
    e.a.node().ip("addr flush dev eth0");
    REQUIRE(e.a.logs("the interface is gone"));
    e.ethernet("192.168.7.99");
    REQUIRE(ping.go_on());
    e.unchanged();
  }

  TEST_CASE("MTU of the link, then of the default route: device and subnet.env follow") {
    REQUIRE_MEANS(cluster_means());
    Edge e({}, false);
    const auto follows = [&](const std::string& mtu) {
      return wait_until(5s, [&] {
        return e.a.device("mtu") == mtu && contains(file_text(e.a.subnet_file()), "FLANNEL_MTU=" + mtu);
      });
    };
    e.a.node().ip("link set eth0 mtu 1400");
    CHECK_MESSAGE(follows("1350"), e.a.log());
    e.a.node().ip("route replace default via 192.168.7.1 dev eth0 metric 100 mtu 1300");
    CHECK_MESSAGE(follows("1250"), e.a.log());
    e.a.node().ip("link set eth0 mtu 1500");
    e.a.node().ip("route replace default via 192.168.7.1 dev eth0 metric 100");
    CHECK_MESSAGE(follows("1450"), e.a.log());
  }

  TEST_CASE("a node behind a port forward publishes the address that a file has") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    write_file(a.file("/run/public-ip"), "198.51.100.7\n");
    a.start({"--public-ip-file=/run/public-ip"});
    REQUIRE_MESSAGE(a.joined(0), a.log());
    CHECK(contains(etcd.lease(lease_name(a.subnet())), "\"198.51.100.7\""));
    CHECK(a.device("local") == a.address());
    CHECK(count_of(a.log(), "the public IP is no address of this machine") == 1);
    write_file(a.file("/run/public-ip"), "<html>\n");
    a.node().ip("link set eth0 mtu 1490");  // it is read when anything changes
    REQUIRE_MESSAGE(a.logs("not_a_host_address=<html>"), a.log());
    write_file(a.file("/run/public-ip"), "198.51.100.8\n");
    a.node().ip("link set eth0 mtu 1500");
    CHECK_MESSAGE(
        wait_until(5s, [&] { return contains(etcd.lease(lease_name(a.subnet())), "198.51.100.8"); }),
        a.log());
  }
}
