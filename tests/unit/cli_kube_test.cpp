// SPDX-License-Identifier: Apache-2.0
// Settings of a node whose registry is Kubernetes.
#include <doctest/doctest.h>
#include <sys/utsname.h>

#include <algorithm>
#include <set>

#include "cli/draft.hpp"
#include "cli_support.hpp"

using namespace flannelette;
using cli::Asked;
using flannelette::tests::Reading;
using Words = Reading::Words;

namespace {

/// A run with kube-subnet-mgr and a server.
Reading kube(Words arguments, const Words& environment = {"NODE_NAME=node-1"}) {
  arguments.insert(arguments.begin(), {"-kube-subnet-mgr", "-kubeconfig-file=/k"});
  return Reading(arguments, environment);
}

bool wrong(const Reading& reading, const std::string& problem) {
  INFO(reading.shown());
  return reading.asked == Asked::kWrong && reading.problems == Words{problem};
}

const std::string kNameRule =
    "\": a name in Kubernetes is expected: a-z, 0-9, '-' and '.', at most 253 bytes";

}  // namespace

TEST_SUITE_BEGIN("cli/kube");

TEST_CASE("etcd is the registry unless kube-subnet-mgr is given") {
  CHECK(Reading(Words{}, {"KUBERNETES_SERVICE_HOST=10.43.0.1", "NODE_NAME=n"}).settings.kube == nullptr);
  CHECK(Reading(Words{"-kubeconfig-file=/k"}).settings.kube == nullptr);
  CHECK(kube({}).settings.kube != nullptr);
  CHECK(kube({}).clean());
}

TEST_CASE("without kube-subnet-mgr a setting of it may have any value, and what a Pod has is not looked at") {
  const Words any = {"-kube-api-url=https://a/k8s/clusters/c", "-kube-annotation-prefix=A/B/C",
                     "-set-node-network-unavailable=maybe", "-net-config-path="};
  const Reading reading(any, {"NODE_NAME=No_Name", "POD_NAME=p", "KUBERNETES_SERVICE_HOST=10.43.0.1",
                              "KUBERNETES_SERVICE_PORT=tcp://10.43.0.1:443"});
  INFO(reading.shown());
  CHECK(reading.asked == Asked::kRun);
  CHECK(reading.notices.size() == any.size());
  for (const std::string& notice : reading.notices)
    CHECK(notice.ends_with(": accepted without effect: only kube-subnet-mgr uses it"));
}

TEST_CASE(
    "with kube-subnet-mgr the settings of etcd have no effect, each with a notice, whatever they lack") {
  const Reading reading = kube({"-etcd-endpoints=https://a", "-etcd-prefix=/p", "-etcd-certfile=/c",
                                "-etcd-username=u", "-subnet-lease-renew-margin=90", "-etcd-keyfile="});
  INFO(reading.shown());
  CHECK(reading.asked == Asked::kRun);
  CHECK(reading.notices.size() == 5);
  for (const std::string& notice : reading.notices)
    CHECK(notice.ends_with(": accepted without effect: kube-subnet-mgr does not use it"));
  Reading file;
  file.files.texts[FLANNELETTE_CONFIG] =
      "[etcd]\npassword-file = /missing\nlease-ttl = 24h\n[kube]\nsubnet-mgr = true\napi-url = http://::1\n"
      "node-name = n\n";
  file.read({});
  CHECK(file.problems ==
        Words{FLANNELETTE_CONFIG ":6: api-url: \"http://::1\": an IPv6 address needs brackets"});
  CHECK(file.notices == Words{FLANNELETTE_CONFIG
                              ":2: password-file: accepted without effect: kube-subnet-mgr does not use it"});
}

TEST_CASE("keepalive serves connections to an API server too") {
  const Reading reading = Reading::of_ini(
      "[etcd]\nkeepalive = metered\n[kube]\nsubnet-mgr = true\napi-url = http://a\nnode-name = n\n");
  CHECK(reading.clean());
  CHECK(reading.settings.tcp.keepalive_idle_seconds == io::TcpSettings::metered().keepalive_idle_seconds);
}

TEST_CASE("kube-subnet-mgr wants true or false, whatever else is given") {
  CHECK(wrong(Reading(Words{"-kube-subnet-mgr=maybe"}),
              "--kube-subnet-mgr: \"maybe\": true or false is expected"));
}

