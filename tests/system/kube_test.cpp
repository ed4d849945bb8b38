// SPDX-License-Identifier: Apache-2.0
// The shipped program in Kubernetes: with a real API server, and beside a real flanneld.
#include <doctest/doctest.h>

#include <csignal>
#include <functional>
#include <map>
#include <set>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/kube_cluster.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

using Machines = std::vector<KubeMachine*>;

const char* const kWide = R"({"Network":"10.0.0.0/8","Backend":{"Type":"vxlan"}})";

/// Every one knows every other. Ours have entries of nobody else; flanneld keeps some of old MACs.
bool all_know_all(const Machines& all) {
  const int peers = static_cast<int>(all.size()) - 1;
  const auto exact = [&](const Machine& m) {
    return count_lines(m.routes()) == peers && count_lines(m.neighbours()) == peers &&
           count_lines(m.fdb()) == peers;
  };
  return wait_until(20s, [&] {
    for (const KubeMachine* a : all) {
      for (const KubeMachine* b : all) {
        if (a != b && !knows(*a, *b)) return false;
      }
      if (a->ours() && !exact(*a)) return false;
    }
    return true;
  });
}

std::string logs_of(const Machines& all) {
  std::string text;
  for (const KubeMachine* m : all) text += "\n--- " + m->name() + "\n" + m->log();
  return text;
}

/// All know all, and pods reach pods, both ways.
void check_overlay(const Machines& all) {
  CHECK_MESSAGE(all_know_all(all), logs_of(all));
  for (const KubeMachine* from : all) {
    for (const KubeMachine* to : all) {
      if (from != to)
        CHECK_MESSAGE(pings(from->pod(), host_in(to->subnet(), 2)), from->name(), " -> ", to->name());
    }
  }
}

bool loses_route(const Machine& m, const std::string& subnet) {
  return wait_until(10s, [&] { return !contains(m.routes(), subnet + " "); });
}

/// What the node's own tools print of all that is programmed for a peer.
std::string tables(const Machine& m) { return m.routes() + m.neighbours() + m.fdb(); }

/// A back-off of at most 5 s, as much as a second before a list that follows another one soon, and the list.
constexpr std::chrono::seconds kFollowed{8};

const char* const kPeerMac = "02:00:00:00:00:01";

}  // namespace

