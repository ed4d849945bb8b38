// SPDX-License-Identifier: Apache-2.0
// The manifests of board/k3s: a real API server takes them, and what they allow is enough, no more than is
// needed, and the same as what their Pods get.
#include <filesystem>
#include <sstream>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "support/project.hpp"
#include "system/kube_cluster.hpp"
#include "system/pings.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

const std::string kPods = "/api/v1/namespaces/flannelette/pods";
const char* const kNetAdmin = "0000000000001000";

/// The answer to a kubelet's probe: the status.
std::string probe(const Machine& machine, const std::string& url) {
  return run({.args = {"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url},
              .netns = machine.node().name()})
      .output;
}

std::string status(Machine& machine, const std::string& field) {
  std::istringstream in(file_text("/proc/" + std::to_string(machine.agent().pid()) + "/status"));
  for (std::string word; in >> word;) {
    if (word == field + ":" && in >> word) return word;
  }
  return "";
}

/// With a podCIDR of the network that the manifest has.
struct PodMachine : KubeMachine {
  PodMachine(const KubeApi& api, int number)
      : KubeMachine(api, number, binary(), "10.42." + std::to_string(number) + ".0/24") {}
};

/// The lines of code on the page of k3s behind this heading, those alone that begin so.
std::string page_lines(const std::string& heading, const std::string& beginning) {
  const std::string page = project_file("board/k3s/README.md");
  std::istringstream in(page.substr(page.find("\n### " + heading) + 1));
  std::string found;
  std::getline(in, found);
  found.clear();
  for (std::string line; std::getline(in, line) && !line.starts_with("##");) {
    if (line.starts_with("    " + beginning)) found += line.substr(4) + "\n";
  }
  return found;
}

}  // namespace

TEST_SUITE("kube") {
  TEST_CASE("a real API server takes the manifests as they are, twice, and the Pod that they describe") {
    REQUIRE_MEANS(kube_means());
    KubeApi api;
    for (int i = 0; i < 2; ++i) {
      for (const char* manifest : {"rbac.yaml", "flannelette.yaml"})
        api.apply(project_file(std::string("board/k3s/") + manifest), true);
    }
    // With the limits of its namespace and the priority that the cluster knows.
    const DaemonSet set(api);
    const std::string pod = api.request("POST", kPods + "?dryRun=All", set.pod("x"));
    CHECK(contains(pod, R"("priority":2000001000)"));
  }

  TEST_CASE(
      "as the DaemonSet starts it, with CAP_NET_ADMIN alone and nothing but its folders to write to, a node "
      "joins, answers the probes, and is replaced by the next one without a packet lost") {
    REQUIRE_MEANS(kube_means(), means::program("nft"));
    KubeApi api;
    PodMachine a(api, 1), b(api, 2);
    for (PodMachine* m : {&a, &b}) {
      shell(m->node(), "echo 1 >/proc/sys/net/ipv4/ip_forward");  // as Kubernetes wants it
      m->start_in_pod(api.token());
    }
    for (PodMachine* m : {&a, &b}) REQUIRE_MESSAGE(m->joined(1), m->log());
    const DaemonSet::Container agent = a.daemon_set().agent();
    for (const char* kind : {"livenessProbe", "readinessProbe"}) {
      CAPTURE(agent.probe(kind));
      CHECK(wait_until(10s, [&] { return probe(a, agent.probe(kind)) == "200"; }));
    }
    for (const char* set : {"CapBnd", "CapPrm", "CapEff"}) CHECK(status(a, set) == kNetAdmin);
    // IPv6 of the device is all that a read-only /proc/sys keeps it from.
    CHECK_MESSAGE(count_of(a.log(), "warning: ") == 1, a.log());
    CHECK_MESSAGE(contains(a.log(), "flannel.1/accept_ra"), a.log());
    CHECK_MESSAGE(!contains(a.log(), "a capability stays"), a.log());
    CHECK(contains(file_text(a.file("/etc/cni/net.d/10-flannel.conflist")), R"("type": "flannel")"));
    // What the host has of it.
    CHECK(run(a.command({binary(), "status"})).status == 0);
    CHECK_FALSE(file_text(a.state_dir() + "/kube/node").empty());

    const std::string overlay = overlay_of(a);
    const Pinging pinging(a, b);
    CHECK(a.stop() == 0);
    a.start_in_pod(api.token());
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK(wait_until(10s, [&] { return probe(a, agent.probe("readinessProbe")) == "200"; }));
    CHECK(overlay_of(a) == overlay);
  }

  TEST_CASE("the page's lines for a node outside of a Pod make an account of what they write, and it joins") {
    REQUIRE_MEANS(kube_means(), means::program("kubectl"));
    KubeApi api;
    const TempDir here;
    std::filesystem::create_symlink(project_path("board"), here.file("board"));
    write_file(here.file("admin"), api.kubeconfig(api.admin_user()));
    std::string lines = page_lines("A node outside", "kubectl ");
    lines.replace(lines.find("10.0.0.1"), 8, "172.30.0.1");
    must_run({.args = {"sh", "-ec", "cd " + here.path() + "\n" + lines},
              .env = {"KUBECONFIG=" + here.file("admin"), "HOME=" + here.path(), "NO_PROXY=*"},
              .netns = api.etcd().node().name()},
             60s);

    KubeMachine m(api, 1);
    write_file(m.file("/run/credentials/flannelette.service/flannelette.kubeconfig"),
               file_text(here.file("kubeconfig")));
    const std::string code = page_lines("A node outside", "");
    m.add_etc("/etc/flannelette.ini", code.substr(code.find("[kube]\n")));
    m.write_network_config(R"({"Network":"10.240.0.0/16","Backend":{"Type":"vxlan"}})");
    m.start_with({}, {"NODE_NAME=" + m.name()});
    CHECK_MESSAGE(m.joined(0), m.log());
    std::filesystem::create_directories(m.file("/etc/cni/net.d"));
    CHECK(run(m.command({binary(), "install-cni", "/etc/cni/net.d"})).status == 0);
    CHECK(contains(file_text(m.file("/etc/cni/net.d/10-flannel.conflist")), "flannel"));
  }

  TEST_CASE("no right of the ClusterRole can be left out: the agent names each that it misses") {
    REQUIRE_MEANS(kube_means());
    KubeApi api;
    const std::string role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/flannelette";
    const std::string rules = member(api.request("GET", role), "rules");
    int number = 0;
    for (const std::string& rule : elements(rules)) {
      const std::string resource = elements(member(rule, "resources")).at(0);
      for (const std::string& verb : elements(member(rule, "verbs"))) {
        std::string less;
        for (const std::string& each : elements(rules)) {
          for (const std::string& other : elements(member(each, "verbs"))) {
            if (each == rule && other == verb) continue;
            less += std::string(less.empty() ? "" : ",") + R"({"apiGroups":[""],"resources":)" +
                    member(each, "resources") + R"(,"verbs":[)" + other + "]}";
          }
        }
        api.request("PATCH", role, R"({"rules":[)" + less + "]}", "application/merge-patch+json");
        PodMachine m(api, ++number);
        m.start_in_pod(api.token());
        CHECK_MESSAGE(m.logs("cannot " + unquoted(verb) + R"( resource \")" + unquoted(resource)), m.log());
      }
    }
    CHECK(number == 4);
  }
}
