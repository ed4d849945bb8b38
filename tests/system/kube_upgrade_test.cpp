// SPDX-License-Identifier: Apache-2.0
// In Kubernetes, too: ours in the place of a flanneld, and back, without a packet lost.
#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/kube_cluster.hpp"
#include "system/pings.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

TEST_SUITE("kube") {
  TEST_CASE(
      "ours takes over from a flanneld that was stopped, and hands back: no packet is lost, the Node is the "
      "same") {
    REQUIRE_MEANS(kube_means(), means::program("nft"), flanneld_means());
    KubeApi api;
    KubeMachine a(api, 1, flanneld()), b(api, 2, flanneld());
    const std::vector<std::string> masq = {"--iface=eth0", "--ip-masq"};
    a.start(masq);
    b.start(masq);
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE_MESSAGE(b.joined(1), b.log());
    REQUIRE_MESSAGE(a.logs("flannel is ready"), a.log());
    const auto annotations = [&] {
      std::string text;
      for (const char* name : {"backend-data", "backend-type", "kube-subnet-manager", "public-ip"})
        text += api.annotation(a.name(), name) + "\n";
      return text;
    };
    const std::string before = annotations();
    const Pinging pinging(a, b);
    const std::string of_flanneld = overlay_of(a);
    CHECK(a.stop() == 0);
    a.start_as(binary(), masq);
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK(annotations() == before);
    CHECK(index_of(a) + ":" == of_flanneld.substr(0, of_flanneld.find(':') + 1));
    CHECK(a.device("dev") == "eth0");
    CHECK(count_lines(a.routes()) == 1);
    CHECK(a.stop() == 0);
    a.start(masq);
    REQUIRE_MESSAGE(a.logs("flannel is ready"), a.log());
    must_run(a.command({binary(), "cleanup", "--for-flanneld", "--kube-subnet-mgr"}));
    CHECK(wait_until(5s, [&] { return overlay_of(a) == of_flanneld; }));
    CHECK(overlay_of(a) == of_flanneld);
    CHECK(annotations() == before);
  }
}
