// SPDX-License-Identifier: Apache-2.0
// Leaving: cleanup removes what the agent left on a machine and nothing else, leave gives the lease back
// first.
#include <doctest/doctest.h>

#include <filesystem>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/api_server.hpp"
#include "system/pings.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

const char* const kDirectConfig =
    R"({"Network":"10.64.0.0/16","SubnetMin":"10.64.30.0","SubnetMax":"10.64.90.0",)"
    R"("Backend":{"Type":"vxlan","DirectRouting":true}})";

/// All that the kernel has for a machine, as text that stays the same while nothing changes.
std::string all_of(const Machine& machine) {
  return shell(machine.node(),
               "ip -d -o link show | sed 's/ state [A-Z]*//'; ip -o addr show; ip rule show;"
               "ip route show table all | sed 's/ expires [^ ]*//'; ip -6 route show table all | "
               "sed 's/ expires [^ ]*//'; ip nexthop show; ip neigh show nud permanent; bridge fdb show;"
               "PATH=$PATH:/usr/sbin nft list ruleset;"
               "find /proc/sys/net/ipv4 /proc/sys/net/ipv6 -type f ! -name '*stat*' ! -name flush "
               "! -name stable_secret ! -name fib_info_hash* -exec grep -H . {} + 2>/dev/null | sort");
}

Outcome verb(const Machine& machine, std::vector<std::string> arguments, std::vector<std::string> env = {}) {
  arguments.insert(arguments.begin(), binary());
  return run(machine.command(std::move(arguments), std::move(env)), 40s);
}

/// As it is when duplicate address detection, which makes routes, has ended.
std::string settled(const Machine& machine) {
  REQUIRE(wait_until(10s, [&] { return machine.node().ip("-6 addr show tentative").empty(); }));
  return all_of(machine);
}

/// Regular files below /run and /var/lib, one a line.
std::string files_of(const Machine& machine) {
  std::string found;
  for (const char* const top : {"/run", "/var/lib"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(machine.file(top))) {
      if (entry.is_regular_file()) found += entry.path().filename().string() + "\n";
    }
  }
  return found;
}

/// A node that has joined, and was stopped.
struct StoppedNode {
  StoppedNode() {
    etcd.configure(kVxlanConfig);
    machine.start();
    REQUIRE_MESSAGE(machine.logs("ready"), machine.log());
    CHECK(machine.stop() == 0);
  }
  Etcd etcd;
  Machine machine{etcd, 1};
};

std::string etcd_flag(const Etcd& etcd) { return "--etcd-endpoints=" + etcd.url(); }

}  // namespace

