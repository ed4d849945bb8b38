// SPDX-License-Identifier: Apache-2.0
// A World whose registry is Kubernetes.
#pragma once

#include <string>
#include <vector>

#include "sim/world.hpp"

namespace flannelette::tests {

class KubeWorld : public World {
 public:
  using Texts = ScriptedKube::Texts;
  using Cidrs = ScriptedKube::Cidrs;
  static constexpr const char* kHost = "10.0.0.1";
  static constexpr const char* kConfigFile = "/etc/kube-flannel/net-conf.json";
  static constexpr const char* kWide = R"({"Network":"10.0.0.0/8","Backend":{"Type":"vxlan"}})";
  static constexpr const char* kPrefix = "flannel.alpha.coreos.com/";

  /// `config`: in each node's file.
  explicit KubeWorld(const char* config = kConfig) : World(nullptr), config_(config) {}

  /// Node at 172.30.0.<number>, not started, and its Node "node-<number>" with 10.5.<number>.0/24.
  SimNode& add(unsigned number) {
    kube.create(name_of(number), {cidr(number)});
    return add_bare(number);
  }
  SimNode& add_bare(unsigned number) {
    SimNode& node = World::add(number);
    node.kube_settings.emplace();
    node.kube_settings->servers[0] = {false, {kHost}, 6443};
    node.kube_settings->server_count = 1;
    const bool fits = node.kube_settings->node_name.assign(name_of(number));
    REQUIRE(fits);
    node.files.all[kConfigFile] = config_;
    return node;
  }
  SimNode& add_started(unsigned number) {
    SimNode& node = add(number);
    node.start();
    return node;
  }
  /// Ready, and its watch is open.
  SimNode& add_joined(unsigned number) {
    SimNode& node = add_started(number);
    REQUIRE_MESSAGE(run_until([&] { return node.ready_count() == 1 && kube.watch_count() == size(); }),
                    node.log.text());
    advance(6'000);
    return node;
  }

  static std::string name_of(unsigned number) { return "node-" + std::to_string(number); }
  static std::string key(const std::string& name) { return kPrefix + name; }
  std::string annotation(unsigned number, const std::string& name) const {
    return kube.annotation(name_of(number), key(name));
  }
  static std::string cidr(unsigned third) { return std::string(text_of(peer_subnet(third)).view()); }

  // --- Peers that are only Nodes: "peer-<third>" with 10.5.<third>.0/24 at 172.31.0.<third>. ---
  static std::string peer_name(unsigned third) { return "peer-" + std::to_string(third); }
  static std::string data_of(Mac mac) {
    return R"({"VNI":1,"VtepMAC":")" + std::string(text_of(mac).view()) + R"("})";
  }
  static Texts annotations_of(unsigned number) {
    return {{key("backend-data"), data_of(mac(number))},
            {key("backend-type"), "vxlan"},
            {key("kube-subnet-manager"), "true"},
            {key("public-ip"), std::string(text_of(peer_ip(number)).view())}};
  }
  void add_peer(unsigned third) { kube.create(peer_name(third), {cidr(third)}, annotations_of(third)); }
  void remove_node(unsigned third) { kube.remove(peer_name(third)); }
  static bool has_peer(const SimNode& node, unsigned third) {
    return node.has_peer(peer_subnet(third), mac(third), peer_ip(third));
  }

  // --- A credential that may change: a kubeconfig with a tokenFile. ---
  static constexpr const char* kKubeconfig = "/etc/flannelette/kubeconfig";
  static constexpr const char* kTokenFile = "/etc/flannelette/token";
  void use_token(SimNode& node, const std::string& token) {
    node.files.all[kKubeconfig] =
        std::string(R"({"apiVersion":"v1","kind":"Config","clusters":[{"name":"c",)") +
        R"("cluster":{"server":"http://)" + kHost +
        R"(:6443"}}],"users":[{"name":"u","user":{"tokenFile":")" + kTokenFile +
        R"("}}],"contexts":[{"name":"x","context":{"cluster":"c","user":"u"}}],)"
        R"("current-context":"x"})";
    node.files.all[kTokenFile] = token;
    node.kube_settings->kubeconfig = kKubeconfig;
  }

 private:
  const char* config_;
};

// The annotations by their whole names.
inline const std::string kManager = KubeWorld::key("kube-subnet-manager");
inline const std::string kData = KubeWorld::key("backend-data");
inline const std::string kType = KubeWorld::key("backend-type");
inline const std::string kPublicIp = KubeWorld::key("public-ip");
inline const std::string kOverwrite = KubeWorld::key("public-ip-overwrite");

}  // namespace flannelette::tests
