// SPDX-License-Identifier: Apache-2.0
// The shipped program with Nodes as registry: a scripted API server behind TLS, real kernels, real packets.
#include <doctest/doctest.h>

#include <chrono>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/api_server.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

const std::string kPrefix = "flannel.alpha.coreos.com/";

ScriptedKube::Texts peer_annotations(const std::string& ip, const std::string& mac) {
  return {{kPrefix + "backend-data", R"({"VNI":1,"VtepMAC":")" + mac + "\"}"},
          {kPrefix + "backend-type", "vxlan"},
          {kPrefix + "kube-subnet-manager", "true"},
          {kPrefix + "public-ip", ip}};
}

struct KubeCluster {
  KubeCluster() {
    for (const char* number : {"1", "2"})
      api.with([&](ScriptedKube& kube) {
        kube.create(std::string("n") + number, {std::string("10.42.") + number + ".0/24"});
        return 0;
      });
  }
  void add_peer(const std::string& name, const std::string& third) {
    api.with([&](ScriptedKube& kube) {
      kube.create(name, {"10.42." + third + ".0/24"},
                  peer_annotations("172.30.0.200", "02:00:00:00:00:" + third));
      return 0;
    });
  }
  std::string annotation(const std::string& node, const std::string& key) {
    return api.with([&](ScriptedKube& kube) { return kube.annotation(node, kPrefix + key); });
  }
  /// As a new user does it: all but the kubeconfig's place is the default.
  void start(Machine& machine, const std::string& node, const std::vector<std::string>& more = {}) {
    machine.add_etc("/etc/kube-flannel/net-conf.json",
                    R"({"Network":"10.42.0.0/16","Backend":{"Type":"vxlan"}})");
    machine.add_etc("/etc/edge.kubeconfig", api.kubeconfig("s3cret"));
    std::vector<std::string> arguments{"--kube-subnet-mgr", "--kubeconfig-file=/etc/edge.kubeconfig"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    machine.start_with(arguments, {"NODE_NAME=" + node});
  }

  Etcd bridge{{.process = false}};
  ApiServer api{bridge};
};

bool has_route(const Machine& machine, const std::string& subnet) {
  return contains(run({.args = words("ip route show dev flannel.1"), .netns = machine.node().name()}).output,
                  subnet);
}

}  // namespace

TEST_SUITE("system/kube") {
  TEST_CASE("two nodes join by their Nodes, and their pods reach each other") {
    REQUIRE_MEANS(cluster_means());
    KubeCluster cluster;
    Machine first(cluster.bridge, 1), second(cluster.bridge, 2);
    cluster.start(first, "n1");
    cluster.start(second, "n2");
    REQUIRE(first.joined(1));
    REQUIRE(second.joined(1));
    CHECK(first.subnet() == "10.42.1.0/24");
    CHECK(cluster.annotation("n1", "public-ip") == first.address());
    CHECK(cluster.annotation("n1", "backend-type") == "vxlan");
    CHECK(cluster.annotation("n1", "backend-data") ==
          R"({"VNI":1,"VtepMAC":")" + first.device("link/ether") + "\"}");
    CHECK(cluster.annotation("n1", "kube-subnet-manager") == "true");
    CHECK(cluster.api.with([](ScriptedKube& kube) {
      const auto& conditions = kube.find("n1")->conditions;
      const auto found = conditions.find("NetworkUnavailable");
      return found == conditions.end() ? std::string() : found->second.at("status");
    }) == "False");
    first.add_pod();
    const std::string pod = second.add_pod();
    CHECK(pings(first.pod(), pod));
    CHECK(!contains(first.log() + second.log(), "s3cret"));
  }

  TEST_CASE("a peer that comes, goes, and comes while the API server is away") {
    REQUIRE_MEANS(cluster_means());
    KubeCluster cluster;
    Machine machine(cluster.bridge, 1);
    cluster.start(machine, "n1");
    REQUIRE(machine.joined(0));
    cluster.add_peer("p1", "31");
    CHECK(wait_until(5s, [&] { return has_route(machine, "10.42.31.0/24"); }));
    cluster.api.set_away(true);
    cluster.api.with([](ScriptedKube& kube) {
      kube.remove("p1");
      return 0;
    });
    cluster.add_peer("p2", "32");
    REQUIRE(machine.logs("registry request failed"));
    CHECK(has_route(machine, "10.42.31.0/24"));
    cluster.api.set_away(false);
    CHECK(wait_until(10s, [&] { return has_route(machine, "10.42.32.0/24"); }));
    CHECK(!has_route(machine, "10.42.31.0/24"));
    CHECK(machine.logs("registry reachable again"));
  }

  TEST_CASE("a node whose API server is away boots as it was") {
    REQUIRE_MEANS(cluster_means());
    KubeCluster cluster;
    Machine machine(cluster.bridge, 1);
    cluster.add_peer("p1", "31");
    cluster.start(machine, "n1");
    REQUIRE(machine.joined(1));
    REQUIRE(
        wait_until(10s, [&] { return !file_text(machine.file("/var/lib/flannelette/kube/peers")).empty(); }));
    const std::string mac = machine.device("link/ether");
    machine.reboot();
    cluster.api.set_away(true);
    cluster.start(machine, "n1");
    REQUIRE(machine.joined(1));
    CHECK(machine.logs("degraded"));
    CHECK(machine.device("link/ether") == mac);
    cluster.api.set_away(false);
    CHECK(machine.logs("no longer degraded"));
  }

  TEST_CASE("a token that was rotated is used at once") {
    REQUIRE_MEANS(cluster_means());
    KubeCluster cluster;
    Machine machine(cluster.bridge, 1);
    const auto rotate = [&](const std::string& token) {
      machine.add_etc("/etc/token", token + "\n");
      cluster.api.with([&](ScriptedKube& kube) {
        kube.tokens = {token};
        kube.end_watches();
        kube.cut_all();
        return 0;
      });
    };
    machine.add_etc("/etc/ca.crt", file_text(cluster.api.ca_file()));
    machine.add_etc("/etc/kube-flannel/net-conf.json", R"({"Network":"10.42.0.0/16"})");
    machine.add_etc(
        "/etc/k",
        "current-context: e\nclusters:\n- name: e\n  cluster:\n    server: " + cluster.api.url() +
            "\n    certificate-authority: ca.crt\ncontexts:\n- name: e\n  context:\n    cluster: e\n"
            "    user: e\nusers:\n- name: e\n  user:\n    tokenFile: token\n");
    rotate("one");
    machine.start_with({"--kube-subnet-mgr", "--kubeconfig-file=/etc/k"}, {"NODE_NAME=n1"});
    REQUIRE(machine.joined(0));
    rotate("two");
    cluster.add_peer("p1", "31");
    CHECK(wait_until(10s, [&] { return has_route(machine, "10.42.31.0/24"); }));
    CHECK(!contains(machine.log(), "credentials"));
  }

  TEST_CASE("a missing right is named") {
    REQUIRE_MEANS(cluster_means());
    KubeCluster cluster;
    cluster.api.with([](ScriptedKube& kube) {
      kube.denied = {"patch nodes/status"};
      return 0;
    });
    Machine machine(cluster.bridge, 1);
    cluster.start(machine, "n1");
    CHECK(machine.logs("cannot patch resource"));
    CHECK(contains(machine.log(), "nodes/status"));
    cluster.api.with([](ScriptedKube& kube) {
      kube.denied.clear();
      return 0;
    });
    CHECK(machine.joined(0));
  }
}
