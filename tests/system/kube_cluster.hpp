// SPDX-License-Identifier: Apache-2.0
// A Kubernetes cluster as far as an overlay sees one: a real API server with its etcd on the underlay's own
// address, and machines whose Nodes are in it. There is no kubelet: the tests write what it would.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "system/certificates.hpp"
#include "system/cluster.hpp"
#include "system/daemon_set.hpp"

namespace flannelette::tests {

/// For REQUIRE_MEANS: what is missing beside machines. $KUBE_APISERVER and $KUBE_ETCD are the paths of the
/// two programs; etcdctl lies beside that etcd.
std::string kube_means();

/// A Node with the annotations of a vxlan peer, VNI 1, that nobody stands behind: what POST takes.
std::string peer_node(const std::string& name, const std::string& pod_cidr, const std::string& public_ip,
                      const std::string& mac);
/// The value of backend-data with this MAC, as JSON.
std::string mac_annotation(const std::string& mac);
/// Those that tests/system/gateway.hpp has in etcd: Node "peer-<number>", its MAC and subnet.
std::string peer_name(int number);
std::string peer_mac(int number);
/// What a kubelet says again and again: a patch of the status.
std::string heartbeat(int seconds);

/// etcd and kube-apiserver at 172.30.0.1.
class KubeApi {
 public:
  /// As `rbac.yaml` allows it, and, without `patch`, less: no right to write to a Node.
  enum class Rights { kAll, kNoPatch };
  explicit KubeApi(Rights rights = Rights::kAll);

  const Etcd& etcd() const { return etcd_; }
  static constexpr int kPort = 6443;
  std::string ca_file() const { return certificates_.file("ca.pem"); }

  /// All documents of a manifest, strictly, as `kubectl apply --server-side`; with `dry_run` nothing is
  /// stored.
  void apply(const std::string& manifest, bool dry_run = false) const;
  /// An answer's body; throws what is not a 2xx. The path is that of the URL, from its first slash on.
  std::string request(const std::string& method, const std::string& path, const std::string& body = "",
                      const std::string& type = "application/json") const;
  /// curl as an administrator; the URL and more flags follow.
  Command curl(const std::vector<std::string>& arguments) const;
  /// The same as lines of a file for `curl -K`.
  std::string curl_config() const;
  std::string url(const std::string& path = "") const;

  void stop();  ///< at once: connections are reset
  /// Returns when it answers. Where agents do not look for it: another port.
  void start(int port = kPort);
  /// What happens while the agents have no API server.
  template <typename Action>
  void while_away(Action&& action) {
    stop();
    start(kPort + 1);
    action();
    stop();
    start();
  }
  /// From now on a watch cannot go on where it was cut.
  void compact() const { etcd_.compact(); }

  /// Without `pod_cidr` it waits for one, as a Node does until a controller has seen it.
  void add_node(const std::string& name, const std::string& pod_cidr = "") const;
  void give_pod_cidr(const std::string& name, const std::string& pod_cidr) const;
  void delete_node(const std::string& name) const;
  std::string node(const std::string& name) const { return request("GET", kNodes + name); }
  /// A merge patch of metadata and spec.
  void patch_node(const std::string& name, const std::string& json) const;
  /// A strategic merge patch of the status, as a kubelet sends it.
  void patch_status(const std::string& name, const std::string& json) const;
  /// flannel's annotation: `annotation` without the prefix, and a JSON value.
  void annotate(const std::string& name, const std::string& annotation, const std::string& json) const;
  /// Of flannel's annotations; empty: it is not there.
  std::string annotation(const std::string& name, const std::string& annotation) const;
  void add_peer(const std::string& name, const std::string& pod_cidr, const std::string& public_ip,
                const std::string& mac) const;

  /// Of the service account of rbac.yaml. `secret`: it ends with that Secret, which is made if need be.
  std::string token(const std::string& secret = "") const;
  void delete_secret(const std::string& name) const;
  /// The `user` of a kubeconfig: that service account, by a client certificate.
  std::string certificate_user() const;
  /// The same of an administrator.
  std::string admin_user() const;
  /// As kubeadm writes one, all inline.
  std::string kubeconfig(const std::string& user) const;

  static inline const std::string kNodes = "/api/v1/nodes/";

 private:
  void apply_rights(Rights rights) const;

  std::string certificate_of(const std::string& name) const;

  Certificates certificates_{365};
  TempDir files_;
  Etcd etcd_;
  int port_ = kPort;
  std::unique_ptr<Process> process_;
};

/// Many requests by one curl, over few connections.
class KubeRequests {
 public:
  explicit KubeRequests(const KubeApi& api) : api_(api) {}

  /// `type` and `body` as KubeApi::request() has them; application/ is put before the type.
  void add(const std::string& method, const std::string& path, const std::string& type = "json",
           const std::string& body = "");
  void add_peer(int number);
  void delete_peer(int number) { add("DELETE", KubeApi::kNodes + peer_name(number)); }
  void change_mac(int number, const std::string& mac);
  void patch_status(const std::string& node, const std::string& body);

  Command command(const std::vector<std::string>& flags) const;
  /// One behind the other, or some at once in any order.
  void send() const { must_run(command({}), kLimit); }
  void send_at_once() const { must_run(command({"-Z", "--parallel-max", "16"}), kLimit); }

 private:
  static constexpr std::chrono::minutes kLimit{10};
  const KubeApi& api_;
  TempDir files_;
  std::string config_;
};

/// A machine with its Node, n<number>, pods in 10.240.<number>.0/24.
class KubeMachine : public Machine {
 public:
  /// With `program` flanneld(): it is one of theirs.
  KubeMachine(const KubeApi& api, int number, std::string program = binary());
  /// Without podCIDR in the beginning, or with another one.
  KubeMachine(const KubeApi& api, int number, std::string program, const std::string& pod_cidr);

  const std::string& name() const { return node().name(); }
  std::string pod_cidr() const;
  /// Where ours keeps the peers that it knew.
  std::string peers_file() const { return state_dir() + "/kube/peers"; }
  bool ours() const { return program_ == binary(); }
  /// With the config in its default place, and a kubeconfig that holds a token if there is none yet.
  void start(std::vector<std::string> more = {}) { start_as(program_, std::move(more)); }
  /// The same with another program than the machine's, and the files where the machine's has them.
  void start_as(const std::string& program, std::vector<std::string> more = {});
  /// Else vxlan in 10.0.0.0/8.
  void write_network_config(const std::string& text) const { write_file(file(network_config()), text); }
  void write_kubeconfig(const std::string& text) const { write_file(file(kubeconfig()), text); }
  /// As the DaemonSet of board/k3s starts it, with this token in the folder of its service account, after its
  /// init container has run. `env`: not that of the manifest.
  void start_in_pod(const std::string& token, std::vector<std::string> more = {},
                    std::vector<std::string> env = {});
  void write_service_account(const std::string& token) const;
  const DaemonSet& daemon_set();

 private:
  // What flanneld needs of /etc is this host's, so its files lie elsewhere.
  std::string kubeconfig() const { return ours() ? "/etc/flannelette/kubeconfig" : "/run/kubeconfig"; }
  std::string network_config() const {
    return ours() ? "/etc/kube-flannel/net-conf.json" : "/run/net-conf.json";
  }
  void write_missing_network_config() const;

  const KubeApi& api_;
  std::string program_;
  std::unique_ptr<DaemonSet> daemon_set_;
};

/// Whether `a` sends to `b`'s pods by `b`'s MAC and address.
bool knows(const Machine& a, const Machine& b);

}  // namespace flannelette::tests
