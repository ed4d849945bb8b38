// SPDX-License-Identifier: Apache-2.0
// The verb check names what is broken on a machine, and finds nothing on one that works.
#include <doctest/doctest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <thread>

#include "support/forked.hpp"
#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/certificates.hpp"
#include "system/checked.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

/// Two machines whose agents run.
struct Pair {
  explicit Pair(const char* config = kVxlanConfig) {
    etcd.configure(config);
    for (Machine* m : {&a, &b}) {
      forward(*m);
      m->start({"--ip-masq"});
    }
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE_MESSAGE(b.joined(1), b.log());
    REQUIRE(a.logs("ready"));
    REQUIRE(b.logs("ready"));
  }
  Outcome check_a(std::vector<std::string> more = {}) {
    more.insert(more.end(), {etcd_flag(etcd), "--ip-masq"});
    return check(a, std::move(more));
  }
  Etcd etcd;
  Machine a{etcd, 1}, b{etcd, 2};
};

/// What begins in the thread has a kernel without nf_tables: there is no such netlink. Of the program for
/// i686, too.
void remove_nf_tables() {
  constexpr int kSocketOfI686 = 359;  // which no other processor has
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kSocketOfI686, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NETLINK_NETFILTER, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPROTONOSUPPORT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(filter)), filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/// Passes on what client and server say, but not what the server says to a watch, which never ends.
void buffer_watches(int client, const sockaddr_in& to) {
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(server, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return;
  bool watched = false;
  for (;;) {
    pollfd both[] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    if (poll(both, 2, -1) <= 0) return;
    char bytes[16 * 1024];
    for (int i = 0; i < 2; ++i) {
      if (both[i].revents == 0) continue;
      const ssize_t size = read(both[i].fd, bytes, sizeof bytes);
      if (size <= 0) return;
      const std::string_view text(bytes, static_cast<std::size_t>(size));
      watched = watched || (i == 0 && text.starts_with("POST /v3/watch"));
      if (i == 1 && watched) continue;
      if (write(both[1 - i].fd, bytes, text.size()) != size) return;
    }
  }
}

}  // namespace

