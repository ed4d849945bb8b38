// SPDX-License-Identifier: Apache-2.0
// How the program is called: settings that are wrong end it with 2 and a line that names the place; what is
// merely not there yet is waited for.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <memory>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/cluster.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

std::string program_means() { return access(binary().c_str(), X_OK) == 0 ? "" : binary() + " is not built"; }

/// The program with these arguments, in a namespace without a network.
Outcome call(std::vector<std::string> arguments, std::vector<std::string> env = {},
             const std::string& program = binary()) {
  const Node node("cli");
  arguments.insert(arguments.begin(), program);
  return run({.args = std::move(arguments), .env = std::move(env), .netns = node.name()}, 3s);
}

/// A service manager's socket, in the machine's network namespace (where an abstract name lives).
class NotifySocket {
 public:
  NotifySocket(const Node& node, const std::string& name)
      : fd_(node.inside([&] { return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); })) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof address.sun_path - 1);
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    REQUIRE(bind(fd_, reinterpret_cast<const sockaddr*>(&address), size) == 0);
  }
  ~NotifySocket() { close(fd_); }
  /// Sends to it until it takes no more.
  void fill(const Node& node, const std::string& path) const {
    const int fd = node.inside([&] { return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); });
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    while (sendto(fd, "x", 1, 0, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 1) {
    }
    CHECK(errno == EAGAIN);
    close(fd);
  }
  /// One datagram, empty if there is none.
  std::string receive() const {
    char buffer[256];
    const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
    return got > 0 ? std::string(buffer, static_cast<std::size_t>(got)) : "";
  }

 private:
  int fd_;
};

}  // namespace

