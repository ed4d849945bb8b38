// SPDX-License-Identifier: Apache-2.0
#include "system/kube_cluster.hpp"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "support/project.hpp"
#include "system/gateway.hpp"

namespace flannelette::tests {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

const std::string kAccount = "/api/v1/namespaces/flannelette/serviceaccounts";
const std::string kSecrets = "/api/v1/namespaces/flannelette/secrets";
const std::string kPrefix = "flannel.alpha.coreos.com/";
const std::string kAccountFolder = "/run/secrets/kubernetes.io/serviceaccount";  // as /var/run has it

std::string from_env(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// The JSON string at the first `"key":"` behind `from`, unescaped as far as annotations need it.
std::string string_of(const std::string& json, const std::string& key) {
  const std::string start = "\"" + key + "\":\"";
  auto at = json.find(start);
  if (at == json.npos) return "";
  std::string text;
  for (at += start.size(); json.at(at) != '"'; ++at) {
    if (json[at] == '\\') ++at;
    text += json.at(at);
  }
  return text;
}

const std::string kSeparator = "\n---\n";

/// Of the block style that manifests are written in: what follows `key` at the beginning of a line.
std::string yaml_text(const std::string& document, const std::string& key) {
  const auto at = document.find("\n" + key + ": ");
  if (at == document.npos) return "";
  const auto begin = at + key.size() + 3;
  return document.substr(begin, document.find('\n', begin) - begin);
}

/// Where the object of this document is.
std::string path_of(const std::string& text) {
  const std::string document = "\n" + text + "\n";
  const auto begin = document.find("\nmetadata:\n") + 10;
  auto end = begin;
  while (end != document.npos && document[end + 1] == ' ') end = document.find('\n', end + 1);
  const std::string own = document.substr(begin, end - begin + 1), space = yaml_text(own, "  namespace");
  const std::string version = yaml_text(document, "apiVersion");
  std::string kind = yaml_text(document, "kind");
  for (char& c : kind) c = static_cast<char>(std::tolower(c));
  return (version == "v1" ? "/api/v1" : "/apis/" + version) + (space.empty() ? "" : "/namespaces/" + space) +
         "/" + kind + "s/" + yaml_text(own, "  name");
}

std::string metadata(const std::string& name, const std::string& more = "") {
  return R"("metadata":{"name":")" + name + "\"" + more + "}";
}

std::string annotation_patch(const std::string& annotation, const std::string& json) {
  return R"({"metadata":{"annotations":{")" + kPrefix + annotation + "\":" + json + "}}}";
}

/// The members podCIDR and podCIDRs.
std::string spec(const std::string& pod_cidr) {
  if (pod_cidr.empty()) return R"("spec":{})";
  return R"("spec":{"podCIDR":")" + pod_cidr + R"(","podCIDRs":[")" + pod_cidr + R"("]})";
}

}  // namespace

std::string kube_means() {
  for (const char* name : {"KUBE_APISERVER", "KUBE_ETCD"}) {
    const std::string path = from_env(name);
    if (path.empty()) return std::string(name) + " is not set";
    if (const std::string missing = missing_program(path); !missing.empty()) return missing;
  }
  for (const std::string& missing :
       {machine_means(), missing_program(beside(from_env("KUBE_ETCD"), "etcdctl")), means::program("curl"),
        means::program("openssl")}) {
    if (!missing.empty()) return missing;
  }
  return "";
}

std::string peer_node(const std::string& name, const std::string& pod_cidr, const std::string& public_ip,
                      const std::string& mac) {
  const auto annotation = [](const char* key, const std::string& value) {
    return "\"" + kPrefix + key + "\":\"" + value + "\"";
  };
  return "{" +
         metadata(name, R"(,"annotations":{)" + annotation("kube-subnet-manager", "true") + "," +
                            annotation("backend-type", "vxlan") + "," +
                            annotation("backend-data", R"({\"VNI\":1,\"VtepMAC\":\")" + mac + R"(\"})") +
                            "," + annotation("public-ip", public_ip) +
                            R"(},"labels":{"kubernetes.io/hostname":")" + name + "\"}") +
         "," + spec(pod_cidr) + "}";
}

std::string mac_annotation(const std::string& mac) {
  return R"("{\"VNI\":1,\"VtepMAC\":\")" + mac + R"(\"}")";
}

