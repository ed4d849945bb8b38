// SPDX-License-Identifier: Apache-2.0
// Kubeconfigs as kubeadm, k3s, kind, minikube, microk8s, k0s, kubectl and clouds write them; what is refused;
// and what holds for any text.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "flannelette/json/base64.hpp"
#include "flannelette/json/writer.hpp"
#include "registry/kube/kubeconfig.hpp"
#include "registry/kube/yaml.hpp"
#include "support/rng.hpp"

using namespace flannelette;
using namespace flannelette::registry::kube;

namespace {

std::string base64(const std::string& bytes) {
  std::vector<char> memory(json::base64_size(bytes.size()));
  Writer out(memory);
  json::encode_base64(bytes, out);
  return std::string(out.view());
}

std::string pem(const std::string& kind, const std::string& inside) {
  return "-----BEGIN " + kind + "-----\n" + inside + "\n-----END " + kind + "-----\n";
}

const std::string kCa = pem("CERTIFICATE", "Y2E=");
const std::string kCertificate = pem("CERTIFICATE", "Y2xpZW50");
const std::string kKey = pem("EC PRIVATE KEY", "c2VjcmV0");  // its base64 is a secret, as the token is
const std::string kToken = "eyJhbGciOiJSUzI1NiJ9.eyJzZWNyZXQiOjF9.c2VjcmV0";

/// @CA@, @CERT@, @KEY@, @TOKEN@ are replaced by made-up ones.
std::string filled(std::string text) {
  const std::string rows[][2] = {
      {"@CA@", base64(kCa)}, {"@CERT@", base64(kCertificate)}, {"@KEY@", base64(kKey)}, {"@TOKEN@", kToken}};
  for (const auto& row : rows) {
    for (std::size_t at = text.find(row[0]); at != text.npos; at = text.find(row[0])) {
      text.replace(at, row[0].size(), row[1]);
    }
  }
  return text;
}

std::string words_of(const Pem& pem) {
  CHECK((pem.file.empty() || pem.data.empty()));
  if (pem.empty()) return "-";
  if (!pem.file.empty()) return std::string(pem.file.view());
  CHECK(pem.data.data()[pem.data.size()] == '\0');
  return pem.data == kCa ? "<ca>" : pem.data == kCertificate ? "<cert>" : pem.data == kKey ? "<key>" : "?";
}

struct Parsed {
  bool ok = false;
  std::string what;    ///< of a refusal, as the log has it
  std::string server;  ///< the rest only if ok
  std::string tls_name;
  std::string ca, certificate, key;
  std::string token, token_file;
  std::string names;
  bool operator==(const Parsed&) const = default;
};

constexpr const char* kPath = "/etc/kube/config";

Parsed parse(std::string_view text, std::string_view context = {}) {
  std::vector<char> memory(text.begin(), text.end());  // of its own size, so that a read beyond it is seen
  Kubeconfig config;
  KubeconfigProblem problem;
  Parsed out;
  const Result<void> result = parse_kubeconfig(memory, kPath, context, config, problem);
  out.ok = static_cast<bool>(result);
  if (!out.ok) {
    CHECK(result.error().context == problem.why);
    CHECK_FALSE(std::string_view(problem.why).empty());
    out.what = to_text<2000>([&](Writer& to) { write(to, kPath, problem); }).view();
    out.what.erase(0, out.what.find(':') + 1);
    return out;
  }
  out.server = to_text<300>([&](Writer& to) { write(to, config.server); }).view();
  out.tls_name = config.tls_server_name.view();
  out.ca = words_of(config.ca);
  out.certificate = words_of(config.client_certificate);
  out.key = words_of(config.client_key);
  out.token = config.token;
  out.token_file = config.token_file.view();
  for (const std::string_view name : {config.context, config.cluster, config.user}) {
    out.names.append(out.names.empty() ? "" : ", ").append(name);
  }
  return out;
}

std::string refusal(const std::string& text, std::string_view context = {}) {
  const Parsed parsed = parse(filled(text), context);
  return parsed.ok ? "accepted: " + parsed.server : parsed.what;
}

// --- Who writes what ---

const char* const kKubeadmAdmin = R"(apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: @CA@
    server: https://10.0.0.10:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
current-context: kubernetes-admin@kubernetes
kind: Config
preferences: {}
users:
- name: kubernetes-admin
  user:
    client-certificate-data: @CERT@
    client-key-data: @KEY@
)";