TEST_SUITE("system/leave") {
  TEST_CASE("cleanup removes all that the agent made, and leaves everything else as it was before") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Etcd etcd;
    const char* config = kVxlanConfig;
    SUBCASE("vxlan") {}
    SUBCASE("peers that are routed directly") { config = kDirectConfig; }
    etcd.configure(config);
    etcd.put(kSubnetKeys + "10.64.101.0-24", peer_value("172.30.0.201", "02:00:00:00:01:01"));
    etcd.put(kSubnetKeys + "10.64.102.0-24", peer_value("192.0.2.9", "02:00:00:00:01:02"));
    Machine a(etcd, 1);
    shell(a.node(),
          "ip link add other type veth peer name peer; ip link set peer up; ip addr add 192.0.2.1/24 dev "
          "other; ip link set other up;"
          "ip route add 10.99.0.0/16 via 192.0.2.7 proto 70;"
          "PATH=$PATH:/usr/sbin nft 'table ip theirs { chain c { type filter hook forward priority 0; }; }'");
    const std::string before = settled(a);
    a.start({"--ip-masq"});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    REQUIRE(wait_until(5s, [&] { return contains(a.node().ip("route"), "10.64.101.0/24"); }));
    REQUIRE(wait_until(10s, [&] { return !file_text(a.state_dir() + "/peers").empty(); }));
    CHECK_FALSE(difference(before, all_of(a)).empty());
    CHECK(a.stop() == 0);

    const Outcome cleaned = verb(a, {"cleanup"});
    CHECK_MESSAGE(cleaned.status == 0, cleaned.output);
    CHECK(contains(cleaned.output, "removed what=device device=flannel.1"));
    CHECK(difference(before, all_of(a)) == "");
    CHECK(files_of(a).empty());
    CHECK(etcd.leases().size() == 3);  // it needs no registry
    const Outcome again = verb(a, {"cleanup"});
    CHECK(again.status == 0);
    CHECK(contains(again.output, "there was nothing to remove"));
  }

  TEST_CASE("cleanup without a state file knows the device by the subnet in subnet.env") {
    REQUIRE_MEANS(cluster_means());
    StoppedNode stopped;
    Machine& a = stopped.machine;
    write_file(a.subnet_file(), file_text(a.subnet_file()) + "DOCKER_OPT_MTU=\"--mtu=1450\"\n");
    std::filesystem::remove_all(a.state_dir());
    const Outcome cleaned = verb(a, {"cleanup"});
    CHECK_MESSAGE(cleaned.status == 0, cleaned.output);
    CHECK_FALSE(contains(a.node().ip("-o link"), "flannel.1"));
    CHECK(file_text(a.subnet_file()) == "DOCKER_OPT_MTU=\"--mtu=1450\"\n");
  }

  TEST_CASE("cleanup and status need no password file: a credential is gone when the service has stopped") {
    REQUIRE_MEANS(cluster_means());
    StoppedNode stopped;
    Machine& a = stopped.machine;
    const TempDir files;
    write_file(files.file("ini"), "[etcd]\nusername = u\npassword-file = " + files.file("gone") + "\n");
    const std::string config = "--config=" + files.file("ini");
    CHECK(verb(a, {"status", config}).status == 3);  // no agent answers
    const Outcome cleaned = verb(a, {"cleanup", config});
    CHECK_MESSAGE(cleaned.status == 0, cleaned.output);
    CHECK_FALSE(contains(a.node().ip("-o link"), "flannel.1"));
    CHECK(contains(verb(a, {"leave", config}).output, "there is no such file"));
  }

  TEST_CASE("cleanup leaves a device that is not this node's, and subnet.env of another daemon") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    SUBCASE("nothing is known of this node") {
      shell(a.node(), "ip link add flannel.1 type vxlan id 1 dstport 8472");
      write_file(a.subnet_file(), "FLANNEL_NETWORK=10.64.0.0/16\nFLANNEL_SUBNET=10.64.7.1/24\n");
    }
    SUBCASE("it was replaced since") {
      a.start();
      REQUIRE_MESSAGE(a.logs("ready"), a.log());
      CHECK(a.stop() == 0);
      shell(a.node(), "ip link del flannel.1; ip link add flannel.1 type vxlan id 1 dstport 8472");
      write_file(a.subnet_file(), "FLANNEL_NETWORK=10.64.0.0/16\nFLANNEL_SUBNET=10.64.7.1/24\n");
    }
    const Outcome cleaned = verb(a, {"cleanup"});
    CHECK_MESSAGE(cleaned.status == 0, cleaned.output);
    CHECK(contains(a.node().ip("-o link"), "flannel.1"));
    CHECK(contains(file_text(a.subnet_file()), "10.64.7.1/24"));
  }

  TEST_CASE("while an agent runs, neither cleanup, leave nor a second agent does anything") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    for (const char* name : {"cleanup", "leave", "run"}) {
      CAPTURE(name);
      const Outcome refused = verb(a, {name, etcd_flag(etcd)});
      CHECK(refused.status == 1);
      CHECK(contains(refused.output, "another flannelette serves this subnet file"));
      // By another subnet file it is the same machine's state.
      const Outcome also = verb(a, {name, etcd_flag(etcd), "--subnet-file=/run/other.env"});
      CHECK(also.status == 1);
      CHECK(contains(also.output, "another flannelette has this state folder"));
    }
    // As one that a service manager starts again and again.
    for (int time = 0; time < 140; ++time) REQUIRE(verb(a, {"cleanup"}).status == 1);
    CHECK(a.running());
    CHECK(contains(a.node().ip("-o link"), "flannel.1"));
    CHECK(etcd.leases().size() == 1);
  }

  TEST_CASE("cleanup --flanneld removes what a flanneld left, and prints the commands for its chains") {
    REQUIRE_MEANS(machine_means(), means::program("nft"), means::program("iptables-nft"));
    Etcd bridge({.process = false});
    Machine a(bridge, 1);
    shell(a.node(),
          "PATH=$PATH:/usr/sbin; ip link add flannel.1 type vxlan id 1 dstport 8472 dev eth0;"
          "ip addr add 10.64.7.0/32 dev flannel.1; ip link set flannel.1 up;"
          "nft 'table ip flannel-ipv4 { chain postrtg { type nat hook postrouting priority srcnat; }; }';"
          "nft 'table ip6 flannel-ipv6 { chain postrtg { type nat hook postrouting priority srcnat; }; }';"
          "iptables-nft -t nat -N FLANNEL-POSTRTG; iptables-nft -t nat -A POSTROUTING -j FLANNEL-POSTRTG");
    write_file(a.subnet_file(),
               "FLANNEL_NETWORK=10.64.0.0/16\nFLANNEL_SUBNET=10.64.7.1/24\nFLANNEL_MTU=1450\n");
    CHECK(verb(a, {"cleanup", "--flanneld", "--for-flanneld"}).status == 2);
    CHECK(contains(a.node().ip("-o link"), "flannel.1"));
    const Outcome cleaned = verb(a, {"cleanup", "--flanneld"});
    CHECK_MESSAGE(cleaned.status == 0, cleaned.output);
    CHECK_FALSE(contains(a.node().ip("-o link"), "flannel.1"));
    CHECK_FALSE(contains(shell(a.node(), "PATH=$PATH:/usr/sbin nft list ruleset"), "flannel-ipv"));
    CHECK(files_of(a).empty());
    const std::string command = "iptables-nft-save | grep -v FLANNEL- | iptables-nft-restore";
    CHECK(count_of(cleaned.output, command) == 1);
    shell(a.node(), "PATH=$PATH:/usr/sbin; " + command);
    CHECK_FALSE(contains(shell(a.node(), "PATH=$PATH:/usr/sbin nft list ruleset"), "FLANNEL-"));
    const Outcome again = verb(a, {"cleanup", "--flanneld"});
    CHECK(again.status == 0);
    CHECK_MESSAGE(contains(again.output, "there was nothing to remove"), again.output);
  }

  TEST_CASE("cleanup --for-flanneld leaves plain routes, which any program can delete, and loses no packet") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Etcd etcd;
    std::string device = "flannel.1";
    SUBCASE("on the device") { etcd.configure(kVxlanConfig); }
    SUBCASE("on the underlay") {
      etcd.configure(kDirectConfig);
      device = "eth0";
    }
    Machine a(etcd, 1), b(etcd, 2);
    a.start({"--ip-masq"});
    b.start({"--ip-masq"});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    REQUIRE_MESSAGE(b.logs("ready"), b.log());
    const auto route = [&] { return a.node().ip("route show " + b.subnet() + " dev " + device); };
    REQUIRE(wait_until(5s, [&] { return contains(route(), " nhid "); }));
    const std::string link = a.node().ip("-d -o link show flannel.1");
    const std::string others = a.neighbours() + a.fdb() + file_text(a.subnet_file());
    {
      const Pinging pinging(a, b);
      CHECK(a.stop() == 0);
      const Outcome cleaned = verb(a, {"cleanup", "--for-flanneld"});
      CHECK_MESSAGE(cleaned.status == 0, cleaned.output);
      CHECK_MESSAGE(contains(cleaned.output, "removed what=nexthops link=" + device), cleaned.output);
    }
    CHECK(a.node().ip("-d -o link show flannel.1") == link);
    CHECK(a.neighbours() + a.fdb() + file_text(a.subnet_file()) == others);
    CHECK(contains(route(), " via "));
    CHECK_FALSE(contains(route(), " nhid "));
    CHECK(a.node().ip("nexthop show").empty());
    CHECK_FALSE(contains(shell(a.node(), "PATH=$PATH:/usr/sbin nft list ruleset"), "flannelette"));
    CHECK(files_of(a) == "subnet.env\n");
    const Outcome again = verb(a, {"cleanup", "--for-flanneld"});
    CHECK_MESSAGE(contains(again.output, "there was nothing to remove"), again.output);
    // As flanneld does it: by destination, gateway and link.
    shell(a.node(), "ip route show " + b.subnet() + " dev " + device +
                        " | sed 's/ proto.*//; s/ linkdown//' | xargs ip route del dev " + device);
    CHECK(route().empty());
  }

  TEST_CASE("leave gives the lease back: the peers forget this node, and it is clean") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1), b(etcd, 2);
    a.start();
    b.start();
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE_MESSAGE(b.joined(1), b.log());
    const std::string key = lease_name(a.subnet());
    CHECK(a.stop() == 0);
    const Outcome left = verb(a, {"leave", etcd_flag(etcd)});
    CHECK_MESSAGE(left.status == 0, left.output);
    CHECK(contains(left.output, "the registry no longer has this node"));
    CHECK(etcd.lease(key).empty());
    CHECK(count_lines(etcd.ctl({"lease", "list"})) == 2);  // the heading, and the other node's
    CHECK(wait_until(2s, [&] { return !contains(b.routes(), "10.64."); }));
    CHECK_FALSE(contains(a.node().ip("-o link"), "flannel.1"));
    CHECK(files_of(a).empty());
    const Outcome again = verb(a, {"leave", etcd_flag(etcd)});
    CHECK(again.status == 0);
    CHECK(contains(again.output, "nothing to give back"));
  }

  TEST_CASE("leave leaves a reservation, and the record of another node in our place") {
    REQUIRE_MEANS(cluster_means());
    StoppedNode stopped;
    Etcd& etcd = stopped.etcd;
    Machine& a = stopped.machine;
    const std::string key = lease_name(a.subnet());
    std::string value = etcd.lease(key), line;
    SUBCASE("a reservation") { line = "the subnet is a reservation"; }
    SUBCASE("another node") {
      value = peer_value("172.30.0.99", "02:00:00:00:00:99");
      line = "another node has published itself in our place";
    }
    etcd.put(kSubnetKeys + key, value);  // without a lease
    const Outcome left = verb(a, {"leave", etcd_flag(etcd)});
    CHECK(left.status == 0);
    CHECK_MESSAGE(contains(left.output, line), left.output);
    CHECK(etcd.lease(key) == value);
    CHECK_FALSE(contains(a.node().ip("-o link"), "flannel.1"));
  }

  TEST_CASE("leave of a node whose etcd is away removes nothing, so that it can be tried again") {
    REQUIRE_MEANS(cluster_means());
    StoppedNode stopped;
    Etcd& etcd = stopped.etcd;
    Machine& a = stopped.machine;
    etcd.stop();
    const Outcome left = verb(a, {"leave", etcd_flag(etcd)});
    CHECK(left.status == 1);
    CHECK(contains(left.output, "registry request failed"));
    CHECK(contains(left.output, "the registry did not take it back; nothing was removed"));
    CHECK(contains(a.node().ip("-o link"), "flannel.1"));
    etcd.start();
    CHECK(verb(a, {"leave", etcd_flag(etcd)}).status == 0);
    CHECK(etcd.leases().empty());
    CHECK(files_of(a).empty());
  }

  TEST_CASE("leave takes our annotations off our Node; those of others stay") {
    REQUIRE_MEANS(machine_means());
    Etcd bridge({.process = false});
    ApiServer api(bridge);
    const std::string prefix = "flannel.alpha.coreos.com/";
    api.with([&](ScriptedKube& kube) {
      kube.create("n1", {"10.42.1.0/24"}, {{"example.org/other", "stays"}});
      return 0;
    });
    Machine a(bridge, 1);
    a.add_etc("/etc/kube-flannel/net-conf.json", R"({"Network":"10.42.0.0/16","Backend":{"Type":"vxlan"}})");
    a.add_etc("/etc/edge.kubeconfig", api.kubeconfig("s3cret"));
    const std::vector<std::string> flags{"--kube-subnet-mgr", "--kubeconfig-file=/etc/edge.kubeconfig"};
    a.start_with(flags, {"NODE_NAME=n1"});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    const auto annotation = [&](const std::string& name) {
      return api.with([&](ScriptedKube& kube) { return kube.annotation("n1", name); });
    };
    REQUIRE(annotation(prefix + "kube-subnet-manager") == "true");
    CHECK(a.stop() == 0);
    std::vector<std::string> arguments = flags;
    arguments.insert(arguments.begin(), "leave");
    const Outcome left = verb(a, arguments, {"NODE_NAME=n1"});
    CHECK_MESSAGE(left.status == 0, left.output);
    for (const char* name : {"backend-data", "backend-type", "kube-subnet-manager", "public-ip"})
      CHECK(annotation(prefix + name).empty());
    CHECK(annotation("example.org/other") == "stays");
    CHECK_FALSE(contains(a.node().ip("-o link"), "flannel.1"));
    CHECK(files_of(a).empty());
  }
}