TEST_SUITE("system/check") {
  TEST_CASE("a node that works: nothing is found, while its agent runs") {
    REQUIRE_MEANS(cluster_means());
    Pair nodes;
    const Outcome outcome = nodes.check_a();
    CHECK_MESSAGE(outcome.status == 0, outcome.output);
    CHECK(found(outcome).empty());
    CHECK_MESSAGE(contains(outcome.output, "ok    registry: http://172.30.0.1:2379, 2 leases"),
                  outcome.output);
    CHECK_MESSAGE(contains(outcome.output, "ok    peers: 1 answers, through the tunnel"), outcome.output);
    CHECK(nodes.etcd.leases().size() == 2);

    const Outcome json = run(nodes.a.command({binary(), "check", "--json", etcd_flag(nodes.etcd)}));
    CHECK(json.status == 0);
    CHECK(json.output.starts_with("{\"version\":1,\"findings\":["));
    CHECK(contains(json.output, R"({"item":"kernel: vxlan","grade":"ok","text":"","repair":""})"));
    CHECK(json.output.ends_with("]}\n"));
  }

  TEST_CASE("a machine before its first agent: nothing is found, and nothing is changed") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Bare bare;
    const auto all = [&] { return shell(bare.machine.node(), "ip -d addr; ip route; nft list ruleset"); };
    const std::string before = all();
    const Outcome outcome = check(bare.machine, {etcd_flag(bare.etcd), "--ip-masq"});
    CHECK_MESSAGE(outcome.status == 0, outcome.output);
    CHECK(found(outcome).empty());
    CHECK(all() == before);
    CHECK(bare.etcd.leases().empty());
  }

  TEST_CASE("no kernel feature: nf_tables is missing where ip-masq needs it") {
    REQUIRE_MEANS(cluster_means());
    Bare bare;
    Outcome outcome;
    std::thread([&] {
      remove_nf_tables();
      outcome = check(bare.machine, {etcd_flag(bare.etcd), "--ip-masq"});
    }).join();
    check_only(outcome, kFailure, "kernel: nf_tables", {"no nf_tables in this kernel", "nft_chain_nat"});
  }

  TEST_CASE("port taken: by whom") {
    REQUIRE_MEANS(cluster_means(), means::program("socat"));
    Bare bare;
    Process holder(bare.machine.command({"socat", "-u", "UDP4-RECV:8472", "STDOUT"}));
    REQUIRE(
        wait_until(5s, [&] { return contains(shell(bare.machine.node(), "cat /proc/net/udp"), ":2118"); }));
    const std::string by = "in use by socat (" + std::to_string(holder.pid()) + ")";
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kFailure, "port", {"UDP port 8472", by.c_str()});
  }

  TEST_CASE("port taken: by another device") {
    REQUIRE_MEANS(cluster_means());
    Bare bare;
    bare.machine.node().ip("link add theirs type vxlan id 1 dstport 8472");
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kFailure, "port", {"VNI 1", "device theirs"});
  }

  TEST_CASE("wrong CA") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"));
    const Certificates certificates, others;
    certificates.sign("server", "/CN=etcd", "IP:172.30.0.1");
    Bare bare(certificates.etcd("server"));
    check_only(check(bare.machine, {etcd_flag(bare.etcd), "--etcd-cafile=" + others.file("ca.pem")}),
               kFailure, "registry", {"TLS: ", "not signed by the configured CA", "ca-file"});
    check_only(check(bare.machine, {etcd_flag(bare.etcd), "--etcd-cafile=" + certificates.file("ca.pem")}),
               kWarning, "certificates", {"a certificate expires soon", "days_left="});
    check_only(check(bare.machine, {etcd_flag(bare.etcd), "--etcd-cafile=/none"}), kFailure, "files",
               {"cannot load the TLS files", "/none"});
  }

  TEST_CASE("clock before the certificate") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"));
    const Certificates certificates;
    write_file(
        certificates.file("ca.conf"),
        "[ca]\ndefault_ca=d\n[d]\nrand_serial=yes\ndefault_md=sha256\npolicy=p\ncopy_extensions=copyall\n"
        "database=" +
            certificates.file("index") + "\nnew_certs_dir=" + certificates.file("") +
            "\ncertificate=" + certificates.file("ca.pem") + "\nprivate_key=" + certificates.file("ca.key") +
            "\n[p]\ncommonName=supplied\n");
    write_file(certificates.file("index"), "");
    must_run({.args = words("openssl req -config " + certificates.file("conf") +
                            " -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=etcd -addext "
                            "subjectAltName=IP:172.30.0.1 -keyout " +
                            certificates.file("server.key") + " -out " + certificates.file("server.csr"))});
    must_run({.args = words("openssl ca -batch -notext -config " + certificates.file("ca.conf") + " -in " +
                            certificates.file("server.csr") + " -out " + certificates.file("server.pem") +
                            " -startdate 20370101000000Z -enddate 20380101000000Z")});
    Bare bare(certificates.etcd("server"));
    check_only(check(bare.machine, {etcd_flag(bare.etcd), "--etcd-cafile=" + certificates.file("ca.pem")}),
               kFailure, "registry",
               {"TLS: ", "not valid yet", "the clock of this machine says", "set the clock"});
  }

  TEST_CASE("etcd down") {
    REQUIRE_MEANS(cluster_means());
    Bare bare;
    bare.etcd.stop();
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kFailure, "registry",
               {"http://172.30.0.1:2379: connect: Connection refused", "is it running there"});
  }

  TEST_CASE("one of two etcds down: a warning") {
    REQUIRE_MEANS(cluster_means());
    Bare bare;
    check_only(check(bare.machine, {etcd_flag(bare.etcd) + ",http://172.30.0.1:2381"}), kWarning, "registry",
               {"http://172.30.0.1:2381: connect: Connection refused"});
  }

  TEST_CASE("etcd's packets are dropped on the way: the verdict is there within ten seconds") {
    REQUIRE_MEANS(cluster_means());
    Bare bare;
    shell(bare.machine.node(), "ip route add 203.0.113.1 via 172.30.0.1");
    shell(bare.etcd.node(), "ip route add blackhole 203.0.113.1");
    const auto begun = std::chrono::steady_clock::now();
    const Outcome outcome = check(bare.machine, {"--etcd-endpoints=http://203.0.113.1:2379"});
    CHECK(std::chrono::steady_clock::now() - begun < 10s);
    check_only(outcome, kFailure, "registry", {"connect: no answer in time", "firewall"});
  }

  TEST_CASE("wrong password") {
    REQUIRE_MEANS(cluster_means());
    Bare bare;
    for (const char* command : {"user add root:rootpw", "user grant-role root root", "auth enable"})
      bare.etcd.ctl(words(command));
    bare.etcd.use_ctl_flags({"--user", "root:rootpw"});
    const auto with = [&](const std::string& password) {
      return check(bare.machine,
                   {etcd_flag(bare.etcd), "--etcd-username=root", "--etcd-password=" + password});
    };
    const Outcome wrong = with("secret-but-wrong");
    CHECK_FALSE(contains(wrong.output, "secret-but-wrong"));
    CHECK_MESSAGE(contains(found(wrong), "FAIL  registry: http://172.30.0.1:2379: authenticate: "),
                  wrong.output);
    CHECK(contains(found(wrong), "correct username and password-file"));
    CHECK_FALSE(contains(found(with("rootpw")), "FAIL"));
    CHECK(contains(found(check(bare.machine, {etcd_flag(bare.etcd)})), "give username and password-file"));
  }

  TEST_CASE("no network config") {
    REQUIRE_MEANS(cluster_means());
    Bare bare;
    bare.etcd.ctl({"del", "/coreos.com/network/config"});
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kFailure, "registry",
               {"no network config in the registry", "/coreos.com/network/config", "\"Network\""});
  }

  TEST_CASE("no address") {
    REQUIRE_MEANS(cluster_means());
    Bare bare;
    bare.machine.node().ip("addr flush dev eth0");
    bare.machine.node().ip("route add 172.30.0.0/24 dev eth0");
    const Outcome outcome = check(bare.machine, {etcd_flag(bare.etcd), "--iface=eth0"});
    CHECK_MESSAGE(contains(found(outcome), "FAIL  interface: the interface has no IPv4 address"),
                  outcome.output);
    CHECK(outcome.status == 2);
  }

  TEST_CASE("input drop") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Bare bare;
    shell(bare.machine.node(),
          "nft 'table inet fw { chain incoming { type filter hook input priority 0; policy drop; ct state "
          "established accept; ip protocol icmp accept; }; }'");
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kWarning, "firewall: input",
               {"table inet fw, chain incoming", "8472"});
    shell(bare.machine.node(), "nft add rule inet fw incoming udp dport 8472 accept");
    CHECK(check(bare.machine, {etcd_flag(bare.etcd)}).status == 0);
  }

  TEST_CASE("input drop, of a node whose peers are silenced by it") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Pair nodes;
    shell(nodes.a.node(),
          "nft 'table inet fw { chain incoming { type filter hook input priority 0; policy drop; ct state "
          "established accept; ip protocol icmp accept; }; }'");
    const Outcome outcome = nodes.check_a();
    CHECK_MESSAGE(contains(found(outcome), "warn  firewall: input: "), outcome.output);
    CHECK_MESSAGE(contains(found(outcome), "answers, but not through the tunnel; UDP port 8472"),
                  outcome.output);
    CHECK(outcome.status == 1);
  }

  TEST_CASE("forward drop") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Bare bare;
    shell(bare.machine.node(),
          "nft 'table ip fw { chain passing { type filter hook forward priority 0; policy drop; }; }'");
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kWarning, "firewall: forward",
               {"drops forwarded packets", "chain passing",
                "nft insert rule ip fw passing ip saddr 10.64.0.0/16 accept"});
    for (const char* end : {"saddr", "daddr"})
      shell(bare.machine.node(),
            std::string("nft insert rule ip fw passing ip ") + end + " 10.64.0.0/16 accept");
    CHECK(check(bare.machine, {etcd_flag(bare.etcd)}).status == 0);
  }

  TEST_CASE("MTU black hole") {
    REQUIRE_MEANS(cluster_means());
    Pair nodes;
    nodes.etcd.node().ip("link set p2 mtu 1400");
    check_only(nodes.check_a(), kFailure, "peers",
               {"172.30.0.12", "packets of 1450 bytes are lost on the way, small ones are not", "MTU"});
  }

  TEST_CASE("MTU black hole, before there is a tunnel") {
    REQUIRE_MEANS(cluster_means());
    Pair nodes;
    CHECK(nodes.a.stop() == 0);
    nodes.a.node().ip("link delete flannel.1");
    CHECK(nodes.check_a().status == 0);
    nodes.etcd.node().ip("link set p2 mtu 1400");
    check_only(nodes.check_a(), kFailure, "peers", {"packets of 1500 bytes are lost"});
  }

  TEST_CASE("rp_filter strict") {
    REQUIRE_MEANS(cluster_means());
    Bare bare({}, R"({"Network":"10.64.0.0/16","Backend":{"Type":"vxlan","DirectRouting":true}})");
    shell(bare.machine.node(), "echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter");
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kWarning, "rp_filter",
               {"strict rp_filter", "net.ipv4.conf.eth0.rp_filter=2"});
  }

  TEST_CASE("ip_forward 0") {
    REQUIRE_MEANS(cluster_means());
    Bare bare;
    shell(bare.machine.node(), "echo 0 > /proc/sys/net/ipv4/ip_forward");
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kFailure, "ip_forward",
               {"net.ipv4.ip_forward is 0", "sysctl -w net.ipv4.ip_forward=1"});
  }

  TEST_CASE("ip_forward 0, on a read-only /proc/sys: it is not left to the agent, which cannot set it") {
    REQUIRE_MEANS(cluster_means());
    Bare bare;
    shell(bare.machine.node(), "echo 0 > /proc/sys/net/ipv4/ip_forward");
    bare.machine.add_etc("/etc/flannelette.ini", "[node]\nip-forward = set\n");
    check_nothing(check(bare.machine, {etcd_flag(bare.etcd)}));
    constexpr unsigned long kReadOnly = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    REQUIRE(mount("/proc/sys", "/proc/sys", nullptr, MS_BIND | MS_REC, nullptr) == 0);
    REQUIRE(mount(nullptr, "/proc/sys", nullptr, MS_REMOUNT | MS_BIND | kReadOnly, nullptr) == 0);
    const Outcome outcome = check(bare.machine, {etcd_flag(bare.etcd)});
    CHECK(umount("/proc/sys") == 0);
    check_only(outcome, kFailure, "ip_forward",
               {"a sysctl cannot be set; going on without it: /proc/sys/net/ipv4/ip_forward; sysctl -w"});
  }

  TEST_CASE("Network over LAN") {
    REQUIRE_MEANS(cluster_means());
    Bare bare({}, R"({"Network":"172.30.0.0/16","Backend":{"Type":"vxlan"}})");
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kWarning, "network",
               {"Network overlaps", "172.30.0.0/16", "172.30.0.11/24"});
  }

  TEST_CASE("another network config than that of the agent that runs") {
    REQUIRE_MEANS(cluster_means());
    Pair nodes;
    nodes.etcd.configure(
        R"({"Network":"10.64.0.0/16","SubnetMin":"10.64.30.0","SubnetMax":"10.64.91.0","Backend":{"Type":"vxlan"}})");
    check_only(nodes.check_a(), kWarning, "network",
               {"the network config has changed; a restart of this node uses it; restart the agents"});
    CHECK(nodes.a.stop() == 0);
    nodes.a.start({"--ip-masq"});
    REQUIRE(nodes.a.logs("ready"));
    check_nothing(nodes.check_a());
  }

  TEST_CASE("buffered watch") {
    REQUIRE_MEANS(cluster_means());
    Bare bare;
    const flannelette::UniqueFd listener =
        bare.etcd.node().inside([] { return bound_socket(SOCK_STREAM, "172.30.0.1", 2390); });
    Forked proxy([&] {
      bare.etcd.node().inside([&] {
        for (;;) {
          const int client = accept(listener.get(), nullptr, nullptr);
          if (fork() == 0) {
            buffer_watches(client, socket_address("172.30.0.1", 2379));
            _exit(0);
          }
          close(client);
        }
      });
    });
    check_only(check(bare.machine, {"--etcd-endpoints=http://172.30.0.1:2390"}), kFailure, "registry",
               {"requests are answered, the watch is not", "proxy_buffering off"});
  }

  TEST_CASE("the state's file system takes nothing") {
    REQUIRE_MEANS(cluster_means());
    unsigned long flags = 0;
    const char* options = nullptr;
    const char* why = "";
    SUBCASE("read-only") { flags = MS_RDONLY, why = "Read-only file system"; }
    SUBCASE("no inode is left") { options = "nr_inodes=1", why = "No space left on device"; }
    Bare bare;
    const std::string folder = bare.machine.file("/var/lib");
    REQUIRE(mount("tmpfs", folder.c_str(), "tmpfs", flags, options) == 0);
    const std::string words = std::string("/var/lib/flannelette/node cannot be written: write: ") + why;
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kWarning, "files", {words.c_str()});
    CHECK(umount(folder.c_str()) == 0);
  }

  TEST_CASE("state on a disk that is not mounted: what the agent cannot save is found") {
    REQUIRE_MEANS(cluster_means());
    Bare bare;
    std::filesystem::create_symlink("/mnt/disk/none", bare.machine.file("/var/lib/flannelette"));
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kWarning, "files",
               {"/var/lib/flannelette/node cannot be written: a link to nothing; is the disk mounted?"});
    bare.machine.start();
    CHECK(bare.machine.logs("cannot save the state"));
  }

  TEST_CASE("a folder has the subnet file's name: what the agent cannot write is found") {
    REQUIRE_MEANS(cluster_means());
    Bare bare;
    std::filesystem::create_directories(bare.machine.file("/run/flannel/subnet.env"));
    check_only(
        check(bare.machine, {etcd_flag(bare.etcd)}), kFailure, "files",
        {"/run/flannel/subnet.env cannot be written: open: Is a directory; there will be no subnet file"});
    bare.machine.start();
    CHECK(bare.machine.logs("cannot write the subnet file"));
  }

  TEST_CASE("two daemons on one VNI") {
    REQUIRE_MEANS(cluster_means());
    Pair nodes;
    nodes.etcd.put("/other/config", R"({"Network":"10.65.0.0/16","Backend":{"Type":"vxlan"}})");
    const Process other(
        nodes.a.command({binary(), etcd_flag(nodes.etcd), "--etcd-prefix=/other",
                         "--subnet-file=/run/flannel/other.env", "--state-dir=/var/lib/other"}));
    REQUIRE(wait_until(20s, [&] { return contains(nodes.a.node().ip("addr show flannel.1"), "10.65."); }));
    const Outcome outcome = nodes.check_a();
    CHECK_MESSAGE(contains(found(outcome), "FAIL  device: flannel.1 has the address 10.65."), outcome.output);
    CHECK(contains(found(outcome), "another daemon uses VNI 1; stop one of them"));
  }

  TEST_CASE("two daemons on one VNI: found before the second one starts") {
    REQUIRE_MEANS(cluster_means());
    Pair nodes;
    nodes.etcd.put("/other/config", R"({"Network":"10.65.0.0/16","Backend":{"Type":"vxlan"}})");
    check_only(check(nodes.a, {etcd_flag(nodes.etcd), "--etcd-prefix=/other", "--state-dir=/var/lib/other",
                               "--subnet-file=/run/flannel/other.env"}),
               kFailure, "device", {"flannel.1 has the address 10.64.", "another daemon uses VNI 1"});
  }

  TEST_CASE("flanneld still running") {
    REQUIRE_MEANS(cluster_means());
    Bare bare;
    const TempDir programs;
    std::filesystem::copy_file(std::filesystem::canonical("/bin/sleep"), programs.file("flanneld"));
    Process flanneld(bare.machine.command({programs.file("flanneld"), "60"}));
    const std::string name = "flanneld (" + std::to_string(flanneld.pid()) + ")";
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kFailure, "programs", {name.c_str(), "disable"});
  }

  TEST_CASE("stale FLANNEL rules") {
    REQUIRE_MEANS(cluster_means(), means::program("iptables-nft"));
    Bare bare;
    shell(bare.machine.node(), "iptables-nft -N FLANNEL-FWD");
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kWarning, "firewall: forward",
               {"flanneld left traffic rules behind", "FLANNEL-FWD",
                "iptables-nft-save | grep -v FLANNEL- | iptables-nft-restore"});
  }

  TEST_CASE("PublicIP behind NAT") {
    REQUIRE_MEANS(cluster_means());
    Bare bare;
    check_only(check(bare.machine, {etcd_flag(bare.etcd), "--iface=eth0", "--public-ip=203.0.113.5"}),
               kWarning, "interface",
               {"the public IP is no address of this machine", "have UDP to it forwarded"});
  }

  TEST_CASE("peer unreachable") {
    REQUIRE_MEANS(cluster_means());
    Pair nodes;
    nodes.etcd.put(kSubnetKeys + "10.64.101.0-24", peer_value("172.30.0.99", "02:00:00:00:01:01"));
    REQUIRE(nodes.a.joined(2));
    check_only(nodes.check_a(), kWarning, "peers", {"10.64.101.0/24 at 172.30.0.99: does not answer"});
  }
}

// With etcd 3.5 alone (tests/system/etcd35.sh): older ones have no such flag.
TEST_SUITE("etcd35") {
  TEST_CASE("check: a port for gRPC alone is named, as k3s has it, and the one for HTTP beside it works") {
    REQUIRE_MEANS(cluster_means());
    if (!contains(run({.args = {etcd_program("etcd"), "--help"}}).output, "--listen-client-http-urls"))
      SKIP("this etcd cannot split its ports");
    Bare bare({.arguments = {"--listen-client-http-urls", "http://172.30.0.1:2382"}});
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kFailure, "registry",
               {"http://172.30.0.1:2379: ", "is this a port for gRPC alone?", "kube-subnet-mgr"});
    check_nothing(check(bare.machine, {"--etcd-endpoints=http://172.30.0.1:2382"}));
  }

  TEST_CASE("check: an etcd without its gateway is named") {
    REQUIRE_MEANS(cluster_means());
    Bare bare({.arguments = {"--enable-grpc-gateway=false"}});
    check_only(check(bare.machine, {etcd_flag(bare.etcd)}), kFailure, "registry",
               {"--enable-grpc-gateway=false"});
  }
}