const char* const kKubeadmKubelet = R"(apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: @CA@
    server: https://cp.example:6443
  name: default-cluster
contexts:
- context:
    cluster: default-cluster
    namespace: default
    user: default-auth
  name: default-context
current-context: default-context
kind: Config
preferences: {}
users:
- name: default-auth
  user:
    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem
    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem
)";

const char* const kKubeadmBootstrap = R"(apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: @CA@
    server: https://[fd00:10::1]:6443
  name: ""
- cluster:
    certificate-authority-data: @CA@
    server: https://[fd00:10::2]:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: tls-bootstrap-token-user
  name: tls-bootstrap-token-user@kubernetes
current-context: tls-bootstrap-token-user@kubernetes
kind: Config
preferences: {}
users:
- name: tls-bootstrap-token-user
  user:
    token: abcdef.0123456789abcdef
)";

const char* const kK3sServer = R"(apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: @CA@
    server: https://127.0.0.1:6443
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
preferences: {}
users:
- name: default
  user:
    client-certificate-data: @CERT@
    client-key-data: @KEY@
)";

const char* const kK3sAgent = R"(apiVersion: v1
clusters:
- cluster:
    server: https://127.0.0.1:6444
    certificate-authority: /var/lib/rancher/k3s/agent/server-ca.crt
  name: local
contexts:
- context:
    cluster: local
    namespace: default
    user: user
  name: Default
current-context: Default
kind: Config
preferences: {}
users:
- name: user
  user:
    client-certificate: /var/lib/rancher/k3s/agent/client-kubelet.crt
    client-key: /var/lib/rancher/k3s/agent/client-kubelet.key
)";

const char* const kMinikube = R"(apiVersion: v1
clusters:
- cluster:
    certificate-authority: /home/somebody/.minikube/ca.crt
    extensions:
    - extension:
        last-update: Sat, 28 Nov 2026 06:50:16 UTC
        provider: minikube.sigs.k8s.io
        version: v1.37.0
      name: cluster_info
    server: https://192.168.49.2:8443
  name: minikube
contexts:
- context:
    cluster: minikube
    extensions:
    - extension:
        last-update: Sat, 28 Nov 2026 06:50:16 UTC
        provider: minikube.sigs.k8s.io
        version: v1.37.0
      name: context_info
    namespace: default
    user: minikube
  name: minikube
current-context: minikube
kind: Config
users:
- name: minikube
  user:
    client-certificate: profiles/minikube/client.crt
    client-key: profiles/minikube/client.key
)";

const char* const kKind = R"(apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: @CA@
    server: https://127.0.0.1:41235
  name: kind-kind
contexts:
- context:
    cluster: kind-kind
    user: kind-kind
  name: kind-kind
current-context: kind-kind
kind: Config
preferences: {}
users:
- name: kind-kind
  user:
    client-certificate-data: @CERT@
    client-key-data: @KEY@
)";

const char* const kK0s = R"(
apiVersion: v1
clusters:
- cluster:
    server: https://192.168.1.30:6443
    certificate-authority-data: @CA@
  name: local
contexts:
- context:
    cluster: local
    namespace: default
    user: user
  name: Default
current-context: Default
kind: Config
preferences: {}
users:
- name: user
  user:
    client-certificate-data: @CERT@
    client-key-data: @KEY@
)";

const char* const kMicrok8s = R"(apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: @CA@
    server: https://192.168.1.20:16443
  name: microk8s-cluster
contexts:
- context:
    cluster: microk8s-cluster
    user: admin
  name: microk8s
current-context: microk8s
kind: Config
preferences: {}
users:
- name: admin
  user:
    token: @TOKEN@
)";

