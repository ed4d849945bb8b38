// SPDX-License-Identifier: Apache-2.0
// --ip-masq on real packets: who is seen as the sender on each path, what is said about other people's
// firewalls, and that nothing but our table is touched.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/cluster.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

sockaddr_in endpoint(const std::string& address, int port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<std::uint16_t>(port));
  if (!address.empty()) inet_pton(AF_INET, address.c_str(), &out.sin_addr);
  return out;
}

int udp_socket(const Node& node, const std::string& address, int port) {
  return node.inside([&] {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const sockaddr_in here = endpoint(address, port);
    REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&here), sizeof here) == 0);
    return fd;
  });
}

/// The sender's address that `to` sees of a datagram that `from` sends to `address`, which is on `to` or a
/// group that it listens to on br0; empty if none arrives. Each call has a port of its own, and so a
/// connection of its own to be translated.
std::string source_seen(const Node& from, const Node& to, const std::string& address,
                        const std::string& bind_to = "") {
  static int port = 20'000;
  ++port;
  const int receiver = udp_socket(to, "", port);
  const int sender = udp_socket(from, bind_to, 0);
  const sockaddr_in there = endpoint(address, port);
  if (address.rfind("239.", 0) == 0) {
    to.inside([&] {
      const ip_mreq group{there.sin_addr, endpoint("172.30.0.1", 0).sin_addr};
      REQUIRE(setsockopt(receiver, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) == 0);
    });
    from.inside([&] {
      const ip_mreqn out{there.sin_addr, {}, static_cast<int>(if_nametoindex("eth0"))};
      REQUIRE(setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof out) == 0);
    });
  }
  std::string seen;
  (void)wait_until(4s, [&] {
    (void)sendto(sender, "x", 1, 0, reinterpret_cast<const sockaddr*>(&there), sizeof there);
    usleep(20'000);
    char byte;
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (recvfrom(receiver, &byte, 1, 0, reinterpret_cast<sockaddr*>(&peer), &size) != 1) return false;
    char text[INET_ADDRSTRLEN];
    seen = inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text);
    return true;
  });
  close(receiver);
  close(sender);
  return seen;
}

std::string nft(const Machine& machine, const std::string& arguments) {
  return shell(machine.node(), "nft " + arguments);
}

/// What stands behind `fix=` in the first line that has it after `text`; unquoted.
std::string fix_after(const std::string& log, const std::string& text) {
  const auto at = log.find("fix=\"", log.find(text));
  if (at == std::string::npos) return "";
  std::string fix;
  for (auto i = at + 5; i < log.size() && log[i] != '"'; ++i) {
    if (log[i] == '\\') ++i;
    fix += log[i];
  }
  return fix;
}

/// Two nodes with pods and --ip-masq, and an underlay host (the etcd machine) that knows no way back to pods.
struct Pods {
  Pods() {
    etcd.configure(kVxlanConfig);
    shell(etcd.node(), "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done");
    a.start({"--ip-masq"});
    REQUIRE_MESSAGE(a.joined(0), a.log());
    b.start({"--ip-masq"});
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE_MESSAGE(b.joined(1), b.log());
    REQUIRE(a.logs("ready"));
    REQUIRE(b.logs("ready"));
    pod_a = a.add_pod();
    pod_b = b.add_pod();
  }
  Etcd etcd;
  Machine a{etcd, 1};
  Machine b{etcd, 2};
  std::string pod_a;
  std::string pod_b;
};

/// The MSS that a listener on `to`, at `address`, may send with to a client on `from`; 0: no connection.
int mss_allowed(const Node& from, const Node& to, const std::string& address) {
  static int port = 30'000;
  const sockaddr_in there = endpoint(address, ++port);
  const auto tcp = [](const Node& node) {
    return node.inside([] { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); });
  };
  const int listener = tcp(to), client = tcp(from);
  REQUIRE(bind(listener, reinterpret_cast<const sockaddr*>(&there), sizeof there) == 0);
  REQUIRE(listen(listener, 1) == 0);
  (void)connect(client, reinterpret_cast<const sockaddr*>(&there), sizeof there);
  int accepted = -1, mss = 0;
  (void)wait_until(5s, [&] { return (accepted = accept(listener, nullptr, nullptr)) >= 0; });
  socklen_t size = sizeof mss;
  (void)getsockopt(accepted, IPPROTO_TCP, TCP_MAXSEG, &mss, &size);
  for (const int fd : {listener, client, accepted}) close(fd);
  return mss;
}

}  // namespace