TEST_SUITE("system/settings") {
  TEST_CASE("a wrong INI file ends the program with 2, naming file, line and key") {
    REQUIRE_MEANS(program_means(), means::namespaces());
    const TempDir files;
    const std::string file = files.file("flannelette.ini");
    const struct {
      const char* text;
      const char* line;
      const char* words;
    } cases[] = {
        {"[etcd]\nprefix = /x\nendpiont = http://127.0.0.1:1\n", ":3: endpiont: ", "the nearest is endpoint"},
        {"[ectd]\nprefix = /x\n", ":1: ", "the nearest is [etcd]"},
        {"[node]\nip-masq = yes\n", ":2: ip-masq: ", "true or false"},
        {"[node]\n\n# a comment\nip-forward = on\n", ":4: ip-forward: ", "set or warn"},
        {"[node]\nnexthop-objects = no\n", ":2: nexthop-objects: ", "auto or off"},
        {"[etcd]\nlease-ttl = 1\n", ":2: lease-ttl: ", "5s"},
        {"[etcd]\nendpoint = ftp://127.0.0.1\n", ":2: endpoint: ", "ftp://127.0.0.1"},
        {"[etcd]\nprefix = /x ; a comment\n", ":2: ", "comment"},
        {"[node]\nprefix = /x\n", ":2: prefix: ", "belongs in [etcd]"},
        {"[etcd]\nprefix = /x\nprefix = /y\n", ":3: prefix: ", "twice"},
        {"[node]\ninterface = a/b\n", ":2: interface: ", "interface name"},
        {"[node]\npublic-ip = fd00::1\n", ":2: public-ip: ", "IPv4"},
        {"[node]\npublic-ip = 224.0.0.1\n", ":2: public-ip: ", "IPv4"},
        {"[etcd]\nno value here\n", ":2: ", "key = value"},
    };
    for (const auto& c : cases) {
      write_file(file, c.text);
      const Outcome outcome = call({"run", "-c", file});
      INFO(c.text, outcome.output);
      CHECK(outcome.status == 2);
      CHECK(contains(outcome.output, file + c.line));
      CHECK(contains(outcome.output, c.words));
      CHECK(count_lines(outcome.output) == 1);
    }
    write_file(file, "[etcd]\nprefix = /" + std::string(250, 'x') + "\n");
    const Outcome long_line = call({"-c", file});
    CHECK(long_line.status == 2);
    CHECK_MESSAGE(contains(long_line.output, file + ":2: "), long_line.output);
    const Outcome absent = call({"-c", files.file("absent.ini")});
    CHECK(absent.status == 2);
    CHECK_MESSAGE(contains(absent.output, "absent.ini"), absent.output);
  }

  TEST_CASE("a FIFO, a device or a folder for a file ends the program with 2, naming path and kind") {
    REQUIRE_MEANS(program_means(), means::namespaces());
    const TempDir files;
    const std::string fifo = files.file("fifo"), ini = files.file("ini");
    REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
    const std::pair<std::string, std::string> kinds[] = {{fifo, "a FIFO, not a regular file"},
                                                         {"/dev/zero", "a device, not a regular file"},
                                                         {files.path(), "Is a directory"}};
    for (const auto& [path, words] : kinds) {
      write_file(ini, "[etcd]\nusername = u\npassword-file = " + path + "\n");
      const std::vector<std::string> calls[] = {
          {"-c", path},
          {"-c", ini},
          {"--etcd-endpoints=https://127.0.0.1:1", "--etcd-cafile=" + path},
      };
      for (const auto& arguments : calls) {
        const Outcome outcome = call(arguments);
        INFO(arguments.back(), path, outcome.output);
        CHECK(outcome.status == 2);
        CHECK(contains(outcome.output, path));
        CHECK(contains(outcome.output, words));
        CHECK(count_lines(outcome.output) == 1);
      }
    }
  }

  TEST_CASE("without CAP_NET_ADMIN it ends with 1, and no lease is taken") {
    REQUIRE_MEANS(cluster_means(), means::program("setpriv"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    const Outcome refused = run(a.command({"setpriv", "--bounding-set=-net_admin", binary(),
                                           "--etcd-endpoints=" + etcd.url(), "--iface=eth0"}));
    CHECK(refused.status == 1);
    CHECK_MESSAGE(contains(refused.output, "CAP_NET_ADMIN is needed"), refused.output);
    CHECK(etcd.leases().empty());
  }

  TEST_CASE("compat 9.27: an unknown flag and a bad value exit 2, version and help go to standard output") {
    REQUIRE_MEANS(program_means(), means::namespaces());
    Outcome outcome = call({"--etcd-endpoint=http://127.0.0.1:1"});
    CHECK(outcome.status == 2);
    CHECK_MESSAGE(contains(outcome.output, "the nearest is --etcd-endpoints"), outcome.output);
    outcome = call({"--subnet-lease-renew-margin=0"});
    CHECK(outcome.status == 2);
    CHECK_MESSAGE(contains(outcome.output, "--subnet-lease-renew-margin"), outcome.output);
    outcome = call({"-kube-subnet-mgr"}, {"NODE_NAME=node-1"});
    CHECK(outcome.status == 2);
    CHECK_MESSAGE(contains(outcome.output, "no API server is known"), outcome.output);
    outcome = call({"-kube-subnet-mgr", "-kubeconfig-file=/absent.kubeconfig"}, {"NODE_NAME=node-1"});
    CHECK(outcome.status == 2);
    CHECK_MESSAGE(contains(outcome.output, "/absent.kubeconfig: there is no such file"), outcome.output);
    outcome = call({}, {"FLANNELD_IP_MASQ=perhaps"});
    CHECK(outcome.status == 2);
    CHECK_MESSAGE(contains(outcome.output, "FLANNELD_IP_MASQ"), outcome.output);
    outcome = call({"", "rnu"}, {"NOTIFY_SOCKET="});
    CHECK(outcome.status == 2);
    CHECK_MESSAGE(contains(outcome.output, "the nearest is run"), outcome.output);
    outcome = call({"help", "ectd"});
    CHECK(outcome.status == 2);
    CHECK_MESSAGE(contains(outcome.output, "help: ectd: unknown verb or group"), outcome.output);
    outcome = call({"leave", "--help"});
    CHECK(outcome.status == 0);
    CHECK_MESSAGE(contains(outcome.output, "usage: flannelette leave [flags]\n"), outcome.output);
    for (const char* arguments :
         {"--version", "-version", "version", "--help", "-h", "help", "help all", "help run"}) {
      const Outcome printed = run({.args = {"sh", "-c", binary() + " " + arguments + " 2>/dev/null"}});
      CHECK_MESSAGE(printed.status == 0, arguments);
      CHECK_MESSAGE(contains(printed.output, "flannelette"), arguments);
    }
  }

  TEST_CASE("what goes into the journal has its priorities, what goes to another place beside it has none") {
    REQUIRE_MEANS(program_means(), means::namespaces(), means::program("stat"));
    const std::string arguments = " --iptables-resync=10 --etcd-endpoint=x";
    const Outcome journal = call(
        {"-c", "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec " + binary() + arguments}, {}, "sh");
    CHECK_MESSAGE(contains(journal.output, "<4>flannelette: notice: --iptables-resync: "), journal.output);
    CHECK_MESSAGE(contains(journal.output, "<3>flannelette: --etcd-endpoint: unknown flag"), journal.output);
    const Outcome other =
        call({"-c", "JOURNAL_STREAM=$(stat -L -c %d:%i /dev/null) exec " + binary() + arguments}, {}, "sh");
    CHECK_MESSAGE(other.output.starts_with("flannelette: "), other.output);
  }

  TEST_CASE("flanneld's command line in a unit file works unchanged") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.put("/my/net/config", kVxlanConfig);
    Machine a(etcd, 1), b(etcd, 2);
    a.start_with({"-etcd-endpoints=http://172.30.0.1:2379", "-etcd-prefix=/my/net", "--ip-masq",
                  "-iface=eth0", "-subnet-file", a.subnet_file(), "-iptables-resync=10", "-healthz-port=0",
                  "-v=0", "--kube-annotation-prefix=example.com"});
    b.start_with({"--iface", "172.30.0.12"},
                 {"FLANNELD_ETCD_ENDPOINTS=http://172.30.0.1:2379", "FLANNELD_ETCD_PREFIX=/my/net/",
                  "FLANNELD_SUBNET_FILE=" + b.subnet_file()});
    CHECK_MESSAGE(a.joined(1), a.log());
    CHECK_MESSAGE(b.joined(1), b.log());
    CHECK(count_of(a.log(), "notice: --iptables-resync: accepted without effect") == 1);
    CHECK(count_of(a.log(), "notice: --kube-annotation-prefix: accepted without effect") == 1);
    CHECK(contains(etcd.ctl({"get", "--prefix", "--keys-only", "/my/net/subnets/"}), lease_name(a.subnet())));
    const std::string env = file_text(a.subnet_file());
    CHECK(env == "FLANNEL_NETWORK=10.64.0.0/16\nFLANNEL_SUBNET=" + host_in(a.subnet(), 1) +
                     "/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n");
  }

  TEST_CASE(
      "the service manager is told READY=1 once, when subnet.env is there, by path and by abstract name") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    const TempDir files;
    Machine a(etcd, 1);
    for (const std::string& name : {files.file("notify"), std::string("@flannelette-test-notify")}) {
      const NotifySocket manager(a.node(), name);
      (void)unlink(a.subnet_file().c_str());
      a.start_with({"--etcd-endpoints=" + etcd.url()}, {"NOTIFY_SOCKET=" + name});
      std::string told;
      REQUIRE_MESSAGE(wait_until(10s, [&] { return !(told = manager.receive()).empty(); }), name, a.log());
      CHECK((told == "READY=1" || told == "READY=1\n"));
      CHECK_FALSE(a.subnet().empty());
      etcd.put(kSubnetKeys + "10.64.200.0-24", peer_value("172.30.0.90", "02:00:00:00:00:01"));
      CHECK(wait_until(5s, [&] { return count_lines(a.routes()) == 1; }));
      CHECK(manager.receive() == "");
      CHECK(a.stop() == 0);
    }
    a.start_with(
        {"", "--etcd-endpoints=" + etcd.url(), "--iface=eth0", "--subnet-file=" + a.subnet_file(), ""},
        {"NOTIFY_SOCKET="});
    CHECK_MESSAGE(a.logs("ready"), a.log());
    CHECK_FALSE(contains(a.log(), "service manager"));
  }

  TEST_CASE(
      "nobody reads stderr nor the service manager's socket: the lease is kept, SIGTERM ends it in time") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    const TempDir files;
    const std::string pipe = files.file("stderr"), ini = files.file("ini"), name = files.file("notify");
    write_file(ini, "[etcd]\nlease-ttl = 5s\n");
    REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
    const int reader = open(pipe.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
    REQUIRE(reader >= 0);
    const std::string page(4096, 'x');
    while (write(reader, page.data(), page.size()) > 0) {
    }
    Machine a(etcd, 1);
    const NotifySocket manager(a.node(), name);
    manager.fill(a.node(), name);
    a.start_with({"-c", "exec \"$@\" 2>" + pipe, "sh", binary(), "run", "-c", ini, "--log-level=debug",
                  "--healthz-ip=127.0.0.1", "--etcd-endpoints=" + etcd.url(), "--iface=eth0",
                  "--subnet-file=" + a.subnet_file()},
                 {"NOTIFY_SOCKET=" + name}, "sh");
    CHECK(a.joined(0));
    CHECK_FALSE(wait_until(7s, [&] { return etcd.leases().size() != 1; }));
    std::string told;
    CHECK(wait_until(3s, [&] { return (told = manager.receive()).starts_with("READY=1"); }));
    a.agent().signal(SIGTERM);
    CHECK(a.agent().wait(1s) == 0);
    close(reader);
  }

  TEST_CASE("a missing interface is waited for, and used when it comes") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    a.start_with({"--etcd-endpoints=" + etcd.url(), "--iface=wan0"});
    REQUIRE_MESSAGE(a.logs("waiting for the interface"), a.log());
    CHECK(contains(a.log(), "wanted=wan0"));
    CHECK(a.running());
    connect_to_bridge(etcd.node(), "br0", "w1", a.node(), "wan0");
    CHECK_MESSAGE(a.logs("the interface has no IPv4 address"), a.log());
    a.node().ip("addr add 172.30.0.91/24 dev wan0");
    CHECK_MESSAGE(a.joined(0), a.log());
    CHECK(a.device("local") == "172.30.0.91");
  }

  TEST_CASE(
      "two daemons with a prefix, a subnet file and a VNI of their own live on one node beside each other") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Etcd etcd;
    // The same place in Network gives the same nexthop id.
    etcd.put("/one/config", R"({"Network":"10.64.0.0/16","Backend":{"Type":"vxlan","VNI":1}})");
    etcd.put("/two/config", R"({"Network":"10.65.0.0/16","Backend":{"Type":"vxlan","VNI":2,"Port":8473}})");
    etcd.put("/one/subnets/10.64.7.0-24", peer_value("172.30.0.90", "02:00:00:00:00:01"));
    std::string second = peer_value("172.30.0.91", "02:00:00:00:00:02");
    second.replace(second.find("\"VNI\":1"), 7, "\"VNI\":2");
    etcd.put("/two/subnets/10.65.7.0-24", second);
    Machine a(etcd, 1);
    const std::vector<std::string> one{"--etcd-endpoints=" + etcd.url(), "--etcd-prefix=/one",
                                       "--subnet-file=/run/flannel/one.env", "--ip-masq"};
    const std::vector<std::string> two{binary(), "--etcd-endpoints=" + etcd.url(), "--etcd-prefix=/two",
                                       "--subnet-file=/run/flannel/two.env", "--ip-masq"};
    const auto routes = [&](const std::string& device) {
      return run({.args = words("ip route show dev " + device), .netns = a.node().name()}).output;
    };
    const auto all = [&] {
      return a.node().ip("-d link show type vxlan") + routes("flannel.1") + routes("flannel.2") +
             shell(a.node(), "nft -a list ruleset") + file_text(a.file("/run/flannel/one.env")) +
             file_text(a.file("/run/flannel/two.env")) + etcd.ctl({"get", "--prefix", "/"});
    };
    a.start_with(one);
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    auto other = std::make_unique<Process>(a.command(two));
    REQUIRE_MESSAGE(wait_until(20s, [&] { return contains(other->output(), "ready"); }), other->output());
    CHECK(contains(routes("flannel.1"), "10.64.7.0/24"));
    CHECK(contains(routes("flannel.2"), "10.65.7.0/24"));
    CHECK(contains(file_text(a.file("/run/flannel/one.env")), "FLANNEL_NETWORK=10.64.0.0/16\n"));
    CHECK(contains(file_text(a.file("/run/flannel/two.env")), "FLANNEL_NETWORK=10.65.0.0/16\n"));
    for (const std::string folder : {"/prefix+one", "/prefix+two"})
      CHECK(wait_until(10s, [&] { return !file_text(a.state_dir() + folder + "/peers").empty(); }));
    for (const std::string network : {"10.64.0.0/16", "10.65.0.0/16"})
      CHECK(contains(shell(a.node(), "nft list ruleset"), "ip saddr " + network + " accept"));

    // Each looks at its own again, and leaves the other's alone.
    const std::string before = all();
    CHECK(a.stop() == 0);
    a.start_with(one);
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    other->signal(SIGTERM);
    CHECK(other->wait(5s) == 0);
    other = std::make_unique<Process>(a.command(two));
    REQUIRE_MESSAGE(wait_until(20s, [&] { return contains(other->output(), "ready"); }), other->output());
    CHECK(all() == before);
    CHECK_FALSE(contains(a.log() + other->output(), "error:"));
    CHECK_FALSE(contains(a.log() + other->output(), "data plane out of sync"));
  }

  TEST_CASE("an endpoint that does not answer is passed over, one that comes later is found") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1), b(etcd, 2);
    a.start_with({"--etcd-endpoints=http://172.30.0.1:9,http://172.30.0.250:2379,http://172.30.0.1:2379"});
    CHECK_MESSAGE(a.joined(0), a.log());
    CHECK_MESSAGE(contains(a.log(), "endpoint=http://172.30.0.1:9"), a.log());
    etcd.stop();
    b.start();
    REQUIRE_MESSAGE(b.logs("registry request failed"), b.log());
    CHECK(contains(b.log(), "Connection refused"));
    etcd.start();
    CHECK_MESSAGE(b.joined(1), b.log());
    CHECK(contains(b.log(), "registry reachable again"));
    CHECK_MESSAGE(wait_until(40s, [&] { return count_lines(a.routes()) == 1; }), a.log());
  }

  TEST_CASE("compat 9.6: SIGTERM and SIGINT end the agent with 0 within a second, whatever it waits for") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    Machine a(etcd, 1);
    const auto ends = [&](int number) {
      a.agent().signal(number);
      const auto status = a.agent().wait(1s);
      CHECK_MESSAGE(status.value_or(-1) == 0, a.log());
    };
    for (const int number : {SIGTERM, SIGINT}) {
      a.start_with({"--etcd-endpoints=" + etcd.url(), "--iface=wan0"});
      REQUIRE(a.logs("waiting for the interface"));
      ends(number);
      a.start();  // there is no config
      REQUIRE_MESSAGE(a.logs("there is no network config"), a.log());
      ends(number);
      a.start_with({"--etcd-endpoints=http://172.30.0.1:9"});
      REQUIRE(a.logs("registry request failed"));
      ends(number);
      a.start_with({"--etcd-endpoints=http://172.30.0.250:2379"});
      REQUIRE(a.logs("interface chosen"));  // connecting to an address that does not answer
      ends(number);
    }
    etcd.configure(
        R"({"Network":"10.64.0.0/24","SubnetLen":26,"SubnetMin":"10.64.0.64","SubnetMax":"10.64.0.64","Backend":{"Type":"vxlan"}})");
    etcd.put(kSubnetKeys + "10.64.0.64-26", peer_value("172.30.0.90", "02:00:00:00:00:01"));
    a.start();
    REQUIRE_MESSAGE(a.logs("no subnet is free"), a.log());
    ends(SIGTERM);
    a.start();
    REQUIRE(a.logs("no subnet is free"));
    etcd.ctl({"del", kSubnetKeys + "10.64.0.64-26"});
    REQUIRE_MESSAGE(a.joined(0), a.log());  // one became free
    ends(SIGTERM);
  }
}