std::string peer_name(int number) { return "peer-" + std::to_string(number); }

std::string peer_mac(int number) {
  char mac[18];
  std::snprintf(mac, sizeof mac, "02:00:00:00:%02x:%02x", number / 256, number % 256);
  return mac;
}

std::string heartbeat(int seconds) {
  const auto two_digits = [](int number) { return std::to_string(100 + number % 60).substr(1); };
  const std::string time = "2026-01-01T00:" + two_digits(seconds / 60) + ":" + two_digits(seconds) + "Z";
  std::string conditions;
  for (const std::string type : {"MemoryPressure", "DiskPressure", "PIDPressure", "Ready"}) {
    conditions += (conditions.empty() ? "" : ",") + R"({"type":")"s + type + R"(","status":")" +
                  (type == "Ready" ? "True" : "False") +
                  R"(","reason":"KubeletReady","message":"kubelet is posting ready status",)" +
                  R"("lastHeartbeatTime":")" + time + R"(","lastTransitionTime":"2026-01-01T00:00:00Z"})";
  }
  return R"({"status":{"conditions":[)" + conditions + "]}}";
}

KubeApi::KubeApi(Rights rights) : etcd_({.program = from_env("KUBE_ETCD")}) {
  certificates_.sign("server", "/CN=kube-apiserver", "IP:172.30.0.1,DNS:kubernetes.default.svc");
  certificates_.sign("admin", "/O=system:masters/CN=admin");
  certificates_.sign("accounts", "/CN=accounts");
  write_file(files_.file("curl"), curl_config());
  start();
  apply_rights(rights);
}

std::string KubeApi::url(const std::string& path) const {
  return "https://172.30.0.1:" + std::to_string(port_) + path;
}

void KubeApi::stop() { process_.reset(); }

void KubeApi::start(int port) {
  port_ = port;
  const auto file = [this](const char* name) { return certificates_.file(name); };
  process_ = std::make_unique<Process>(Command{
      .args = {from_env("KUBE_APISERVER"), "--etcd-servers=" + etcd_.url(), "--bind-address=172.30.0.1",
               "--advertise-address=172.30.0.1", "--secure-port=" + std::to_string(port),
               "--cert-dir=" + files_.path(), "--tls-cert-file=" + file("server.pem"),
               "--tls-private-key-file=" + file("server.key"), "--client-ca-file=" + file("ca.pem"),
               "--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc",
               "--service-account-key-file=" + file("accounts.pem"),
               "--service-account-signing-key-file=" + file("accounts.key"),
               "--api-audiences=https://kubernetes.default.svc", "--service-cluster-ip-range=10.0.0.0/24",
               "--endpoint-reconciler-type=none",
               // There are no controllers, which a Pod's admission would wait for.
               "--disable-admission-plugins=ServiceAccount", "--etcd-compaction-interval=0",
               "--profiling=false"},
      .netns = etcd_.node().name(),
      .output_file = files_.file("log")});
  const bool ready = wait_until(
      90s, [this] { return !process_->running() || run(curl({url("/readyz")}), 5s).output == "ok"; });
  if (!ready || !process_->running())
    throw std::runtime_error("kube-apiserver does not start: " + file_text(files_.file("log")));
}

std::string KubeApi::curl_config() const {
  // With a user agent like curl's own the answers are indented.
  return "silent\nshow-error\nuser-agent = tests\nnoproxy = \"*\"\ncacert = " + ca_file() +
         "\ncert = " + certificates_.file("admin.pem") + "\nkey = " + certificates_.file("admin.key") + "\n";
}

Command KubeApi::curl(const std::vector<std::string>& arguments) const {
  Command command{.args = {"curl", "-K", files_.file("curl")}, .netns = etcd_.node().name()};
  command.args.insert(command.args.end(), arguments.begin(), arguments.end());
  return command;
}

std::string KubeApi::request(const std::string& method, const std::string& path, const std::string& body,
                             const std::string& type) const {
  std::vector<std::string> arguments{"-X", method, "-w", "\n%{http_code}", url(path)};
  if (!body.empty()) {
    write_file(files_.file("body"), body);
    arguments.insert(arguments.begin(),
                     {"-H", "Content-Type: " + type, "--data-binary", "@" + files_.file("body")});
  }
  std::string answer = must_run(curl(arguments), 30s);
  const auto end = answer.rfind('\n');
  if (answer.at(end + 1) != '2') throw std::runtime_error(method + " " + path + " " + body + ": " + answer);
  answer.resize(end);
  return answer;
}