TEST_SUITE("system/rules") {
  TEST_CASE("compat 4.1 and 9.22: every path is masqueraded exactly where flanneld's iptables rules do it") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Pods pods;
    auto& [etcd, a, b, pod_a, pod_b] = pods;
    const std::string n = "10.64.0.0/16";
    const std::string& p = a.subnet();
    CHECK(nft(a, "list table ip flannelette") ==
          "table ip flannelette {\n"
          "\tchain postrouting {\n"
          "\t\ttype nat hook postrouting priority srcnat; policy accept;\n"
          "\t\tmeta mark & 0x00004000 == 0x00004000 return\n"
          "\t\tip saddr " +
              p + " ip daddr " + n +
              " return\n"
              "\t\tip saddr " +
              n + " ip daddr " + p +
              " return\n"
              "\t\tip saddr != " +
              n + " ip daddr " + p +
              " return\n"
              "\t\tip saddr " +
              n +
              " ip daddr != 224.0.0.0/4 masquerade fully-random\n"
              "\t\tip saddr != " +
              n + " ip daddr " + n +
              " masquerade fully-random\n"
              "\t}\n\n"
              "\tchain forward {\n"
              "\t\ttype filter hook forward priority filter; policy accept;\n"
              "\t\tip saddr " +
              n +
              " accept\n"
              "\t\tip daddr " +
              n +
              " accept\n"
              "\t}\n}\n");
    const std::string gateway = host_in(p, 1);

    CHECK(source_seen(a.pod(), b.pod(), pod_b) == pod_a);                   // P -> N: returned
    CHECK(source_seen(a.pod(), etcd.node(), "172.30.0.1") == a.address());  // N -> outside
    CHECK(pings(a.pod(), "172.30.0.1"));                                    // and the answers come back
    CHECK(source_seen(a.node(), etcd.node(), "172.30.0.1", gateway) ==
          a.address());                                                          // from the node itself too
    CHECK(source_seen(a.node(), etcd.node(), "239.1.2.3", gateway) == gateway);  // N -> multicast: not
    CHECK(source_seen(a.node(), b.pod(), pod_b, a.address()) == host_in(p, 0));  // !N -> N (9.22)
    CHECK(source_seen(a.node(), b.pod(), pod_b) == host_in(p, 0));

    etcd.node().ip("route add " + p + " via " + a.address());
    CHECK(source_seen(etcd.node(), a.pod(), pod_a) == "172.30.0.1");  // !N -> P: returned
    etcd.node().ip("route add " + b.subnet() + " via " + a.address());
    CHECK(source_seen(etcd.node(), b.pod(), pod_b) == host_in(p, 0));  // !N -> N through another node

    for (const char* mark : {"0x4000", "0x4001", "0xc000"}) {  // marked by somebody else's rule
      shell(a.node(),
            "nft 'table ip other { chain c { type filter hook prerouting priority 0; meta mark set " +
                std::string(mark) + "; }; }'");
      CHECK_MESSAGE(source_seen(a.pod(), etcd.node(), "172.30.0.1") == pod_a, mark);
      nft(a, "delete table ip other");
    }
    shell(a.node(),
          "nft 'table ip other { chain c { type filter hook prerouting priority 0; meta mark set 0x2000; }; "
          "}'");
    CHECK(source_seen(a.pod(), etcd.node(), "172.30.0.1") == a.address());
  }

  TEST_CASE(
      "foreign tables stay as they are, a second start writes nothing, and without --ip-masq our table "
      "goes") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    shell(
        a.node(),
        "nft 'table ip nat { chain POSTROUTING { type nat hook postrouting priority 100; ip saddr 10.0.0.0/8 "
        "counter accept; }; }';"
        "nft 'table inet flannelette { chain forward { type filter hook forward priority 0; counter; }; }'");
    const std::string foreign = nft(a, "-a list ruleset");
    a.start({"--ip-masq"});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    const std::string all = nft(a, "-a list ruleset");
    CHECK(all.rfind(foreign, 0) == 0);
    CHECK(contains(all, "table ip flannelette {"));
    CHECK(contains(file_text(a.subnet_file()), "FLANNEL_IPMASQ=true"));
    CHECK(a.stop() == 0);
    CHECK(nft(a, "-a list ruleset") == all);  // compat 9.28: wanted

    a.start({"--ip-masq"});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK(nft(a, "-a list ruleset") == all);  // a recreated table would have new handles
    CHECK(a.stop() == 0);

    a.start({"--ip-masq", "--iptables-forward-rules=false", "--ip-masq-fully-random-disable=true"});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK(contains(nft(a, "list table ip flannelette"), "224.0.0.0/4 masquerade\n"));
    CHECK_FALSE(contains(nft(a, "list table ip flannelette"), "hook forward"));
    CHECK(a.stop() == 0);

    a.start();
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK(nft(a, "-a list ruleset") == foreign);
    CHECK(contains(file_text(a.subnet_file()), "FLANNEL_IPMASQ=false"));
  }

  TEST_CASE("a drop in somebody else's forward chain is named once, and the command given mends it") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Pods pods;
    auto& etcd = pods.etcd;
    auto& a = pods.a;  // not structured bindings: a lambda cannot capture those under clang 14
    auto& b = pods.b;
    CHECK(a.stop() == 0);
    for (const char* firewall :
         {"nft 'table inet fw { chain forwarding { type filter hook forward priority 0; policy drop; }; }'",
          "nft 'table ip fw { chain forwarding { type filter hook forward priority 10; ct state established "
          "accept;"
          " counter reject; }; }'"}) {
      shell(a.node(), firewall);
      a.start({"--ip-masq"});
      REQUIRE_MESSAGE(a.logs("ready"), a.log());
      const std::string line = "another firewall table drops forwarded packets";
      REQUIRE_MESSAGE(a.logs(line), a.log());
      CHECK(contains(a.log(), "table=fw chain=forwarding"));
      CHECK(run({.args = {"ping", "-c1", "-W1", pods.pod_b}, .netns = a.pod().name()}).status != 0);
      const std::string fix = fix_after(a.log(), line);
      INFO(fix);
      shell(a.node(), fix);
      CHECK(pings(a.pod(), pods.pod_b));
      CHECK(pings(b.pod(), pods.pod_a));
      etcd.put(kSubnetKeys + "10.64.254.0-24",
               peer_value("172.30.0.77", "02:00:00:00:00:77"));  // work goes on
      CHECK(wait_until(5s, [&] { return contains(a.routes(), "10.64.254.0/24"); }));
      CHECK(count_of(a.log(), line) == 1);
      CHECK(a.stop() == 0);
      etcd.ctl({"del", kSubnetKeys + "10.64.254.0-24"});
      shell(a.node(), "nft delete table inet fw 2>/dev/null || nft delete table ip fw");
    }
  }

  TEST_CASE(
      "our table is back after a flush, and a firewall that starts after us is named with its program") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    a.start({"--ip-masq"});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    const std::string before = nft(a, "list ruleset");
    nft(a, "flush ruleset");
    REQUIRE(wait_until(5s, [&] { return nft(a, "list ruleset") == before; }));
    CHECK(a.logs("another program changed our traffic rules"));
    shell(a.node(), "nft 'table inet fw { chain c { type filter hook forward priority 0; policy drop; }; }'");
    REQUIRE_MESSAGE(a.logs("another firewall table drops forwarded packets"), a.log());
    CHECK_MESSAGE(contains(a.log(), "table=fw chain=c last_change_by=nft["), a.log());
  }

  TEST_CASE(
      "/proc/sys is read-only, as in a container: one warning about the device's sysctl, and the node "
      "joins") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    const TempDir files;
    const std::string wrapper = files.file("wrapper");
    write_file(wrapper,
               "#!/bin/sh\nexec unshare --mount sh -ec 'mount --bind /proc/sys /proc/sys;"
               " mount -o remount,bind,ro /proc/sys; exec \"$0\" \"$@\"' " +
                   binary() + " \"$@\"\n");
    shell(a.node(), "chmod +x " + wrapper);
    etcd.put(kSubnetKeys + "10.64.254.0-24", peer_value("172.30.0.77", "02:00:00:00:00:77"));
    a.start({"--ip-masq"}, wrapper);
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    const std::string line = "path=/proc/sys/net/ipv6/conf/flannel.1/accept_ra value=0 consequence=";
    CHECK_MESSAGE(count_of(a.log(), line) == 1, a.log());
    // Of these rtnetlink tells and sets the value.
    for (const std::string value : {"forwarding=0", "rp_filter=1"}) {
      shell(a.node(), "sysctl -qw net.ipv4.conf.flannel/1." + value);
      CHECK(a.logs("changed=" + value.substr(0, value.find('='))));
    }
    CHECK_MESSAGE(count_of(a.log(), "a sysctl cannot be set") == 1, a.log());
    CHECK(a.stop() == 0);
  }

  TEST_CASE("traffic rules that flanneld left behind are named, and the commands given remove them") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"), means::program("iptables-nft"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    shell(a.node(),
          "nft 'table ip flannel-ipv4 { chain postrtg { type nat hook postrouting priority srcnat; }; }';"
          "iptables-nft -t nat -N FLANNEL-POSTRTG; iptables-nft -t nat -A POSTROUTING -j FLANNEL-POSTRTG;"
          "iptables-nft -t nat -A FLANNEL-POSTRTG -s 10.64.0.0/16 -j MASQUERADE -m comment --comment "
          "'flanneld masq';"
          "iptables-nft -t nat -A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE;"
          "iptables-nft -N FLANNEL-FWD; iptables-nft -A FORWARD -j FLANNEL-FWD; iptables-nft -A FLANNEL-FWD "
          "-s 10.64.0.0/16 -j ACCEPT");
    a.start({"--ip-masq"});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    const std::string line = "flanneld left traffic rules behind";
    REQUIRE_MESSAGE(a.logs(line, 3), a.log());
    CHECK(contains(a.log(), "table=flannel-ipv4"));
    CHECK(contains(a.log(), "chain=FLANNEL-POSTRTG"));
    CHECK(contains(a.log(), "chain=FLANNEL-FWD"));
    std::string rest = a.log();
    for (auto at = rest.find(line); at != std::string::npos; at = rest.find(line)) {
      shell(a.node(), "PATH=$PATH:/usr/sbin:/sbin; " + fix_after(rest, line));
      rest.erase(0, at + line.size());
    }
    CHECK_FALSE(contains(nft(a, "list ruleset"), "FLANNEL-"));
    CHECK_FALSE(contains(nft(a, "list ruleset"), "flannel-ipv4"));
    CHECK(contains(nft(a, "list ruleset"), "192.0.2.0/24"));
    CHECK(contains(nft(a, "list ruleset"), "table ip flannelette"));
  }

  TEST_CASE("rules that old iptables made for flanneld are found too") {
    REQUIRE_MEANS(cluster_means(), means::program("iptables-legacy"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    if (run({.args = words("iptables-legacy -t nat -N FLANNEL-POSTRTG"), .netns = a.node().name()}).status !=
        0) {
      SKIP("this kernel has no ip_tables");
    }
    a.start({"--ip-masq"});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    const std::string line = "flanneld left traffic rules behind";
    REQUIRE_MESSAGE(a.logs(line), a.log());
    shell(a.node(), "PATH=$PATH:/usr/sbin:/sbin; " + fix_after(a.log(), line));
    CHECK_FALSE(contains(shell(a.node(), "iptables-legacy -t nat -S"), "FLANNEL-"));
  }

  TEST_CASE("clamp-mss: pods agree on an MSS that fits the narrowest link of the two nodes") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1), b(etcd, 2);
    a.node().ip("link set eth0 mtu 1300");
    std::vector<std::string> more;
    bool clamped = false;
    SUBCASE("as it is by default") {}
    SUBCASE("clamped") {
      a.add_etc("/etc/flannelette.ini", "[node]\nclamp-mss = true\n");
      more = {"-c", "/etc/flannelette.ini"};
      clamped = true;
    }
    a.start(more);
    b.start();
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE_MESSAGE(b.joined(1), b.log());
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    a.add_pod();
    const std::string there = b.add_pod();
    REQUIRE(wait_until(5s, [&] { return pings(a.pod(), there); }));
    const int mss = mss_allowed(a.pod(), b.pod(), there);
    CHECK(mss > 1000);
    CHECK((mss <= 1300 - 50 - 40) == clamped);
  }

  TEST_CASE("ip_forward is written only with ip-forward = set, else one warning says that it is 0") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    const TempDir files;
    write_file(files.file("set.ini"), "[node]\nip-forward = set\n");
    const std::string path = "/proc/sys/net/ipv4/ip_forward";
    shell(a.node(), "echo 0 > " + path);
    a.start({"--ip-masq"});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK(shell(a.node(), "cat " + path) == "0\n");
    CHECK(count_of(a.log(), "net.ipv4.ip_forward is 0") == 1);
    CHECK(a.stop() == 0);
    a.start({"-c", files.file("set.ini")});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK(shell(a.node(), "cat " + path) == "1\n");
    CHECK_FALSE(contains(a.log(), "ip_forward is 0"));
    CHECK(a.stop() == 0);
    a.start();
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK_FALSE(contains(a.log(), "ip_forward"));
  }
}
