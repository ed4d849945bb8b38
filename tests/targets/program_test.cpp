// SPDX-License-Identifier: Apache-2.0
// The shipped program of a target, in emulation (qemu-user), against a real etcd. The emulator knows links,
// addresses and routes of netlink but neither neighbours nor nf_tables, so that only the way to the lease and
// back is shown here; vm_test.cpp shows the rest on a kernel of the target's own.
#include <doctest/doctest.h>

#include <unistd.h>

#include <csignal>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/certificates.hpp"
#include "system/cluster.hpp"
#include "system/gateway.hpp"
#include "targets/vm.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

/// The program with these arguments, in front of them what runs it.
std::vector<std::string> command(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), target_binary());
  if (!emulator().empty()) arguments.insert(arguments.begin(), emulator());
  return arguments;
}

void start(Machine& machine, std::vector<std::string> arguments) {
  arguments.emplace_back("--sandbox=on");  // not strict: an emulator of programs has no seccomp filter
  std::vector<std::string> all = command(std::move(arguments));
  const std::string program = all.front();
  all.erase(all.begin());
  machine.start_with(all, {}, program);
}

std::string program_means() {
  if (target().empty()) return "no target is named: tests/run.sh program@TARGET";
  if (access(target_binary().c_str(), X_OK) != 0) return target_binary() + " is not built";
  return emulator().empty() ? "" : means::program(emulator());
}

}  // namespace

TEST_SUITE("targets/program") {
  TEST_CASE("the program says its version, and refuses a setting that it does not know") {
    REQUIRE_MEANS(program_means());
    const Outcome version = run({.args = command({"--version"})});
    CHECK(version.status == 0);
    CHECK_MESSAGE(version.output.rfind("flannelette ", 0) == 0, version.output);
    const Outcome wrong = run({.args = command({"--etcd-endpoint=http://127.0.0.1:1"})});
    CHECK(wrong.status == 2);
    CHECK_MESSAGE(contains(wrong.output, "--etcd-endpoints"), wrong.output);
  }

  TEST_CASE(
      "known by a client certificate it finds etcd by name, reads all pages of the list and claims the one "
      "free subnet") {
    REQUIRE_MEANS(program_means(), cluster_means(), means::program("openssl"));
    constexpr int kFirst = 0x100, kFree = 0x3e8,
                  kLast = 0x5b0;  // from 10.1.0.0 to 10.5.176.0, three pages of 500
    const HostNames hosts("etcd.test");
    const Certificates certificates;
    certificates.sign("server", "/CN=etcd", "DNS:etcd.test,IP:172.30.0.1");
    certificates.sign("client", "/O=nodes");
    Etcd::Options options = certificates.etcd_for_known_clients("server");
    options.arguments.insert(options.arguments.end(),
                             {"--listen-client-urls", options.client_url + ",http://172.30.0.1:2378"});
    Etcd etcd(options);
    etcd.configure(
        R"({"Network":"10.0.0.0/8","SubnetMin":"10.1.0.0","SubnetMax":"10.5.176.0","Backend":{"Type":"vxlan"}})");
    Gateway gateway(etcd, 2378);
    put_peers(gateway, kFirst, kFree - 1);
    put_peers(gateway, kFree + 1, kLast);

    Machine a(etcd, 1);
    start(a, {"--iface=eth0", "--etcd-endpoints=https://etcd.test:2379",
              "--etcd-cafile=" + certificates.file("ca.pem"),
              "--etcd-certfile=" + certificates.file("client.pem"),
              "--etcd-keyfile=" + certificates.file("client.key")});
    CHECK_MESSAGE(a.logs("lease held subnet=10.3.232.0/24"), a.log());
    CHECK_MESSAGE(contains(etcd.lease("10.3.232.0-24"), R"("PublicIP":"172.30.0.11")"), a.log());
    CHECK_FALSE(contains(a.log(), "registry request failed"));

    // The watch is heard, and what it brings is judged.
    etcd.put(kSubnetKeys + "10.200.0.0-24", peer_value("172.30.0.11", "02:00:00:00:ff:01"));
    CHECK_MESSAGE(a.logs("peer ignored key=10.200.0.0-24"), a.log());
    a.agent().signal(SIGTERM);
    CHECK_MESSAGE(a.agent().wait(10s) == 0, a.log());
  }

  TEST_CASE("a server whose certificate another CA has signed is refused") {
    REQUIRE_MEANS(program_means(), cluster_means(), means::program("openssl"));
    const Certificates certificates, others;
    certificates.sign("server", "/CN=etcd", "IP:172.30.0.1");
    Etcd etcd(certificates.etcd("server"));
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    start(a, {"--iface=eth0", "--etcd-endpoints=" + etcd.url(), "--etcd-cafile=" + others.file("ca.pem")});
    CHECK_MESSAGE(a.logs("not signed by the configured CA"), a.log());
    CHECK(etcd.leases().empty());
  }
}

TEST_SUITE("targets/notls") {
  TEST_CASE("the smallest build refuses what it was built without, by name, and help says so") {
    REQUIRE_MEANS(program_means());
    const auto refusal = [](const std::string& argument) {
      const Outcome refused = run({.args = command({argument})});
      CHECK(refused.status == 2);
      return refused.output;
    };
    const std::string https = refusal("--etcd-endpoints=https://192.0.2.1:2379");
    CHECK_MESSAGE(contains(https, "this build has no TLS"), https);
    const std::string name = refusal("--etcd-endpoints=http://etcd.example:2379");
    CHECK_MESSAGE(contains(name, "this build resolves no names; give an address"), name);
    const std::string regex = refusal("--iface-regex=eth[0-9]");
    CHECK_MESSAGE(contains(regex, "this build knows no regular expressions; name the interface"), regex);
    const std::string kube = refusal("--kube-subnet-mgr");
    CHECK_MESSAGE(contains(kube, "--kube-subnet-mgr: \"true\": this build knows no Kubernetes"), kube);
    const Outcome help = run({.args = command({"--help"})});
    CHECK(help.status == 0);
    for (const char* missing :
         {"has no TLS: https ", "resolves no names: ", "knows no regular expressions: iface-regex "})
      CHECK_MESSAGE(contains(help.output, std::string("This build ") + missing), help.output);
  }

  TEST_CASE("the smallest build reads the config and the list over http, claims and hears the watch") {
    REQUIRE_MEANS(program_means(), cluster_means());
    Etcd etcd;
    etcd.configure(
        R"({"Network":"10.0.0.0/8","SubnetMin":"10.1.0.0","SubnetMax":"10.3.0.0","Backend":{"Type":"vxlan"}})");
    Gateway gateway(etcd);
    put_peers(gateway, 0x100, 0x1ff);
    put_peers(gateway, 0x201, 0x300);
    Machine a(etcd, 1);
    start(a, {"--iface=eth0", "--etcd-endpoints=" + etcd.url()});
    CHECK_MESSAGE(a.logs("lease held subnet=10.2.0.0/24"), a.log());
    CHECK_FALSE(contains(a.log(), "registry request failed"));
    etcd.put(kSubnetKeys + "10.200.0.0-24", peer_value("172.30.0.11", "02:00:00:00:ff:01"));
    CHECK_MESSAGE(a.logs("peer ignored key=10.200.0.0-24"), a.log());
    a.agent().signal(SIGTERM);
    CHECK_MESSAGE(a.agent().wait(10s) == 0, a.log());
  }
}