void KubeApi::apply(const std::string& manifest, bool dry_run) const {
  for (std::size_t begin = 0, end; begin < manifest.size(); begin = end + kSeparator.size()) {
    end = std::min(manifest.find(kSeparator, begin), manifest.size());
    const std::string document = manifest.substr(begin, end - begin);
    request("PATCH",
            path_of(document) + "?fieldManager=tests&force=true&fieldValidation=Strict" +
                (dry_run ? "&dryRun=All" : ""),
            document, "application/apply-patch+yaml");
  }
}

void KubeApi::apply_rights(Rights rights) const {
  std::string manifest = project_file("board/k3s/rbac.yaml");
  if (rights == Rights::kNoPatch) manifest.replace(manifest.find("patch]"), 5, "get");
  apply(manifest);
}

void KubeApi::add_node(const std::string& name, const std::string& pod_cidr) const {
  // A kubelet's annotation: flanneld panics where there is none.
  const std::string annotations =
      R"(,"annotations":{"volumes.kubernetes.io/controller-managed-attach-detach":"true"})";
  request("POST", "/api/v1/nodes", "{" + metadata(name, annotations) + "," + spec(pod_cidr) + "}");
}

void KubeApi::give_pod_cidr(const std::string& name, const std::string& pod_cidr) const {
  patch_node(name, "{" + spec(pod_cidr) + "}");
}

void KubeApi::delete_node(const std::string& name) const { request("DELETE", kNodes + name); }

void KubeApi::patch_node(const std::string& name, const std::string& json) const {
  request("PATCH", kNodes + name, json, "application/merge-patch+json");
}

void KubeApi::patch_status(const std::string& name, const std::string& json) const {
  request("PATCH", kNodes + name + "/status", json, "application/strategic-merge-patch+json");
}

void KubeApi::annotate(const std::string& name, const std::string& annotation,
                       const std::string& json) const {
  patch_node(name, annotation_patch(annotation, json));
}

std::string KubeApi::annotation(const std::string& name, const std::string& annotation) const {
  return string_of(node(name), kPrefix + annotation);
}

void KubeApi::add_peer(const std::string& name, const std::string& pod_cidr, const std::string& public_ip,
                       const std::string& mac) const {
  request("POST", "/api/v1/nodes", peer_node(name, pod_cidr, public_ip, mac));
}

std::string KubeApi::token(const std::string& secret) const {
  std::string request_spec = R"("expirationSeconds":3600)";
  if (!secret.empty()) {
    if (run(curl({"-f", url(kSecrets + "/" + secret)})).status != 0)
      request("POST", kSecrets, "{" + metadata(secret) + "}");
    request_spec += R"(,"boundObjectRef":{"kind":"Secret","apiVersion":"v1","name":")" + secret + R"("})";
  }
  return string_of(request("POST", kAccount + "/flannelette/token", R"({"spec":{)" + request_spec + "}}"),
                   "token");
}

void KubeApi::delete_secret(const std::string& name) const { request("DELETE", kSecrets + "/" + name); }

std::string KubeApi::certificate_user() const {
  certificates_.sign("account", "/CN=system:serviceaccount:flannelette:flannelette");
  return certificate_of("account");
}

std::string KubeApi::admin_user() const { return certificate_of("admin"); }

std::string KubeApi::certificate_of(const std::string& name) const {
  return "client-certificate-data: " + base64(file_text(certificates_.file(name + ".pem"))) +
         "\n    client-key-data: " + base64(file_text(certificates_.file(name + ".key")));
}

std::string KubeApi::kubeconfig(const std::string& user) const {
  return "apiVersion: v1\n"
         "clusters:\n"
         "- cluster:\n"
         "    certificate-authority-data: " +
         base64(file_text(ca_file())) +
         "\n"
         "    server: https://172.30.0.1:" +
         std::to_string(kPort) +
         "\n"
         "  name: kubernetes\n"
         "contexts:\n"
         "- context:\n"
         "    cluster: kubernetes\n"
         "    user: flannelette\n"
         "  name: flannelette@kubernetes\n"
         "current-context: flannelette@kubernetes\n"
         "kind: Config\n"
         "users:\n"
         "- name: flannelette\n"
         "  user:\n"
         "    " +
         user + "\n";
}

