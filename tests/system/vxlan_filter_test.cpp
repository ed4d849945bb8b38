// SPDX-License-Identifier: Apache-2.0
// VXLAN from peers only, on real packets: a stranger on the underlay does not reach a pod, peers do, whatever
// happens to the set.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/cluster.hpp"
#include "system/gateway.hpp"
#include "system/pings.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

#define NEEDS REQUIRE_MEANS(cluster_means(), means::program("nft"))

constexpr const char* kOption = "[node]\nvxlan-peers-only = true\n";

sockaddr_in endpoint(const std::string& address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  if (!address.empty()) inet_pton(AF_INET, address.c_str(), &out.sin_addr);
  return out;
}

/// VXLAN header (RFC 7348), Ethernet, IPv4 and UDP without a checksum around one byte.
std::string vxlan_packet(unsigned vni, const std::string& vtep_mac, const std::string& from,
                         const std::string& to, std::uint16_t port) {
  std::string packet = {
      8, 0, 0, 0, static_cast<char>(vni >> 16), static_cast<char>(vni >> 8), static_cast<char>(vni), 0};
  for (std::size_t i = 0; i < vtep_mac.size(); i += 3)
    packet += static_cast<char>(std::stoi(vtep_mac.substr(i, 2), nullptr, 16));
  packet += {2, 0x66, 0, 0, 0, 1, 8, 0};
  iphdr ip{};
  ip.version = 4;
  ip.ihl = 5;
  ip.tot_len = htons(sizeof ip + sizeof(udphdr) + 1);
  ip.ttl = 64;
  ip.protocol = IPPROTO_UDP;
  ip.saddr = endpoint(from, 0).sin_addr.s_addr;
  ip.daddr = endpoint(to, 0).sin_addr.s_addr;
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < sizeof ip; i += 2) {
    std::uint16_t word;
    std::memcpy(&word, reinterpret_cast<const char*>(&ip) + i, 2);
    sum += word;
  }
  ip.check = static_cast<std::uint16_t>(~(sum % 65535));
  udphdr udp{};
  udp.source = htons(4000);
  udp.dest = htons(port);
  udp.len = htons(sizeof udp + 1);
  packet.append(reinterpret_cast<const char*>(&ip), sizeof ip);
  packet.append(reinterpret_cast<const char*>(&udp), sizeof udp);
  return packet + 'x';
}

/// Two nodes with pods, the first one with these lines in its INI file; and a stranger who knows all but is
/// no peer.
struct Guarded {
  Etcd etcd;
  Machine a{etcd, 1}, b{etcd, 2};
  Machine stranger{etcd, 66};
  const std::vector<std::string> options;

  explicit Guarded(const std::string& ini = kOption) : options({"-c", "/etc/flannelette.ini"}) {
    etcd.configure(kVxlanConfig);
    a.add_etc("/etc/flannelette.ini", ini);
    a.start(options);
    b.start();
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE_MESSAGE(b.joined(1), b.log());
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    a.add_pod();
    b.add_pod();
  }
  /// Whether what it sends as the peer's pod reaches the pod.
  bool stranger_reaches_pod(unsigned vni = 1) {
    static std::uint16_t port = 21'000;
    ++port;
    const auto udp = [&](const Node& node, std::uint16_t at) {
      return node.inside([&] {
        const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        const sockaddr_in here = endpoint("", at);
        REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&here), sizeof here) == 0);
        return fd;
      });
    };
    const int receiver = udp(a.pod(), port), sender = udp(stranger.node(), 0);
    const std::string packet =
        vxlan_packet(vni, a.device("link/ether"), host_in(b.subnet(), 2), host_in(a.subnet(), 2), port);
    const sockaddr_in there = endpoint(a.address(), 8472);
    const bool reached = wait_until(1s, [&] {
      (void)sendto(sender, packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&there),
                   sizeof there);
      usleep(10'000);
      char byte;
      return recv(receiver, &byte, 1, 0) == 1;
    });
    close(receiver);
    close(sender);
    return reached;
  }
  /// The elements, as nft prints them.
  std::string set() const {
    const std::string shown = shell(a.node(), "nft list set ip flannelette peers 2>&1 || true");
    const auto at = shown.find("elements");
    return at == std::string::npos ? "" : shown.substr(at, shown.find('}', at) - at + 1);
  }
};

}  // namespace

