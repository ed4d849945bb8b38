// SPDX-License-Identifier: Apache-2.0
// The program as README.md tells to start it, and nothing else.
#include <doctest/doctest.h>

#include <sstream>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "support/project.hpp"
#include "system/api_server.hpp"
#include "system/certificates.hpp"
#include "system/cluster.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

/// The one line of README.md that a user may type and that begins with `beginning`, as arguments.
std::vector<std::string> readme_command(const std::string& beginning) {
  std::istringstream lines(project_file("README.md"));
  std::vector<std::string> found;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("    " + beginning)) continue;
    REQUIRE(found.empty());
    const auto quote = line.find('\'');
    found = words(line.substr(0, quote));
    if (quote != line.npos) found.push_back(line.substr(quote + 1, line.rfind('\'') - quote - 1));
  }
  REQUIRE(found.size() > 1);
  found.erase(found.begin());
  return found;
}

/// Where README's etcd is: TLS at 10.0.0.1.
struct ReadmeCluster {
  Certificates certificates;
  Etcd etcd;
  ReadmeCluster() : etcd(options()) {
    etcd.node().ip("addr add 10.0.0.1/32 dev br0");
    etcd.start();
    etcd.ctl(readme_command("etcdctl"));
  }
  Etcd::Options options() const {
    certificates.sign("server", "/CN=etcd", "IP:10.0.0.1");
    Etcd::Options options = certificates.etcd("server");
    options.client_url = "https://10.0.0.1:2379";
    options.process = false;  // until the address is there
    return options;
  }
  void start(Machine& machine) const {
    machine.add_etc("/etc/flannelette/ca.pem", file_text(certificates.file("ca.pem")));
    machine.start_with(readme_command("flannelette --etcd"));
  }
};

/// The program on this machine, to its end: the exit status.
int run_as(const Machine& machine, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), binary());
  const Outcome outcome = run(machine.command(std::move(arguments)), 40s);
  INFO(outcome.output);
  return outcome.status;
}

}  // namespace

TEST_SUITE("system/defaults") {
  TEST_CASE("README's command line joins, and after a reboot without etcd the node finds its peers") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"), means::program("nft"));
    ReadmeCluster cluster;
    Machine a(cluster.etcd, 1), b(cluster.etcd, 2);
    cluster.start(a);
    cluster.start(b);
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE_MESSAGE(b.joined(1), b.log());
    CHECK_FALSE(contains(a.log(), "error:"));
    CHECK(file_text(a.subnet_file()).starts_with("FLANNEL_NETWORK=10.42.0.0/16\n"));
    CHECK(contains(shell(a.node(), "nft list ruleset"), "masquerade"));
    CHECK(wait_until(5s, [&] { return run_as(a, readme_command("flannelette status")) == 0; }));
    a.add_pod();
    b.add_pod();
    const std::string subnet = a.subnet(), mac = a.device("link/ether"), routes = a.routes();
    const std::string pod_b = host_in(b.subnet(), 2);
    REQUIRE(wait_until(5s, [&] { return pings(a.pod(), pod_b); }));
    REQUIRE(wait_until(10s, [&] { return !file_text(a.state_dir() + "/peers").empty(); }));

    cluster.etcd.stop();
    a.reboot();
    REQUIRE(a.subnet().empty());
    cluster.start(a);
    REQUIRE_MESSAGE(a.joined(1), a.log());
    CHECK(a.logs("degraded"));
    CHECK(a.subnet() == subnet);
    CHECK(a.device("link/ether") == mac);
    CHECK(a.routes() == routes);
    a.add_pod();
    CHECK_MESSAGE(wait_until(3s, [&] { return pings(a.pod(), pod_b); }), a.log());

    cluster.etcd.start();
    CHECK_MESSAGE(a.logs("no longer degraded"), a.log());
    CHECK(a.subnet() == subnet);
    CHECK(pings(a.pod(), pod_b));

    CHECK(a.stop() == 0);
    CHECK(run_as(a, readme_command("flannelette leave")) == 0);
    CHECK(cluster.etcd.lease(lease_name(subnet)).empty());
    // b finds its way back to etcd first, whose gateway may be silent for 10 s and more while it starts.
    CHECK_MESSAGE(wait_until(100s, [&] { return b.routes().empty(); }), b.routes(), b.log());
    CHECK(b.stop() == 0);
    CHECK(run_as(b, readme_command("flannelette cleanup")) == 0);
    for (const Machine* machine : {&a, &b}) {
      CHECK_FALSE(contains(machine->node().ip("-o link"), "flannel.1"));
      CHECK(file_text(machine->subnet_file()).empty());
      CHECK(file_text(machine->state_dir() + "/node").empty());
    }
  }

  TEST_CASE("README's command line for Kubernetes joins, with the config that README puts into etcd") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"), means::program("hostname"));
    Etcd bridge({.process = false});
    ApiServer api(bridge);
    const std::string host = shell(bridge.node(), "hostname | tr A-Z a-z | tr -d '\\n'");
    api.with([&](ScriptedKube& kube) {
      kube.create(host, {"10.42.1.0/24"});
      return 0;
    });
    Machine machine(bridge, 1);
    machine.add_etc("/etc/flannelette/kubeconfig", api.kubeconfig("token"));
    machine.add_etc("/etc/kube-flannel/net-conf.json", readme_command("etcdctl").back());
    machine.start_with(readme_command("flannelette --kube"));
    REQUIRE_MESSAGE(machine.joined(0), machine.log());
    CHECK(machine.subnet() == "10.42.1.0/24");
    CHECK(api.with([&](ScriptedKube& kube) {
      return kube.annotation(host, "flannel.alpha.coreos.com/public-ip");
    }) == machine.address());
  }
}