void KubeRequests::add(const std::string& method, const std::string& path, const std::string& type,
                       const std::string& body) {
  std::string quoted;
  for (const char c : body) quoted += (c == '"' || c == '\\') ? "\\"s + c : std::string(1, c);
  if (!config_.empty()) config_ += "next\n";
  config_ += api_.curl_config() + "fail\noutput = /dev/null\nurl = \"" + api_.url(path) +
             "\"\nrequest = " + method + "\n";
  if (!body.empty())
    config_ += "header = \"Content-Type: application/" + type + "\"\ndata = \"" + quoted + "\"\n";
}

void KubeRequests::add_peer(int number) {
  const std::string low = std::to_string(number / 256) + "." + std::to_string(number % 256);
  add("POST", "/api/v1/nodes", "json",
      peer_node(peer_name(number), "10." + low + ".0/24", "172.31." + low, peer_mac(number)));
}

void KubeRequests::change_mac(int number, const std::string& mac) {
  add("PATCH", KubeApi::kNodes + peer_name(number), "merge-patch+json",
      annotation_patch("backend-data", mac_annotation(mac)));
}

void KubeRequests::patch_status(const std::string& node, const std::string& body) {
  add("PATCH", KubeApi::kNodes + node + "/status", "strategic-merge-patch+json", body);
}

Command KubeRequests::command(const std::vector<std::string>& flags) const {
  write_file(files_.file("config"), config_);
  Command command{.args = {"curl", "-K", files_.file("config")}, .netns = api_.etcd().node().name()};
  command.args.insert(command.args.end(), flags.begin(), flags.end());
  return command;
}

KubeMachine::KubeMachine(const KubeApi& api, int number, std::string program)
    : KubeMachine(api, number, std::move(program), "10.240." + std::to_string(number) + ".0/24") {}

KubeMachine::KubeMachine(const KubeApi& api, int number, std::string program, const std::string& pod_cidr)
    : Machine(api.etcd(), number), api_(api), program_(std::move(program)) {
  api_.add_node(name(), pod_cidr);
}

std::string KubeMachine::pod_cidr() const { return string_of(api_.node(name()), "podCIDR"); }

void KubeMachine::start_as(const std::string& program, std::vector<std::string> more) {
  if (file_text(file(kubeconfig())).empty()) write_kubeconfig(api_.kubeconfig("token: " + api_.token()));
  write_missing_network_config();
  if (!ours()) more.push_back("--net-config-path=" + network_config());
  more.insert(more.begin(), {"--kube-subnet-mgr", "--kubeconfig-file=" + kubeconfig()});
  start_with(std::move(more), {"NODE_NAME=" + name()}, program);
}

const DaemonSet& KubeMachine::daemon_set() {
  if (!daemon_set_) daemon_set_ = std::make_unique<DaemonSet>(api_);
  return *daemon_set_;
}

void KubeMachine::start_in_pod(const std::string& token, std::vector<std::string> more,
                               std::vector<std::string> env) {
  write_service_account(token);
  const DaemonSet& set = daemon_set();
  must_run(set.command(*this, set.init(), ""));
  start_with(set.command(*this, set.agent(), file(kAccountFolder), more, std::move(env)));
}

void KubeMachine::write_missing_network_config() const {
  if (file_text(file(network_config())).empty())
    write_network_config(R"({"Network":"10.0.0.0/8","Backend":{"Type":"vxlan"}})");
}

void KubeMachine::write_service_account(const std::string& token) const {
  write_file(file(kAccountFolder + "/ca.crt"), file_text(api_.ca_file()));
  write_file(file(kAccountFolder + "/token"), token);
}

bool knows(const Machine& a, const Machine& b) {
  try {
    const std::string base = host_in(b.subnet(), 0);
    const std::string mac = b.device("link/ether");
    return contains(a.routes(), b.subnet() + " ") && contains(a.routes(), " via " + base + " ") &&
           contains(a.neighbours(), base + " lladdr " + mac + " PERMANENT") &&
           contains(a.fdb(), mac + " dst " + b.address() + " self permanent");
  } catch (const std::runtime_error&) {
    return false;  // a device is not there
  }
}

}  // namespace flannelette::tests