TEST_SUITE("system/vxlan filter") {
  TEST_CASE(
      "a stranger who sends VXLAN as a peer reaches a pod by default, and not with vxlan-peers-only; peers "
      "do") {
    NEEDS;
    bool guarded = false;
    std::string ini = "[node]\n";
    SUBCASE("by default") {}
    SUBCASE("peers only") {
      guarded = true;
      ini = kOption;
    }
    Guarded g(ini);
    CHECK(g.stranger_reaches_pod() == !guarded);
    CHECK(pings(g.a.pod(), host_in(g.b.subnet(), 2)));
    CHECK(pings(g.b.pod(), host_in(g.a.subnet(), 2)));
    if (!guarded) return;
    CHECK(g.set() == "elements = { 0.0.0.0, 172.30.0.12 }");
    // Once it is a peer, its packets are let in; of one that left they are not.
    g.etcd.put(kSubnetKeys + "10.64.254.0-24", peer_value(g.stranger.address(), "02:00:00:00:00:66"));
    CHECK(wait_until(5s, [&] { return contains(g.set(), g.stranger.address()); }));
    CHECK(g.stranger_reaches_pod());
    g.etcd.ctl({"del", kSubnetKeys + "10.64.254.0-24"});
    CHECK(wait_until(5s, [&] { return !contains(g.set(), g.stranger.address()); }));
    CHECK_FALSE(g.stranger_reaches_pod());
    // A second overlay of this host that shares the port.
    shell(g.a.node(), "ip link add other type vxlan id 7 dstport 8472; ip link set other address " +
                          g.a.device("link/ether") + " up; sysctl -qw net.ipv4.conf.other.rp_filter=0");
    CHECK(g.stranger_reaches_pod(7));
  }

  TEST_CASE("peers join and leave, the set is damaged, and the node restarts: no ping is lost") {
    NEEDS;
    Guarded g;
    {
      const std::string pod_a = host_in(g.a.subnet(), 2), pod_b = host_in(g.b.subnet(), 2);
      REQUIRE(pings(g.a.pod(), pod_b));
      Pings there(g.a.pod(), pod_b), back(g.b.pod(), pod_a);
      constexpr int kFirst = 101, kLast = 120;
      const auto key = [](int peer) { return kSubnetKeys + "10.64." + std::to_string(peer) + ".0-24"; };
      for (int round = 0; round < 2; ++round) {
        for (int peer = kFirst; peer <= kLast; ++peer)
          g.etcd.put(key(peer), peer_value("172.30.0." + std::to_string(peer),
                                           "02:00:00:00:01:" + std::to_string(peer - 60)));
        CHECK(wait_until(5s, [&] { return contains(g.set(), "172.30.0.120"); }));
        for (int peer = kFirst; peer <= kLast; ++peer) g.etcd.ctl({"del", key(peer)});
        CHECK(wait_until(5s, [&] { return !contains(g.set(), "172.30.0.120"); }));
      }
      for (const std::string damage :
           {"nft flush set ip flannelette peers", "nft delete table ip flannelette", "nft flush ruleset",
            "nft flush chain ip flannelette input", "nft add element ip flannelette peers { 172.30.0.76 }",
            "nft delete element ip flannelette peers { 0.0.0.0 }"}) {
        CAPTURE(damage);
        const std::string before = overlay_of(g.a);
        const auto start = std::chrono::steady_clock::now();
        shell(g.a.node(), damage);
        CHECK(wait_until(5s, [&] { return overlay_of(g.a) == before; }));
        const auto took = std::chrono::steady_clock::now() - start;
        MESSAGE(damage, ": ", std::chrono::duration_cast<std::chrono::milliseconds>(took).count(), " ms");
      }
      const std::string handles =
          shell(g.a.node(), "nft -a list ruleset | sed 's/ counter packets.* bytes [0-9]*//'");
      CHECK(g.a.stop() == 0);
      g.a.start(g.options);
      REQUIRE(g.a.logs("ready"));
      CHECK(shell(g.a.node(), "nft -a list ruleset | sed 's/ counter packets.* bytes [0-9]*//'") == handles);
      CHECK_FALSE(contains(g.a.log(), "traffic rules installed"));
      for (Pings* one : {&there, &back}) {
        const std::string told = one->end();
        MESSAGE(told.substr(0, told.find('\n')));
        CHECK_MESSAGE(one->lost() == 0, told, g.a.log());
      }
    }
    CHECK_FALSE(g.stranger_reaches_pod());
    // An address that is taken out cuts its peer off until it is back.
    shell(g.a.node(), "nft delete element ip flannelette peers { 172.30.0.12 }");
    CHECK(wait_until(5s, [&] { return g.set() == "elements = { 0.0.0.0, 172.30.0.12 }"; }));
    CHECK(g.a.logs("entry=sender address=172.30.0.12 program=nft"));
  }

  TEST_CASE("ten thousand peers: all of them are in the set, and one that is taken out is back at once") {
    NEEDS;
    Etcd etcd;
    etcd.configure(kCrowdConfig);
    {
      Gateway gateway(etcd);
      put_peers(gateway, 1, 10'000);
    }
    Machine a(etcd, 1);
    a.add_etc("/etc/flannelette.ini", kOption);
    a.start({"-c", "/etc/flannelette.ini"});
    REQUIRE_MESSAGE(a.joined(10'000), a.log());
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    const auto count = [&] {
      return std::stoi(
          shell(a.node(), "nft list set ip flannelette peers | grep -o '[0-9.]*\\.[0-9]*' | wc -l"));
    };
    CHECK(count() == 10'001);
    const long before = a.memory_kib("VmHWM");
    std::vector<long> took;
    for (int peer = 1; peer <= 5; ++peer) {
      const std::string element = " element ip flannelette peers { 172.31.0." + std::to_string(peer) + " }";
      shell(a.node(), "nft delete" + element);
      const auto start = std::chrono::steady_clock::now();
      REQUIRE(wait_until(5s, [&] {
        return run({.args = {"sh", "-c", "nft get" + element}, .netns = a.node().name()}).status == 0;
      }));
      took.push_back(
          std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start)
              .count());
    }
    std::sort(took.begin(), took.end());
    MESSAGE("back after ", took[2], " ms, at most ", took[4], "; memory at most ", before, " KiB");
    CHECK(a.stop() == 0);
    a.start({"-c", "/etc/flannelette.ini"});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK(count() == 10'001);
    CHECK_FALSE(contains(a.log(), "traffic rules"));
  }
}