/// As a script of a CNI plugin or a service account writes it, by hand: items indented, names first, quotes.
const char* const kByHand = R"(# Written by an install script.
---
apiVersion: v1
kind: Config
users:
  - name: 'edge node''s'   # a comment
    user:
      tokenFile: "token"
      token: "@TOKEN@"

current-context:   edge
contexts:
  - name: edge
    context: {cluster}
clusters:
  -   name: "local \"one\""
      cluster:
        certificate-authority: ../pki/ca.crt
        insecure-skip-tls-verify: false
        tls-server-name: kubernetes
        server: HTTPS://Api.Example/
)";

std::string by_hand() {
  std::string text = kByHand;
  const std::string mark = " {cluster}";
  return text.replace(text.find(mark), mark.size(),
                      "\n      cluster: \"local \\\"one\\\"\"\n      user: edge node's");
}

/// `kubectl config set-cluster, set-credentials, set-context`: two clusters, the second one current.
const char* const kKubectl = R"(apiVersion: v1
clusters:
- cluster:
    server: http://127.0.0.1:8001
  name: proxy
- cluster:
    certificate-authority: ca.crt
    server: https://k0s.example:6443
    tls-server-name: kubernetes.default.svc
  name: k0s
contexts:
- context:
    cluster: proxy
    user: nobody
  name: proxy
- context:
    cluster: k0s
    namespace: kube-flannel
    user: agent
  name: k0s
current-context: k0s
kind: Config
preferences: {}
users:
- name: agent
  user:
    tokenFile: /run/token
- name: nobody
  user: {}
)";

const char* const kEks = R"(apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: @CA@
    server: https://0123456789ABCDEF.gr7.eu-central-1.eks.example
  name: arn:aws:eks:eu-central-1:111122223333:cluster/edge
contexts:
- context:
    cluster: arn:aws:eks:eu-central-1:111122223333:cluster/edge
    user: arn:aws:eks:eu-central-1:111122223333:cluster/edge
  name: arn:aws:eks:eu-central-1:111122223333:cluster/edge
- context:
    cluster: arn:aws:eks:eu-central-1:111122223333:cluster/edge
    user: flannel
  name: flannel
current-context: arn:aws:eks:eu-central-1:111122223333:cluster/edge
kind: Config
preferences: {}
users:
- name: arn:aws:eks:eu-central-1:111122223333:cluster/edge
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      args:
      - --region
      - eu-central-1
      - eks
      - get-token
      - --cluster-name
      - edge
      command: aws
      env:
      - name: AWS_PROFILE
        value: edge
      interactiveMode: IfAvailable
      provideClusterInfo: false
- name: flannel
  user:
    token: @TOKEN@
)";

/// gcloud is written in Python, which folds long texts.
const char* const kGke = R"(apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: @CA@
    server: https://203.0.113.7
  name: gke_project_zone_edge
contexts:
- context:
    cluster: gke_project_zone_edge
    user: gke_project_zone_edge
  name: gke_project_zone_edge
current-context: gke_project_zone_edge
kind: Config
preferences: {}
users:
- name: gke_project_zone_edge
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: gke-gcloud-auth-plugin
      installHint: Install gke-gcloud-auth-plugin for use with kubectl by following
        https://cloud.example/blog/products/containers-kubernetes/kubectl-auth-changes-in-gke
        (two more lines
        - of it)
      provideClusterInfo: true
)";

const char* const kGkeBefore = R"(apiVersion: v1
clusters:
- cluster: {server: x}
contexts: []
)";

/// What is accepted, and what it means.
struct Sample {
  const char* who;
  std::string text;
  Parsed expected;
};

