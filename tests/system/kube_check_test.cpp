// SPDX-License-Identifier: Apache-2.0
// The verb check where Kubernetes is the registry: nothing is found on a node that works, and what is wrong
// with the API server, with our rights or with our Node is named, with nothing written.
#include <doctest/doctest.h>

#include "support/means.hpp"
#include "system/checked.hpp"
#include "system/kube_cluster.hpp"

using namespace flannelette::tests;

namespace {

Outcome check_kube(const KubeMachine& machine, const std::string& node = "") {
  return check(machine, {"--kube-subnet-mgr", "--kubeconfig-file=/etc/flannelette/kubeconfig", "--ip-masq"},
               {"NODE_NAME=" + (node.empty() ? machine.name() : node)});
}

/// A machine on which no agent runs yet, with all that it needs.
struct Waiting : KubeMachine {
  Waiting(const KubeApi& api, int number, const std::string& pod_cidr)
      : KubeMachine(api, number, binary(), pod_cidr) {
    forward(*this);
    write_kubeconfig(api.kubeconfig("token: " + api.token()));
    write_network_config(R"({"Network":"10.0.0.0/8","Backend":{"Type":"vxlan"}})");
  }
};

const char* const kSubnet = "10.240.1.0/24";

}  // namespace

TEST_SUITE("kube") {
  TEST_CASE(
      "check: nothing is found on a node that works, nor before its first agent, and nothing is written") {
    REQUIRE_MEANS(kube_means());
    KubeApi api;
    Waiting a(api, 1, kSubnet), b(api, 2, "10.240.2.0/24");
    const std::string before = api.node("n1");
    check_nothing(check_kube(a));
    CHECK(api.node("n1") == before);
    for (KubeMachine* m : {&a, &b}) m->start({"--ip-masq"});
    for (KubeMachine* m : {&a, &b}) REQUIRE_MESSAGE(m->joined(1), m->log());
    for (KubeMachine* m : {&a, &b}) REQUIRE(m->logs("ready"));
    const std::string joined = api.node("n1");
    const Outcome outcome = check_kube(a);
    check_nothing(outcome);
    CHECK_MESSAGE(contains(outcome.output, "ok    registry: https://172.30.0.1:6443, "), outcome.output);
    CHECK_MESSAGE(contains(outcome.output, "ok    peers: 1 answers, through the tunnel"), outcome.output);
    CHECK(api.node("n1") == joined);
  }

  TEST_CASE("check: a wrong token, a missing right, a Node without podCIDR, no Node, no API server") {
    REQUIRE_MEANS(kube_means());
    KubeApi api(KubeApi::Rights::kNoPatch);
    Waiting a(api, 1, kSubnet), b(api, 2, "");
    check_only(check_kube(a), kFailure, "registry",
               {"a right is missing", "cannot patch resource \"nodes/status\"", "rbac.yaml"});
    check_only(check_kube(b), kFailure, "registry", {"podCIDR of Node n2", "--allocate-node-cidrs"});
    check_only(check_kube(a, "n9"), kFailure, "registry", {"Node n9", "NODE_NAME"});
    a.write_kubeconfig(api.kubeconfig("token: not-a-token"));
    const Outcome wrong = check_kube(a);
    check_only(wrong, kFailure, "registry",
               {"https://172.30.0.1:6443", "does not accept our credentials", "token"});
    CHECK_FALSE(contains(wrong.output, "not-a-token"));
    api.stop();
    check_only(check_kube(a), kFailure, "registry",
               {"https://172.30.0.1:6443: connect: Connection refused", "is it running there"});
    a.write_kubeconfig("");
    check_only(check_kube(a), kFailure, "registry", {"/etc/flannelette/kubeconfig"});
  }
}