TEST_CASE("in a Pod the environment tells the Service of the API server") {
  const auto pod = [](const std::string& host, const std::string& port) {
    return Reading({"-kube-subnet-mgr"},
                   {"NODE_NAME=n", "KUBERNETES_SERVICE_HOST=" + host, "KUBERNETES_SERVICE_PORT=" + port});
  };
  const Reading reading = pod("fd00:43::1", "6443");
  CHECK(reading.clean());
  CHECK(reading.settings.kube->service_host.view() == "fd00:43::1");
  CHECK(reading.settings.kube->service_port == 6443);
  CHECK(pod("10.43.0.1", "").settings.kube->service_port == 443);
  const std::string longest(253, 'h');  // names, of managed clusters
  CHECK(pod(longest, "443").settings.kube->service_host.view() == longest);
  CHECK(pod(longest + "h", "443").settings.kube->service_host.empty());
  CHECK(Reading({"-kube-subnet-mgr"}, {"NODE_NAME=n"}).settings.kube->service_host.empty());
  for (const char* bad : {"tcp://10.43.0.1:443", "0", "65536", "-1"}) {
    CHECK(wrong(pod("10.43.0.1", bad),
                std::string("KUBERNETES_SERVICE_PORT: \"") + bad + "\": a port from 1 to 65535 is expected"));
  }
  // Not where it does not count.
  CHECK(kube({}, {"NODE_NAME=n", "KUBERNETES_SERVICE_PORT=tcp://10.43.0.1:443"}).clean());
}

TEST_CASE("up to four API servers may be given; a path is refused") {
  CHECK(kube({"-kube-api-url=https://a,https://b,https://c,https://d"}).api_servers() ==
        "https://a:443 https://b:443 https://c:443 https://d:443");
  CHECK(wrong(kube({"-kube-api-url=https://a,https://b,https://c,https://d,https://e"}),
              "--kube-api-url: \"https://e\": more than 4 API servers"));
  CHECK(wrong(kube({"-kube-api-url=https://a,https://b/k8s"}),
              "--kube-api-url: \"https://b/k8s\": a path is not allowed"));
  CHECK(wrong(kube({"-kube-api-url=10.0.0.1:6443"}),
              "--kube-api-url: \"10.0.0.1:6443\": must begin with http:// or https://"));
  CHECK(wrong(Reading({"-kube-subnet-mgr", "-kube-api-url=https://a/b"}, {"NODE_NAME=n"}),
              "--kube-api-url: \"https://a/b\": a path is not allowed"));
  CHECK(kube({"-kube-api-url=https://u:hunter2@a"}).shown().find("hunter2") == std::string::npos);
}

TEST_CASE(
    "of API servers the last list counts: a flag's goes before the file's, and what is wrong there is not "
    "missed") {
  const std::string start = "[kube]\nsubnet-mgr = true\nnode-name = n\napi-url = https://a/b\n";
  CHECK(wrong(Reading::of_ini(start),
              FLANNELETTE_CONFIG ":4: api-url: \"https://a/b\": a path is not allowed"));
  const Reading replaced = Reading::of_ini(start, {"-kube-api-url=http://c", "-kube-api-url=http://d"});
  CHECK(replaced.clean());
  CHECK(replaced.api_servers() == "http://d:80");
}

TEST_CASE("an annotation prefix that flanneld would not complete to a valid name is refused") {
  CHECK(kube({"-kube-annotation-prefix=example.org/a-"}).settings.kube->annotation_prefix.view() ==
        "example.org/a-");
  CHECK(wrong(kube({"-kube-annotation-prefix=a.example/b/c"}),
              "--kube-annotation-prefix: \"a.example/b/c\": kube-annotation-prefix has more than one slash"));
  for (const char* bad : {"", "example", "A.example"})
    CHECK(kube({std::string("-kube-annotation-prefix=") + bad}).problems.size() == 1);
}

TEST_CASE("a path has to be given for the network config") {
  CHECK(wrong(kube({"-net-config-path="}), "--net-config-path: \"\": a path is expected"));
}