std::vector<Sample> samples() {
  const auto parsed = [](const char* server, const char* tls_name, const char* ca, const char* certificate,
                         const char* key, const std::string& token, const char* token_file,
                         const char* names) {
    return Parsed{true, "", server, tls_name, ca, certificate, key, token, token_file, names};
  };
  return {
      {"kubeadm, admin.conf", filled(kKubeadmAdmin),
       parsed("https://10.0.0.10:6443", "", "<ca>", "<cert>", "<key>", "", "",
              "kubernetes-admin@kubernetes, kubernetes, kubernetes-admin")},
      {"kubeadm, kubelet.conf", filled(kKubeadmKubelet),
       parsed("https://cp.example:6443", "", "<ca>", "/var/lib/kubelet/pki/kubelet-client-current.pem",
              "/var/lib/kubelet/pki/kubelet-client-current.pem", "", "",
              "default-context, default-cluster, default-auth")},
      {"kubeadm, bootstrap-kubelet.conf", filled(kKubeadmBootstrap),
       parsed("https://[fd00:10::2]:6443", "", "<ca>", "-", "-", "abcdef.0123456789abcdef", "",
              "tls-bootstrap-token-user@kubernetes, kubernetes, tls-bootstrap-token-user")},
      {"k3s server", filled(kK3sServer),
       parsed("https://127.0.0.1:6443", "", "<ca>", "<cert>", "<key>", "", "", "default, default, default")},
      {"k3s agent", kK3sAgent,
       parsed("https://127.0.0.1:6444", "", "/var/lib/rancher/k3s/agent/server-ca.crt",
              "/var/lib/rancher/k3s/agent/client-kubelet.crt",
              "/var/lib/rancher/k3s/agent/client-kubelet.key", "", "", "Default, local, user")},
      {"minikube", kMinikube,
       parsed("https://192.168.49.2:8443", "", "/home/somebody/.minikube/ca.crt",
              "/etc/kube/profiles/minikube/client.crt", "/etc/kube/profiles/minikube/client.key", "", "",
              "minikube, minikube, minikube")},
      {"kind", filled(kKind),
       parsed("https://127.0.0.1:41235", "", "<ca>", "<cert>", "<key>", "", "",
              "kind-kind, kind-kind, kind-kind")},
      {"k0s", filled(kK0s),
       parsed("https://192.168.1.30:6443", "", "<ca>", "<cert>", "<key>", "", "", "Default, local, user")},
      {"microk8s", filled(kMicrok8s),
       parsed("https://192.168.1.20:16443", "", "<ca>", "-", "-", kToken, "",
              "microk8s, microk8s-cluster, admin")},
      {"by hand", filled(by_hand()),
       parsed("https://Api.Example:443", "kubernetes", "/etc/kube/../pki/ca.crt", "-", "-", kToken,
              "/etc/kube/token", "edge, local \"one\", edge node's")},
      {"kubectl", kKubectl,
       parsed("https://k0s.example:6443", "kubernetes.default.svc", "/etc/kube/ca.crt", "-", "-", "",
              "/run/token", "k0s, k0s, agent")},
  };
}

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != text.npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

/// The same document as JSON.
class ToJson final : public YamlEvents {
 public:
  explicit ToJson(std::span<char> memory) : json(memory) {}
  const char* on(const YamlEvent& event) override {
    switch (event.kind) {
      case YamlEvent::Kind::kBeginMapping: json.begin_object(), open += '{'; break;
      case YamlEvent::Kind::kBeginSequence: json.begin_array(), open += '['; break;
      case YamlEvent::Kind::kEnd:
        if (open.back() == '{') {
          json.end_object();
        } else {
          json.end_array();
        }
        open.pop_back();
        break;
      case YamlEvent::Kind::kKey: json.key(event.text); break;
      case YamlEvent::Kind::kScalar: json.string(event.text); break;
      case YamlEvent::Kind::kNull: json.null(); break;
      case YamlEvent::Kind::kContinued: return "a continued value";
    }
    return nullptr;
  }
  json::Writer json;
  std::string open;
};

std::string as_json(std::string text) {
  std::vector<char> memory(2 * text.size() + 100);
  ToJson to(memory);
  const YamlFault fault = read_yaml(text, to);
  REQUIRE_MESSAGE(fault.why == nullptr, fault.why);
  REQUIRE_FALSE(to.json.overflowed());
  return std::string(to.json.view());
}