TEST_SUITE("kube") {
  TEST_CASE("by token or certificate a node joins with the rights of the manifest, and its Node says so") {
    REQUIRE_MEANS(kube_means());
    KubeApi api;
    KubeMachine a(api, 1), b(api, 2);
    b.write_kubeconfig(api.kubeconfig(api.certificate_user()));
    a.start();
    b.start();
    for (KubeMachine* m : {&a, &b}) REQUIRE_MESSAGE(m->joined(1), m->log());
    for (KubeMachine* m : {&a, &b}) m->add_pod();
    check_overlay({&a, &b});

    CHECK(a.subnet() == "10.240.1.0/24");
    CHECK(contains(file_text(a.subnet_file()), "FLANNEL_NETWORK=10.0.0.0/8\n"));
    CHECK(api.annotation("n1", "backend-data") ==
          R"({"VNI":1,"VtepMAC":")" + a.device("link/ether") + R"("})");
    CHECK(api.annotation("n1", "backend-type") == "vxlan");
    CHECK(api.annotation("n1", "kube-subnet-manager") == "true");
    CHECK(api.annotation("n1", "public-ip") == "172.30.0.11");
    CHECK(wait_until(5s, [&] {
      return contains(api.node("n1"),
                      R"("reason":"FlannelIsUp","message":"Flannel is running on this node")");
    }));
    CHECK(contains(api.node("n1"), R"({"type":"NetworkUnavailable","status":"False",)"));
    CHECK_FALSE(contains(a.log(), "error"));

    // A restart of what is right already writes nothing.
    const std::string node = api.node("n1");
    CHECK(a.stop() == 0);
    a.start();
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    check_overlay({&a, &b});
    CHECK(api.node("n1") == node);
  }

  TEST_CASE("two of ours and two flannelds are one overlay, whatever becomes of one of them") {
    REQUIRE_MEANS(kube_means(), flanneld_means());
    KubeApi api;
    KubeMachine a(api, 1), b(api, 2), c(api, 3, flanneld()), d(api, 4, flanneld());
    const Machines all{&a, &b, &c, &d};
    for (KubeMachine* m : all) m->start();
    for (KubeMachine* m : all) REQUIRE_MESSAGE(m->joined(3), m->log());
    for (KubeMachine* m : all) m->add_pod();
    check_overlay(all);

    // Byte for byte but for what differs from node to node.
    const auto form = [&](const KubeMachine& m) {
      std::string node = api.node(m.name());
      std::string text;
      for (const char* name : {"backend-data", "backend-type", "kube-subnet-manager", "public-ip"})
        text += api.annotation(m.name(), name) + "\n";
      for (const auto& [what, word] : {std::pair(m.device("link/ether"), "MAC"), {m.address(), "ADDRESS"}})
        text.replace(text.find(what), what.size(), word);
      const auto conditions = node.find("\"conditions\":[{");
      text += node.substr(conditions, node.find("lastHeartbeatTime", conditions) - conditions);
      return text + node.substr(node.find("\"reason\"", conditions), 60);
    };
    CHECK(form(a) == form(c));
    CHECK(count_of(api.node("n1"), "flannel.alpha.coreos.com/") ==
          count_of(api.node("n3"), "flannel.alpha.coreos.com/"));

    a.node().ip("link delete flannel.1");
    check_overlay(all);
    CHECK(c.stop() == 0);
    c.start();
    REQUIRE_MESSAGE(c.logs("Running backend"), c.log());
    check_overlay(all);
    CHECK(a.stop() == 0);
    a.start();
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    check_overlay(all);

    // A Node is made anew with another podCIDR. flanneld has to be started again for that.
    const auto renew = [&](KubeMachine& m, const std::string& pod_cidr) {
      const std::string before = m.pod_cidr();
      api.delete_node(m.name());
      for (KubeMachine* other : all) {
        if (other != &m) CHECK_MESSAGE(loses_route(*other, before), other->name(), other->log());
      }
      api.add_node(m.name(), pod_cidr);
      if (!m.ours()) {
        m.stop();
        m.start();
      }
      REQUIRE_MESSAGE(wait_until(10s, [&] { return m.subnet() == pod_cidr; }), m.log());
      m.remove_pod();
      m.add_pod();
      check_overlay(all);
    };
    renew(a, "10.240.101.0/24");
    renew(d, "10.240.104.0/24");
  }

  TEST_CASE(
      "ours and flanneld share a prefix of the annotations, and the first server that answers is used") {
    REQUIRE_MEANS(kube_means(), flanneld_means());
    KubeApi api;
    KubeMachine a(api, 1), b(api, 2), other(api, 3), c(api, 4, flanneld());
    for (KubeMachine* m : {&a, &b, &c}) {
      std::vector<std::string> flags{"--kube-annotation-prefix=example.test/overlay"};
      if (m == &a) flags.push_back("--kube-api-url=https://172.30.0.1:1," + api.url());
      m->start(flags);
    }
    other.start();
    for (KubeMachine* m : {&a, &b, &c}) REQUIRE_MESSAGE(m->joined(2), m->log());
    REQUIRE_MESSAGE(other.joined(0), other.log());
    for (KubeMachine* m : {&a, &b, &c}) m->add_pod();
    check_overlay({&a, &b, &c});
    for (const char* node : {"n1", "n4"})
      CHECK(contains(api.node(node), R"("example.test/overlay-kube-subnet-manager":"true")"));
  }

  TEST_CASE("host-gw: ours and flanneld route to each other, and their Nodes say the same") {
    REQUIRE_MEANS(kube_means(), flanneld_means());
    KubeApi api;
    KubeMachine a(api, 1), b(api, 2, flanneld());
    for (KubeMachine* m : {&a, &b}) {
      m->write_network_config(R"({"Network":"10.0.0.0/8","Backend":{"Type":"host-gw"}})");
      m->start();
    }
    const auto routed = [](const KubeMachine& from, const KubeMachine& to) {
      return wait_until(20s, [&] {
        const std::string route = from.node().ip("route show " + to.pod_cidr());
        return contains(route, " via " + to.address() + " dev eth0");
      });
    };
    REQUIRE_MESSAGE(routed(a, b), a.log());
    REQUIRE_MESSAGE(routed(b, a), b.log());
    for (KubeMachine* m : {&a, &b}) m->add_pod();
    CHECK(pings(a.pod(), host_in(b.subnet(), 2)));
    CHECK(pings(b.pod(), host_in(a.subnet(), 2)));
    for (const char* name : {"backend-data", "backend-type", "kube-subnet-manager"})
      CHECK(api.annotation("n1", name) == api.annotation("n2", name));
    CHECK(api.annotation("n1", "backend-data") == "null");
    CHECK(api.annotation("n1", "public-ip") == "172.30.0.11");
  }

  TEST_CASE("a Node made anew with another podCIDR while the agent was cut off is followed") {
    REQUIRE_MEANS(kube_means());
    KubeApi api;
    KubeMachine a(api, 1), b(api, 2);
    for (KubeMachine* m : {&a, &b}) m->start();
    for (KubeMachine* m : {&a, &b}) REQUIRE_MESSAGE(m->joined(1), m->log());
    api.while_away([&] {
      for (const char* name : {"n1", "n2"}) api.delete_node(name);
      api.add_node("n1", "10.240.101.0/24");
      api.add_node("n2", "10.240.102.0/24");
      api.compact();
    });
    const auto followed = [&] {
      return a.subnet() == "10.240.101.0/24" && b.subnet() == "10.240.102.0/24" && knows(a, b);
    };
    CHECK_MESSAGE(wait_until(kFollowed, followed), a.log(), b.log());
    for (KubeMachine* m : {&a, &b}) m->add_pod();
    check_overlay({&a, &b});
  }

  TEST_CASE("what changes while the API server is away, and after a compaction, is followed at once") {
    REQUIRE_MEANS(kube_means());
    KubeApi api;
    KubeMachine a(api, 1);
    api.add_peer("p1", "10.240.201.0/24", "172.30.0.201", "02:00:00:00:00:11");
    api.add_peer("p2", "10.240.202.0/24", "172.30.0.202", "02:00:00:00:00:12");
    a.start();
    REQUIRE_MESSAGE(a.joined(2), a.log());
    const auto truth = [&](const std::string& mac) {
      return wait_until(kFollowed, [&] {
        return count_lines(a.routes()) == 2 && count_lines(a.fdb()) == 2 &&
               contains(a.fdb(), mac + " dst 172.30.0.202 ") && contains(a.fdb(), " dst 172.30.0.203 ");
      });
    };
    const auto set_mac = [&](const std::string& mac) {
      api.annotate("p2", "backend-data", mac_annotation(mac));
    };
    api.while_away([&] {
      api.delete_node("p1");
      set_mac("02:00:00:00:00:22");
      api.add_peer("p3", "10.240.203.0/24", "172.30.0.203", "02:00:00:00:00:13");
    });
    CHECK_MESSAGE(truth("02:00:00:00:00:22"), a.log(), tables(a));
    CHECK_FALSE(contains(a.log(), "degraded"));

    // The agent sleeps through all of it, so that its first question is about a past that is compacted.
    a.agent().signal(SIGSTOP);
    api.while_away([&] {
      set_mac("02:00:00:00:00:32");
      api.compact();
    });
    a.agent().signal(SIGCONT);
    CHECK_MESSAGE(truth("02:00:00:00:00:32"), a.log(), tables(a));
    set_mac("02:00:00:00:00:42");
    CHECK_MESSAGE(truth("02:00:00:00:00:42"), a.log(), tables(a));
  }

  TEST_CASE("a rotated token is used within 5 seconds, and the answer 401 is no end") {
    REQUIRE_MEANS(kube_means());
    KubeApi api;
    KubeMachine a(api, 1);
    a.write_network_config(kWide);
    a.start_in_pod(api.token("first"));
    REQUIRE_MESSAGE(a.joined(0), a.log());
    const auto restart_without = [&](const char* secret) {
      api.delete_secret(secret);
      api.stop();  // it remembers for some seconds which tokens were good
      api.start();
      api.annotate("n1", "public-ip", "null");
    };
    const auto written_again = [&](std::chrono::seconds limit) {
      return wait_until(limit, [&] { return api.annotation("n1", "public-ip") == "172.30.0.11"; });
    };

    // As a kubelet does it: the new one is there before the old one ends.
    a.write_service_account(api.token("second"));
    restart_without("first");
    CHECK_MESSAGE(written_again(5s), a.log());
    CHECK_FALSE(contains(a.log(), "credentials"));

    // Too late.
    restart_without("second");
    CHECK_MESSAGE(a.logs("does not accept our credentials"), a.log());
    api.add_peer("p1", "10.240.200.0/24", "172.30.0.200", kPeerMac);
    a.write_service_account(api.token("third"));
    CHECK_MESSAGE(written_again(kFollowed), a.log());
    CHECK_MESSAGE(wait_until(kFollowed, [&] { return contains(a.routes(), "10.240.200.0/24 "); }), a.log());
  }

  TEST_CASE("a missing right is named, and once it is given the node joins") {
    REQUIRE_MEANS(kube_means());
    KubeApi api(KubeApi::Rights::kNoPatch);
    KubeMachine a(api, 1), b(api, 2);
    a.start();
    CHECK_MESSAGE(a.logs(R"(cannot patch resource \"nodes/status\")"), a.log());
    // In a Pod that was not told its Node.
    b.write_network_config(kWide);
    b.start_in_pod(api.token(), {}, {"POD_NAME=flannelette-x", "POD_NAMESPACE=flannelette"});
    CHECK_MESSAGE(b.logs(R"(cannot get resource \"pods\")"), b.log());
    for (KubeMachine* m : {&a, &b}) CHECK(m->running());

    const std::string rbac = "/apis/rbac.authorization.k8s.io/v1/";
    api.request("PATCH", rbac + "clusterroles/flannelette",
                R"([{"op":"add","path":"/rules/-","value":)"
                R"({"apiGroups":[""],"resources":["nodes/status"],"verbs":["patch"]}}])",
                "application/json-patch+json");
    CHECK_MESSAGE(wait_until(30s, [&] { return a.subnet() == "10.240.1.0/24"; }), a.log());
    api.request(
        "POST", rbac + "namespaces/flannelette/roles",
        R"({"metadata":{"name":"pods"},"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]})");
    api.request(
        "POST", rbac + "namespaces/flannelette/rolebindings",
        R"({"metadata":{"name":"pods"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"pods"},)"
        R"("subjects":[{"kind":"ServiceAccount","name":"flannelette","namespace":"flannelette"}]})");
    api.request(
        "POST", "/api/v1/namespaces/flannelette/pods",
        R"({"metadata":{"name":"flannelette-x"},"spec":{"nodeName":"n2","containers":[{"name":"c","image":"i"}]}})");
    CHECK_MESSAGE(wait_until(30s, [&] { return b.subnet() == "10.240.2.0/24"; }), b.log());
    CHECK_MESSAGE(all_know_all({&a, &b}), logs_of({&a, &b}));
  }

  TEST_CASE("its own annotations: wiped ones are written again, an overwrite of the address is followed") {
    REQUIRE_MEANS(kube_means());
    KubeApi api;
    KubeMachine a(api, 1), b(api, 2);
    for (KubeMachine* m : {&a, &b}) m->start();
    for (KubeMachine* m : {&a, &b}) REQUIRE_MESSAGE(m->joined(1), m->log());
    const std::string data = api.annotation("n1", "backend-data");
    api.patch_node("n1", R"({"metadata":{"annotations":null}})");
    CHECK_MESSAGE(wait_until(5s, [&] { return api.annotation("n1", "backend-data") == data; }), a.log());
    CHECK_MESSAGE(all_know_all({&a, &b}), logs_of({&a, &b}));

    const auto peer_at = [&](const std::string& address) {
      return wait_until(
          5s, [&] { return b.fdb() == a.device("link/ether") + " dst " + address + " self permanent\n"; });
    };
    api.annotate("n1", "public-ip-overwrite", R"("203.0.113.7")");
    CHECK_MESSAGE(peer_at("203.0.113.7"), a.log(), b.fdb());
    CHECK(api.annotation("n1", "public-ip") == "203.0.113.7");
    CHECK(a.device("local") == "172.30.0.11");
    api.annotate("n1", "public-ip-overwrite", "null");
    CHECK_MESSAGE(peer_at("172.30.0.11"), a.log(), b.fdb());
  }

  TEST_CASE("peers whose podCIDR their managed fields do not show, or who get it late, are known") {
    REQUIRE_MEANS(kube_means());
    KubeApi api;
    KubeMachine a(api, 1, binary(), "");
    api.add_peer("p1", "10.240.201.0/24", "172.30.0.201", "02:00:00:00:00:11");
    api.patch_node("p1", R"({"metadata":{"managedFields":[{}]}})");
    REQUIRE_FALSE(contains(api.node("p1"), "f:podCIDR"));
    api.add_peer("p2", "", "172.30.0.202", "02:00:00:00:00:12");
    a.start();
    CHECK_MESSAGE(a.logs("podCIDR of Node n1"), a.log());
    CHECK(a.running());
    CHECK(a.subnet().empty());
    CHECK(api.annotation("n1", "kube-subnet-manager").empty());
    api.give_pod_cidr("n1", "10.240.1.0/24");
    REQUIRE_MESSAGE(a.joined(1), a.log());
    CHECK(contains(a.routes(), "10.240.201.0/24 "));

    api.give_pod_cidr("p2", "10.240.202.0/24");
    CHECK_MESSAGE(wait_until(5s, [&] { return contains(a.routes(), "10.240.202.0/24 "); }), a.log());
    // One that comes stripped while we watch, and one whose subnet manager is taken away and given back.
    api.add_peer("p3", "", "172.30.0.203", "02:00:00:00:00:13");
    api.patch_node("p3", R"({"metadata":{"managedFields":[{}]},"spec":{"podCIDRs":["10.240.203.0/24"]}})");
    CHECK_MESSAGE(wait_until(5s, [&] { return contains(a.routes(), "10.240.203.0/24 "); }), a.log());
    // Both families, the other one first.
    api.add_peer("p4", "", "172.30.0.204", "02:00:00:00:00:14");
    api.patch_node("p4",
                   R"({"spec":{"podCIDR":"fd00:9::/64","podCIDRs":["fd00:9::/64","10.240.204.0/24"]}})");
    CHECK_MESSAGE(wait_until(5s, [&] { return contains(a.routes(), "10.240.204.0/24 "); }), a.log());
    api.annotate("p1", "kube-subnet-manager", "null");
    CHECK(loses_route(a, "10.240.201.0/24"));
    api.annotate("p1", "kube-subnet-manager", R"("true")");
    CHECK_MESSAGE(wait_until(5s, [&] { return contains(a.routes(), "10.240.201.0/24 "); }), a.log());
  }

  TEST_CASE("kubelets' heartbeats cause no write, neither to the kernel nor to the state nor to the API") {
    REQUIRE_MEANS(kube_means());
    KubeApi api;
    KubeMachine a(api, 1);
    api.add_peer("p1", "10.240.200.0/24", "172.30.0.200", kPeerMac);
    a.start();
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE_MESSAGE(wait_until(10s, [&] { return !file_text(a.peers_file()).empty(); }), a.log());
    REQUIRE(wait_until(5s, [&] { return contains(api.node("n1"), "FlannelIsUp"); }));
    const auto state_times = [&] {
      std::string times;
      for (const char* file : {"peers", "node"})
        times += shell(a.node(), "stat -c '%Y %Z %i' " + a.state_dir() + "/kube/" + file);
      return times;
    };
    const std::string saved = state_times();
    Process monitor({.args = words("ip monitor link address route neigh nexthop"), .netns = a.node().name()});
    for (int i = 0; i < 20; ++i) {
      for (const char* node : {"p1", "n1"}) api.patch_status(node, heartbeat(i));
    }
    // A change behind them shows that they were read.
    CHECK_FALSE(contains(monitor.output(), "flannel.1"));
    api.add_peer("p2", "10.240.201.0/24", "172.30.0.201", "02:00:00:00:00:02");
    REQUIRE_MESSAGE(a.joined(2), a.log());
    CHECK(wait_until(5s, [&] { return contains(monitor.output(), "10.240.201.0"); }));
    CHECK_FALSE(contains(monitor.output(), "10.240.200.0"));
    CHECK(state_times() == saved);  // the change is saved a minute later
    CHECK(count_of(a.log(), "lease held") == 1);
  }

  TEST_CASE("after 1,500 changes in a burst the tables are the truth, without an entry of an old MAC") {
    REQUIRE_MEANS(kube_means());
    KubeApi api;
    KubeMachine a(api, 1);
    std::map<int, std::string> macs;  // of peers
    const auto burst = [&](const std::function<void(KubeRequests&)>& fill) {
      KubeRequests requests(api);
      fill(requests);
      requests.send_at_once();
    };
    const auto add = [&](KubeRequests& requests, int first, int last) {
      for (int i = first; i <= last; ++i) {
        requests.add_peer(i);
        macs[i] = peer_mac(i);
      }
    };
    const auto change = [&](KubeRequests& requests, int first, int last, int by) {
      for (int i = first; i <= last; ++i) requests.change_mac(i, macs[i] = peer_mac(i + by));
    };
    const auto remove = [&](KubeRequests& requests, int first, int last) {
      for (int i = first; i <= last; ++i) {
        requests.delete_peer(i);
        macs.erase(i);
      }
    };
    burst([&](KubeRequests& requests) { add(requests, 1, 600); });
    a.start();
    REQUIRE_MESSAGE(a.joined(600), a.log());
    burst([&](KubeRequests& requests) {
      change(requests, 1, 450, 10'000);
      remove(requests, 451, 600);
      add(requests, 601, 900);
    });
    burst([&](KubeRequests& requests) {
      change(requests, 151, 450, 20'000);
      change(requests, 601, 750, 20'000);
      remove(requests, 1, 150);
    });
    std::set<std::string> truth;
    for (const auto& [peer, mac] : macs) {
      truth.insert(mac + " dst 172.31." + std::to_string(peer / 256) + "." + std::to_string(peer % 256) +
                   " self permanent\n");
    }
    std::string fdb;
    for (const std::string& line : truth) fdb += line;
    CHECK_MESSAGE(wait_until(5s, [&] { return a.fdb() == fdb; }), a.log());
    CHECK(count_lines(a.routes()) == static_cast<int>(macs.size()));
    CHECK(count_lines(a.neighbours()) == static_cast<int>(macs.size()));
  }

  TEST_CASE("the API server is away at boot: the node forwards with what it knew, and verifies later") {
    REQUIRE_MEANS(kube_means());
    KubeApi api;
    KubeMachine a(api, 1), b(api, 2);
    for (KubeMachine* m : {&a, &b}) m->start();
    for (KubeMachine* m : {&a, &b}) REQUIRE_MESSAGE(m->joined(1), m->log());
    REQUIRE_MESSAGE(wait_until(10s, [&] { return !file_text(a.peers_file()).empty(); }), a.log());
    const std::string mac = a.device("link/ether");
    b.add_pod();
    api.stop();
    a.reboot();
    a.start();
    CHECK_MESSAGE(a.logs("degraded"), a.log());
    REQUIRE_MESSAGE(a.joined(1), a.log());
    a.add_pod();
    CHECK(a.device("link/ether") == mac);
    CHECK_MESSAGE(pings(a.pod(), host_in(b.subnet(), 2)), a.log());
    api.start();
    CHECK_MESSAGE(a.logs("no longer degraded"), a.log());
    check_overlay({&a, &b});
  }
}
