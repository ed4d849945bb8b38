// SPDX-License-Identifier: Apache-2.0
// A running cluster of three flannelds becomes ours node by node, and flanneld's again: what it costs the
// pods, and what stays behind. The steps are those of board/k3s/moving.md.
#include <doctest/doctest.h>

#include <csignal>
#include <functional>
#include <sstream>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "support/project.hpp"
#include "system/flows.hpp"
#include "system/kube_cluster.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

/// Whether the old program has ended when the new one begins. It has not where two DaemonSets see at once
/// that a label of the Node changed.
enum class Order { kOneAfterTheOther, kTogether };

struct Kind {
  const char* backend;
  Order order;
};

/// One of these by subcase.
Kind kind_of_move() {
  Kind kind{R"({"Type":"vxlan"})", Order::kOneAfterTheOther};
  SUBCASE("vxlan") {}
  SUBCASE("vxlan, both programs at once for a moment") { kind.order = Order::kTogether; }
  SUBCASE("vxlan with DirectRouting") { kind.backend = R"({"Type":"vxlan","DirectRouting":true})"; }
  SUBCASE("host-gw") { kind.backend = R"({"Type":"host-gw"})"; }
  SUBCASE("host-gw, both programs at once for a moment") {
    kind = {R"({"Type":"host-gw"})", Order::kTogether};
  }
  const std::string name = kind.backend;
  MESSAGE(name, std::string(kind.order == Order::kTogether ? ", both at once" : ""));
  return kind;
}

std::string config_of(const Kind& kind) {
  return std::string(R"({"Network":"10.240.0.0/16","Backend":)") + kind.backend + "}";
}

/// What differs by registry.
struct Registry {
  /// Starts a program on a machine as its DaemonSet, or its unit, would.
  std::function<void(Machine&, const std::string& program)> start;
  std::vector<std::string> cleanup_flags;
};

bool ready(const Machine& machine, const std::string& program) {
  return machine.logs(program == binary() ? "ready" : "flannel is ready");
}

bool all_reach_all(const std::vector<Machine*>& machines) {
  for (const Machine* from : machines) {
    for (const Machine* to : machines) {
      if (from != to && !pings(from->pod(), host_in(to->subnet(), 2))) return false;
    }
    if (!pings(from->pod(), "172.30.0.1")) return false;  // which knows no pod: masqueraded
  }
  return true;
}

/// All that flanneld made and needs, or would trip over.
std::string flannels_own(const Machine& machine) {
  return shell(machine.node(),
               "ip -d link show flannel.1 2>/dev/null || true; ip -4 -o addr show; ip route | "
               "sed 's/ proto 70//; s/ *$//' | sort; ip nexthop; ip neigh show nud permanent | sort;"
               "(bridge fdb show dev flannel.1 2>/dev/null || true) | sort; PATH=$PATH:/usr/sbin nft list "
               "ruleset | "
               "sed 's/ counter packets [0-9]* bytes [0-9]*//'") +
         file_text(machine.subnet_file());
}

void exchange(Machine& machine, const std::string& program, const Registry& registry, Order order) {
  const std::unique_ptr<Process> old = machine.take_agent();
  const auto end_old = [&] {
    old->signal(SIGTERM);
    CHECK(old->wait(5s) == 0);
  };
  if (order == Order::kOneAfterTheOther) end_old();
  registry.start(machine, program);
  REQUIRE_MESSAGE(ready(machine, program), machine.log());
  if (order == Order::kTogether) end_old();
}

/// All to ours, all back to flanneld.
void move_there_and_back(const std::vector<Machine*>& machines, const Registry& registry, Order order) {
  for (Machine* machine : machines) {
    registry.start(*machine, flanneld());
    REQUIRE_MESSAGE(ready(*machine, flanneld()), machine->log());
  }
  for (Machine* machine : machines) machine->add_pod_on_bridge();
  REQUIRE(all_reach_all(machines));
  std::vector<std::string> before;
  for (const Machine* machine : machines) before.push_back(flannels_own(*machine));
  Flows flows(machines);
  for (const std::string& program : {binary(), flanneld()}) {
    for (Machine* machine : machines) {
      const std::string subnet = machine->subnet();
      flows.step(machine->node().name() + (program == binary() ? " to ours" : " back"), *machine);
      exchange(*machine, program, registry, order);
      if (program == flanneld()) {
        std::vector<std::string> cleanup{binary(), "cleanup", "--for-flanneld"};
        cleanup.insert(cleanup.end(), registry.cleanup_flags.begin(), registry.cleanup_flags.end());
        must_run(machine->command(cleanup));
      }
      CHECK(machine->subnet() == subnet);
      REQUIRE(all_reach_all(machines));
      const auto until = std::chrono::steady_clock::now() + 500ms;
      CHECK(wait_until(5s, [&] { return std::chrono::steady_clock::now() > until; }));
    }
  }
  flows.end();
  MESSAGE(flows.report());
  CHECK(flows.of_others().packets == 0);
  CHECK(flows.of_moved().longest_gap <= 1.0);
  for (std::size_t i = 0; i < machines.size(); ++i) {
    const std::string changed = difference(before[i], flannels_own(*machines[i]));
    CHECK_MESSAGE(changed.empty(), changed);
  }
}