/// Whatever a text was made into: a server comes from it, and no secret gets into the words.
void check_any(const std::string& text) {
  const Parsed parsed = parse(text);
  if (!parsed.ok) {
    CHECK(parsed.what.find("c2VjcmV0") == std::string::npos);
    CHECK(parsed.what.find(kToken.substr(0, 12)) == std::string::npos);
    CHECK(parsed.what.find(base64(kKey).substr(40, 12)) == std::string::npos);
    return;
  }
  const std::size_t host = parsed.server.find("://") + 3;
  const std::size_t colon = parsed.server.rfind(':');
  CHECK(text.find(parsed.server.substr(host, colon - host)) != std::string::npos);
  CHECK((text.find(parsed.server.substr(colon)) != std::string::npos || parsed.server.ends_with(":443") ||
         parsed.server.ends_with(":80")));
}

}  // namespace

TEST_SUITE("kube/kubeconfig") {
  TEST_CASE("what kubeadm, k3s, kind, minikube, k0s, microk8s, scripts and kubectl write is read") {
    for (const Sample& sample : samples()) {
      CAPTURE(sample.who);
      const Parsed parsed = parse(sample.text);
      CHECK_MESSAGE(parsed.ok, parsed.what);
      CHECK(parsed.server == sample.expected.server);
      CHECK(parsed.tls_name == sample.expected.tls_name);
      CHECK(parsed.ca == sample.expected.ca);
      CHECK(parsed.certificate == sample.expected.certificate);
      CHECK(parsed.key == sample.expected.key);
      CHECK(parsed.token == sample.expected.token);
      CHECK(parsed.token_file == sample.expected.token_file);
      CHECK(parsed.names == sample.expected.names);
    }
  }

  TEST_CASE("CRLF, a BOM, tabs between and comments on every line change nothing, nor does JSON") {
    for (const Sample& sample : samples()) {
      CAPTURE(sample.who);
      std::string text = sample.text;
      replace_all(text, "\n", "\r\n");
      CHECK(parse(text) == sample.expected);
      CHECK(parse("\xef\xbb\xbf" + sample.text) == sample.expected);
      text = sample.text;
      replace_all(text, "\n", "\t # - a: |\n\n  \n\t\n     # &x\n");
      CHECK(parse(text) == sample.expected);
      text = sample.text;
      replace_all(text, ": ", ":\t ");
      CHECK(parse(text) == sample.expected);
      CHECK(parse(sample.text.substr(0, sample.text.size() - 1)) == sample.expected);

      const std::string json = as_json(sample.text);
      CHECK(parse(json) == sample.expected);
      CHECK(parse("\xef\xbb\xbf\r\n " + json + "\n") == sample.expected);
      text = json;
      replace_all(text, ",", "\n\t, ");
      replace_all(text, "\":", "\" :\r\n");
      if (text.find("Nov 2026") == text.npos) CHECK(parse(text) == sample.expected);
      text = json;
      replace_all(text, "/", "\\/");
      CHECK(parse(text) == sample.expected);
      text = json;
      replace_all(text, "-", "\\u002d");
      CHECK(parse(text) == sample.expected);
    }
  }

  TEST_CASE("another context than the current one can be named") {
    CHECK(parse(kKubectl, "proxy").server == "http://127.0.0.1:8001");
    CHECK(parse(kKubectl, "proxy").names == "proxy, proxy, nobody");
    CHECK(parse(kKubectl, "k0s") == parse(kKubectl));
    CHECK(refusal(kKubectl, "k3s") ==
          " context \"k3s\": there is none of this name: add it, or name another");
  }

  TEST_CASE("the port is that of the scheme if none is given") {
    std::string text = kKubectl;
    replace_all(text, ":8001", "");
    replace_all(text, "k0s.example:6443", "k0s.example");
    CHECK(parse(text, "proxy").server == "http://127.0.0.1:80");
    CHECK(parse(text).server == "https://k0s.example:443");
  }

  TEST_CASE("a kubeconfig that runs a program is refused by name, if its context is chosen") {
    const std::string why =
        ": exec: no credential plugin is run: use a token, a tokenFile or a client certificate";
    CHECK(refusal(kEks) == "22" + why);
    CHECK(refusal(kGke) == "18" + why);
    CHECK(parse(filled(kEks), "flannel").server ==
          "https://0123456789ABCDEF.gr7.eu-central-1.eks.example:443");
    CHECK(parse(filled(kEks), "flannel").token == kToken);
    const std::string json = R"({"clusters":[{"name":"c","cluster":{"server":"http://a"}}],)"
                             R"("contexts":[{"name":"x","context":{"cluster":"c","user":"u"}}],
                                 "current-context":"x","users":[{"name":"u","user":
                                 {"auth-provider":{"name":"gcp","config":{"expiry":5}}}}]})";
    CHECK(refusal(json) ==
          "3: auth-provider: no credential plugin is run: use a token, a tokenFile or a client certificate");
  }

  TEST_CASE("the refusals of a file's content name line and key") {
    struct Row {
      const char* what;  ///< in kKubectl
      const char* with;
      const char* why;
    };
    const Row rows[] = {
        {"current-context: k0s\n", "",
         " current-context: no context is named: kubectl config use-context does it"},
        {"current-context: k0s", "current-context: \"\"",
         " current-context: no context is named: kubectl config use-context does it"},
        {"current-context: k0s", "current-context: K0S",
         "21: context \"K0S\": there is none of this name: add it, or name another"},
        {"    cluster: k0s", "    cluster: k1s",
         "17: cluster \"k1s\": there is none of this name: add it, or name another"},
        {"user: agent", "user: Agent",
         "19: user \"Agent\": there is none of this name: add it, or name another"},
        {"    cluster: k0s\n", "", "19: context \"k0s\": it names no cluster: add one"},
        {"    user: agent\n", "    user: null\n", "20: context \"k0s\": it names no user: add one"},
        {"  name: proxy\n- cluster:", "  name: k0s\n- cluster:",
         "10: cluster \"k0s\": two have this name: leave one"},
        {"    server: https://k0s.example:6443\n", "", "9: cluster \"k0s\": it has no server: add one"},
        {"https://k0s.example:6443", "k0s.example:6443", "8: server: must begin with http:// or https://"},
        {"https://k0s.example:6443", "https://k0s.example:6443/k8s", "8: server: a path is not allowed"},
        {"https://k0s.example:6443", "https://a:c2VjcmV0@b",
         "8: server: user and password do not belong here"},
        {"    certificate-authority: ca.crt\n", "",
         "7: server: https needs certificate-authority or certificate-authority-data: none is built in"},
        {"certificate-authority: ca.crt", "certificate-authority-data: @CA@c2Vj",
         "7: certificate-authority-data: not base64, or cut"},
        {"certificate-authority: ca.crt", "certificate-authority-data: c2VjcmV0",
         "7: certificate-authority-data: no PEM is in it"},
        {"certificate-authority: ca.crt", "certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
         "7: certificate-authority-data: the end of the PEM is missing"},
        {"certificate-authority: ca.crt",
         "certificate-authority: ca.crt\n    certificate-authority-data: @CA@",
         "8: certificate-authority-data: it is there as a file, too: leave one"},
        {"certificate-authority: ca.crt", "certificate-authority: [ca.crt]",
         "7: certificate-authority: of flow style only {} and [] are read: write one key or item a line"},
        {"certificate-authority: ca.crt", "certificate-authority: {}",
         "7: certificate-authority: must be a text"},
        {"certificate-authority: ca.crt", "certificate-authority:\n    - ca.crt",
         "8: certificate-authority: must be a text"},
        {"certificate-authority: ca.crt", "certificate-authority: ca\n      .crt",
         "8: certificate-authority: a value of several lines: write it on one"},
        {"    tls-server-name", "    server", "9: server: the key is there twice: leave one"},
        {"- name: nobody", "- name: nobody\n  name: agent", "29: name: the key is there twice: leave one"},
        {"users:\n", "users: []\nusers:\n", "25: users: the key is there twice: leave one"},
        {"users:\n", "users:\n- agent\n", "25: users: an item must be a mapping"},
        {"users:\n", "users: agent\nx:\n", "24: users: must be a list"},
        {"users:\n", "users: {}\nx:\n", "24: users: must be a list"},
        {"  user:\n    tokenFile: /run/token\n", "  user: agent\n", "26: user: must be a mapping"},
        {"    tls-server-name: ", "    proxy-url: socks5://",
         "9: proxy-url: no proxy is used: give a server that is reachable"},
        {"    tls-server-name: ", "    insecure-skip-tls-verify: true #",
         "9: insecure-skip-tls-verify: the server is always verified: give its CA, and tls-server-name if "
         "its "
         "certificate has another name"},
        {"    tls-server-name: ", "    insecure-skip-tls-verify: yes #",
         "9: insecure-skip-tls-verify: the server is always verified: give its CA, and tls-server-name if "
         "its "
         "certificate has another name"},
        {"tokenFile: /run/token", "username: admin\n    password: c2VjcmV0",
         "27: username: Kubernetes has no basic authentication since 1.19: use a token or a client "
         "certificate"},
        {"tokenFile: /run/token", "password: c2VjcmV0",
         "27: password: Kubernetes has no basic authentication since 1.19: use a token or a client "
         "certificate"},
        {"tokenFile: /run/token", "as: root",
         "27: as: impersonation is not supported: use credentials of that user"},
        {"tokenFile: /run/token", "as-groups:\n    - system:masters",
         "27: as-groups: impersonation is not supported: use credentials of that user"},
        {"    tokenFile: /run/token\n", "",
         "25: user \"agent\": https needs a token, a tokenFile or a client certificate"},
        {"tokenFile: /run/token", "client-certificate: a.crt",
         "25: user \"agent\": client-certificate and client-key belong together: one is missing"},
        {"tokenFile: /run/token", "client-key-data: @KEY@",
         "25: user \"agent\": client-certificate and client-key belong together: one is missing"},
        {"tokenFile: /run/token", "token: \"c2VjcmV0\\r\\nHost: a\"",
         "27: token: a blank or a byte beyond printable ASCII is in it"},
        {"tokenFile: /run/token", "token: c2VjcmV0\xc3\xa9",
         "27: token: a blank or a byte beyond printable ASCII is in it"},
    };
    for (const Row& row : rows) {
      std::string text = kKubectl;
      const std::size_t at = text.find(row.what);
      CAPTURE(std::string(row.with));
      REQUIRE(at != text.npos);
      text.replace(at, std::string_view(row.what).size(), row.with);
      const std::string answer = refusal(text);
      CHECK(answer.find("c2VjcmV0") == answer.npos);
      CHECK(answer == std::string(row.why));
    }
    CHECK(refusal("") == " nothing is in it");
    CHECK(refusal("# nothing\n---\n") == " nothing is in it");
    CHECK(refusal("- a\n") == "1: a list is no kubeconfig");
    CHECK(refusal(kGkeBefore) ==
          "3: cluster: of flow style only {} and [] are read: write one key or item a line");
    CHECK(refusal("apiVersion: v1\nclusters: null\ncontexts: null\ncurrent-context: \"\"\nusers: null\n") ==
          " current-context: no context is named: kubectl config use-context does it");
  }

  TEST_CASE("what is empty is not given") {
    std::string text = kKubectl;
    replace_all(text, "    tls-server-name: kubernetes.default.svc",
                "    tls-server-name: ''\n    certificate-authority-data: \"\"\n    proxy-url:\n"
                "    insecure-skip-tls-verify: False");
    replace_all(
        text, "    tokenFile: /run/token",
        "    exec: ~\n    auth-provider: null\n    username: ''\n    token:\n    tokenFile: /run/token");
    const Parsed parsed = parse(text);
    CHECK_MESSAGE(parsed.ok, parsed.what);
    CHECK(parsed.tls_name.empty());
    CHECK(parsed.ca == "/etc/kube/ca.crt");
    CHECK(parsed.token.empty());
  }

  TEST_CASE("limits: 64 KiB of text, 255 bytes of a path, 253 of a name for TLS") {
    std::string text = kKubectl;
    text += "#" + std::string(Kubeconfig::kMaxText - text.size() - 1, 'x');
    CHECK(parse(text).ok);
    CHECK(parse(text + "x").what == " longer than 64 KiB");

    const auto with = [](const char* what, const std::string& value) {
      std::string changed = kKubectl;
      return changed.replace(changed.find(what), std::string_view(what).size(), value);
    };
    const std::string folder = "/etc/kube/";
    CHECK(parse(with("ca.crt", std::string(255 - folder.size(), 'a'))).ca ==
          folder + std::string(255 - folder.size(), 'a'));
    CHECK(parse(with("ca.crt", std::string(256 - folder.size(), 'a'))).what ==
          "7: certificate-authority: the path is longer than 255 bytes");
    CHECK(parse(with("/run/token", "/" + std::string(254, 'a'))).ok);
    CHECK(parse(with("/run/token", "/" + std::string(255, 'a'))).what ==
          "27: tokenFile: the path is longer than 255 bytes");
    CHECK(parse(with("kubernetes.default.svc", std::string(253, 'a'))).ok);
    CHECK(parse(with("kubernetes.default.svc", std::string(254, 'a'))).what ==
          "9: tls-server-name: longer than 253 bytes");
  }

  TEST_CASE("paths are relative to the file's folder") {
    const char* const rows[][2] = {{"/etc/kube/config", "/etc/kube/ca.crt"},
                                   {"config", "ca.crt"},
                                   {"./config", "./ca.crt"},
                                   {"/config", "/ca.crt"}};
    for (const auto& row : rows) {
      std::string text = kKubectl;
      Kubeconfig config;
      KubeconfigProblem problem;
      REQUIRE(parse_kubeconfig(text, row[0], "", config, problem));
      CHECK(config.ca.file.view() == row[1]);
      CHECK(config.token_file.view() == "/run/token");
    }
  }

  TEST_CASE("a file cut at any byte crashes nobody, and has no server that is not in it") {
    std::vector<std::string> texts = {filled(kEks), filled(kGke)};
    for (const Sample& sample : samples()) {
      texts.push_back(sample.text);
      texts.push_back(as_json(sample.text));
    }
    for (const std::string& text : texts) {
      const std::string whole = parse(text).server;
      for (std::size_t size = 0; size < text.size(); ++size) {
        const std::string cut = text.substr(0, size);
        CAPTURE(cut);
        check_any(cut);
        // Of JSON nothing but the whole is read; of YAML a cut within the last value goes unnoticed.
        const Parsed parsed = parse(cut);
        if (!parsed.ok || parsed.server == whole) continue;
        std::string host = cut.substr(cut.rfind("//") + 2);
        if (host.ends_with('/')) host.pop_back();
        CHECK(text[0] != '{');
        CHECK(parsed.server == "https://" + host + ":443");
      }
    }
  }

  TEST_CASE("a file with random changes crashes nobody, and has no server that is not in it") {
    tests::Rng rng;
    const std::vector<Sample> all = samples();
    const std::string pieces[] = {"\n", " ", "- ", ":",  ": ", "#",  "\"", "'",      "{}",
                                  "[]", "|", "\\", "\t", "~",  "--", "{",  "}",      "[",
                                  "]",  ",", "&a", "*a", "!",  "?",  "\r", "\\u0041"};
    const int count = tests::rounds(4'000);
    for (int round = 0; round < count; ++round) {
      std::string text = all[rng.below(all.size())].text;
      if (rng.one_in(3)) text = as_json(text);
      for (std::uint64_t changes = 1 + rng.below(4); changes > 0; --changes) {
        const std::size_t at = rng.below(text.size());
        if (rng.one_in(3)) {
          text.erase(at, 1 + rng.below(12));
        } else {
          text.insert(at, pieces[rng.below(std::size(pieces))]);
        }
      }
      CAPTURE(text);
      // Escapes make a text that does not stand there as it is.
      if (text.find('\\') == text.npos) check_any(text);
      parse(text);
    }
  }
}