TEST_CASE("what flanneld needs for its event queue is accepted silently") {
  CHECK(kube({}, {"NODE_NAME=n", "EVENT_QUEUE_DEPTH=20000", "CONT_WHEN_CACHE_NOT_READY=true"}).clean());
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("cli/node_name");

TEST_CASE("NODE_NAME names the node, before node-name in the file") {
  const std::string ini = "[kube]\nsubnet-mgr = true\nkubeconfig-file = /k\nnode-name = from-file\n";
  CHECK(Reading::of_ini(ini).settings.kube->node_name.view() == "from-file");
  const Reading reading = Reading::of_ini(ini, {}, {"NODE_NAME= from-env\r"});
  CHECK(reading.clean());
  CHECK(reading.settings.kube->node_name.view() == "from-env");
  CHECK(Reading::of_ini(ini, {}, {"NODE_NAME="}).settings.kube->node_name.view() == "from-file");
}

TEST_CASE("the Pod names the node if nothing else does, and needs both its names for that") {
  const auto pod = [](const Words& environment) { return kube({}, environment); };
  const Reading reading = pod({"POD_NAME=flannel-x7", "POD_NAMESPACE=kube-flannel"});
  CHECK(reading.clean());
  CHECK(reading.settings.kube->node_name.empty());
  CHECK(reading.settings.kube->pod_name.view() == "flannel-x7");
  CHECK(reading.settings.kube->pod_namespace.view() == "kube-flannel");
  CHECK(wrong(pod({"POD_NAME=p"}), "POD_NAMESPACE: \"" + kNameRule));
  CHECK(wrong(pod({"POD_NAMESPACE=s"}), "POD_NAME: \"" + kNameRule));
  CHECK(pod({"POD_NAME=p", "NODE_NAME=n"}).clean());
  CHECK(pod({"POD_NAME=p", "POD_NAMESPACE=s", "NODE_NAME=n"}).settings.kube->pod_name.empty());
  CHECK(wrong(pod({"POD_NAME=p/../q", "POD_NAMESPACE=s"}), "POD_NAME: \"p/../q" + kNameRule));
  CHECK(wrong(pod({"POD_NAME=p", "POD_NAMESPACE=S"}), "POD_NAMESPACE: \"S" + kNameRule));
}

TEST_CASE("else the host names it, in lower case") {
  struct utsname host;
  REQUIRE(::uname(&host) == 0);
  std::string name = host.nodename;
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  const Reading reading = kube({}, {});
  if (reading.problems.empty()) {
    CHECK(reading.settings.kube->node_name.view() == name);
  } else {  // a machine with a name that is none of a Node
    CHECK(wrong(reading, "the host's name (NODE_NAME goes before it): \"" + name + kNameRule));
  }
}

TEST_CASE("a node's name is a DNS subdomain") {
  const std::string longest = std::string(251, 'a') + ".b";
  for (const std::string& good :
       {std::string("a"), std::string("0"), std::string("node-1.example"), std::string("a--b"), longest})
    CHECK_MESSAGE(kube({}, {"NODE_NAME=" + good}).settings.kube->node_name.view() == good, good);
  for (const std::string& bad :
       {std::string("Node"), std::string("a_b"), std::string("-a"), std::string("a-"), std::string("a..b"),
        std::string(".a"), std::string("a."), std::string("a.-b"), std::string("a-.b"), std::string("a/b"),
        std::string("a b")})
    CHECK(wrong(kube({}, {"NODE_NAME=" + bad}), "NODE_NAME: \"" + bad + kNameRule));
  const Reading reading = kube({}, {"NODE_NAME=" + longest + "c"});
  REQUIRE(reading.problems.size() == 1);
  CHECK(reading.problems[0].ends_with("..." + kNameRule));
  const Reading file =
      Reading::of_ini("[kube]\nsubnet-mgr = 1\nkubeconfig-file = /k\nnode-name = Node\n", {}, {});
  CHECK(wrong(file, FLANNELETTE_CONFIG ":4: node-name: \"Node" + kNameRule));
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("cli/kube_state");

TEST_CASE("a node of Kubernetes shares its state with none of etcd and none of another annotation prefix") {
  const auto folder = [](const Words& words) {
    const Reading reading = kube(words);
    CHECK(reading.clean());
    return std::string(reading.settings.agent.state_dir.view());
  };
  CHECK(folder({"-state-dir=/s"}) == "/s/kube");
  CHECK(folder({"-state-dir=/s", "-kube-annotation-prefix=flannel.alpha.coreos.com/"}) == "/s/kube");
  CHECK(folder({"-state-dir=/s", "-kube-annotation-prefix=example.org"}) == "/s/kube+example.org");
  CHECK(folder({"-state-dir=/s", "-kube-annotation-prefix=example.org/overlay"}) ==
        "/s/kube+example.org+overlay-");
  CHECK(folder({"-state-dir="}).empty());
  const std::set<std::string> all = {
      folder({"-state-dir=/s"}), folder({"-state-dir=/s", "-kube-annotation-prefix=a.b/c"}),
      folder({"-state-dir=/s", "-kube-annotation-prefix=a.b-c"}),
      std::string(Reading(Words{"-state-dir=/s", "-etcd-prefix=/kube"}).settings.agent.state_dir.view()),
      std::string(Reading(Words{"-state-dir=/s"}).settings.agent.state_dir.view())};
  CHECK(all.size() == 5);
}

TEST_SUITE_END();