/// What ours left is flanneld's to remove: `gone` was stopped, and its record deleted.
bool forgotten(const std::vector<Machine*>& machines, const std::string& gone) {
  return wait_until(5s, [&] {
    for (const Machine* machine : machines) {
      if (contains(machine->node().ip("route"), gone)) return false;
    }
    return true;
  });
}

}  // namespace

/// A real flanneld is no package of Debian's: this runs with the suite that needs real programs by hand.
TEST_SUITE("kube") {
  TEST_CASE("three flannelds in Kubernetes become ours one by one, and flannelds again") {
    REQUIRE_MEANS(kube_means(), flanneld_means(), means::program("nft"));
    const Kind kind = kind_of_move();
    KubeApi api;
    KubeMachine a(api, 1, flanneld()), b(api, 2, flanneld()), c(api, 3, flanneld());
    for (KubeMachine* machine : {&a, &b, &c}) machine->write_network_config(config_of(kind));
    const auto annotations = [&] {
      std::string text;
      for (const KubeMachine* machine : {&a, &b, &c}) {
        for (const char* name : {"backend-data", "backend-type", "kube-subnet-manager", "public-ip"})
          text += api.annotation(machine->name(), name) + "\n";
      }
      return text;
    };
    std::string before;
    const auto start = [&](Machine& machine, const std::string& program) {
      if (before.empty() && program == binary()) before = annotations();
      static_cast<KubeMachine&>(machine).start_as(program, {"--iface=eth0", "--ip-masq"});
    };
    move_there_and_back({&a, &b, &c}, {start, {"--kube-subnet-mgr"}}, kind.order);
    CHECK(annotations() == before);
    CHECK(c.stop() == 0);
    api.delete_node(c.name());
    CHECK(forgotten({&a, &b}, c.subnet()));
  }

  TEST_CASE(
      "a real API server takes the lines of board/k3s/moving.md: labels that part the nodes, a Pod that "
      "cleans up") {
    REQUIRE_MEANS(kube_means());
    KubeApi api;
    const std::string page = project_file("board/k3s/moving.md");
    const auto between = [&](const std::string& begin, const std::string& end) {
      const auto from = page.find(begin) + begin.size();
      REQUIRE(from >= begin.size());
      return page.substr(from, page.find(end, from) - from);
    };
    const std::string sets = "/apis/apps/v1/namespaces/";
    // Of flannel's DaemonSet what the patch changes.
    api.request("POST", "/api/v1/namespaces", R"({"metadata":{"name":"kube-flannel"}})");
    api.request(
        "POST", sets + "kube-flannel/daemonsets",
        R"({"metadata":{"name":"kube-flannel-ds"},"spec":{"selector":{"matchLabels":{"app":"flannel"}},)"
        R"("template":{"metadata":{"labels":{"app":"flannel"}},"spec":{"affinity":{"nodeAffinity":)"
        R"({"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":)"
        R"([{"key":"kubernetes.io/os","operator":"In","values":["linux"]}]}]}}},)"
        R"("containers":[{"name":"kube-flannel","image":"flannel"}]}}}})");
    const std::string patched =
        api.request("PATCH", sets + "kube-flannel/daemonsets/kube-flannel-ds",
                    between("daemonset kube-flannel-ds -p '", "'"), "application/strategic-merge-patch+json");
    CHECK_MESSAGE(contains(patched, R"([{"key":"kubernetes.io/os","operator":"In","values":["linux"]},)"
                                    R"({"key":"flannelette","operator":"DoesNotExist"}])"),
                  patched);
    const std::string manifest = must_run({.args = {"sed", between("    sed '", "' flannelette.yaml"),
                                                    project_path("board/k3s/flannelette.yaml")}});
    api.apply(manifest);
    const std::string ours = api.request("GET", sets + "flannelette/daemonsets/flannelette");
    CHECK_MESSAGE(contains(ours, R"("nodeSelector":{"flannelette":"true","kubernetes.io/os":"linux"})"),
                  ours);
    std::string pod;
    std::istringstream lines(between("<<'END' | kubectl apply -f -\n", "    END"));
    for (std::string line; std::getline(lines, line);) {
      pod += line.substr(4) + "\n";
      if (contains(line, "image: ")) CHECK(contains(manifest, line.substr(line.find("image: "))));
    }
    for (auto at = pod.find("NODE"); at != pod.npos; at = pod.find("NODE")) pod.replace(at, 4, "n1");
    api.apply(pod, true);
  }

  TEST_CASE("three flannelds with etcd become ours one by one, and flannelds again") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"), flanneld_means());
    const Kind kind = kind_of_move();
    Etcd etcd;
    etcd.configure(config_of(kind));
    Machine a(etcd, 1), b(etcd, 2), c(etcd, 3);
    const auto start = [](Machine& machine, const std::string& program) {
      machine.start({"--iface=eth0", "--ip-masq"}, program);
    };
    move_there_and_back({&a, &b, &c}, {start, {}}, kind.order);
    CHECK(c.stop() == 0);
    etcd.ctl({"del", kSubnetKeys + lease_name(c.subnet())});
    CHECK(forgotten({&a, &b}, c.subnet()));
  }
}
