// SPDX-License-Identifier: Apache-2.0
// One registry, asked step by step.
#include "agent/inspection/registry_probe.hpp"

#include "agent/words.hpp"

namespace flannelette::agent {
namespace {

/// The first one whose words are in the text of a failure.
struct Cause {
  const char* words;
  const char* repair;
};
constexpr const char* kGrpcOnly =
    "is this a port for gRPC alone? flannelette needs etcd's HTTP/JSON gateway, which is on unless "
    "--enable-grpc-gateway=false or --listen-client-http-urls say otherwise; k3s has it at 127.0.0.1:2382 of "
    "its "
    "servers only: use kube-subnet-mgr there";
constexpr Cause kCauses[] = {
    {"not signed by the configured CA", "give the CA that signed it as ca-file"},
    {"the clock of this machine says", "set the clock (NTP), or renew the certificate"},
    {"has expired", "renew it"},
    {"not valid for this name", "write the endpoint as the certificate does, or have the name added to it"},
    {"no subjectAltName", "have the name or address of the endpoint added to it"},
    {"requires a client certificate", "give cert-file and key-file"},
    {"client certificate", "give one of the CA that the server trusts as cert-file and key-file"},
    {"HTTP/1", kGrpcOnly},
    {"control byte", kGrpcOnly},
    {"UNIMPLEMENTED", kGrpcOnly},
    {"config: read: Connection reset", kGrpcOnly},
    {"our credentials", "renew the token or certificate of the kubeconfig or service account"},
    {"a right is missing", "kubectl apply -f board/k3s/rbac.yaml"},
    {"podCIDR", "kube-controller-manager --allocate-node-cidrs --cluster-cidr=NETWORK gives each Node one"},
    {kNotGiven, "give the name of this machine's Node as NODE_NAME"},
    {"no part of the network", "let Network be what --cluster-cidr of the cluster is"},
    {"must be reached directly",
     "let Network and --cluster-cidr hold no address of a node's interface, gateway or API server"},
    {"authenticat", "correct username and password-file"},
    {"user name is empty", "give username and password-file"},
    {"invalid auth token", "give username and password-file"},
    {"PERMISSION_DENIED", "grant the user's role: read on <prefix>/config, readwrite on <prefix>/subnets/"},
    {"Connection refused", "is it running there, and does it listen on this address and port?"},
    {"resolver", "correct the name, or /etc/resolv.conf"},
    {"connect", "is the route right, and does no firewall drop it?"},
    {"buffer",
     "switch buffering off for /v3/watch in the proxy (nginx: proxy_buffering off), or go around it"},
};

}  // namespace

std::string_view repair_of(std::string_view failure) {
  for (const Cause& cause : kCauses) {
    if (failure.find(cause.words) != failure.npos) return cause.repair;
  }
  return {};
}

void RegistryProbe::on_config(const overlay::NetworkConfig& config) {
  if (ended()) return;
  step_ = Step::kList;
  network_ = config.network;
  listener_.on_network(config);
}

void RegistryProbe::on_config_problem(const overlay::ConfigProblem& problem, std::string_view) {
  if (Writer* const out = fail()) {
    put_reason(out->put(words_of(problem)).put(": "), problem);
    repair_ = "correct it";
  }
}

void RegistryProbe::on_config_missing() {
  if (Writer* const out = fail()) {
    out->put(kConfigMissing).put(": ").put(inspected_.registry->config_location());
    repair_ = "write it: {\"Network\":\"10.42.0.0/16\",\"Backend\":{\"Type\":\"vxlan\"}}";
  }
}

/// Only the first list is counted.
void RegistryProbe::on_snapshot_begin() {
  if (step_ <= Step::kList) records_ = 0;
}

void RegistryProbe::on_snapshot_end() {
  if (step_ == Step::kList) step_ = Step::kWatch;
}

void RegistryProbe::on_record(const overlay::LeaseRecord& record) {
  if (step_ != Step::kList) return;
  ++records_;
  listener_.on_record(record);
}

void RegistryProbe::on_watching() {
  if (step_ >= Step::kJoin) return;
  if (!inspected_.rehearses) return succeed();
  step_ = Step::kJoin;
  listener_.on_rehearsal(*inspected_.registry);
}

void RegistryProbe::on_left(const registry::Left& left) {
  using Why = registry::Left::Why;
  switch (left.why) {
    case Why::kAwaited:
    case Why::kOutside: break;
    case Why::kNoneFree:
    case Why::kUnfit:
    case Why::kTaken:
    case Why::kBlocked:
    case Why::kRefused:
    case Why::kExpired:
    case Why::kDeleted:
    case Why::kRestored:
    case Why::kNamesake:
    case Why::kTwin:
    case Why::kRival: return;  // after a join, or of a registry that has no rehearsal
  }
  Writer* const out = fail();
  if (out == nullptr) return;
  const bool unusable = left.why == Why::kOutside;
  out->put(unusable ? kUnusable : kNotGiven).put(": ");
  if (unusable) {
    write(*out, Net(left.subnet));
    write(out->put(", Network "), Net(network_));
    out->put(": ");
  }
  repair_ = repair_of(out->put(left.detail).view());
}

void RegistryProbe::succeed() {
  if (ended()) return;
  step_ = Step::kWorks;
  listener_.on_probed();
}

void RegistryProbe::on_failure(const registry::Failure& failure) {
  // The list and the watch were had: only the answer to the rehearsal is open.
  if (step_ == Step::kJoin && failure.operation != std::string_view(registry::kOwnRecord)) return;
  Writer* const out = fail();
  if (out == nullptr) return;
  // What is not of the connection is of what was asked.
  const std::string_view context = failure.error.context;
  if (failure.error.code == Code::kTls) {
    out->put("TLS: ");
  } else if (!context.starts_with("connect") && !context.starts_with("resolver")) {
    out->put(failure.operation).put(": ");
  }
  put_error(*out, failure.error);
  if (!failure.detail.empty()) out->put(": ").put(failure.detail);
  repair_ = repair_of(out->view());
}

void RegistryProbe::end() {
  const bool unheard = step_ == Step::kWatch;
  Writer* const out = fail();
  if (out == nullptr) return;
  out->put(unheard ? std::string_view(registry::kNoWatch) : "no answer in time");
  repair_ = repair_of(out->view());
}

/// Where to say why; nullptr: it has ended.
Writer* RegistryProbe::fail() {
  if (ended()) return nullptr;
  step_ = Step::kFailed;
  listener_.on_probed();
  return &text_;
}

void RegistryProbe::report(Report& report, Grade grade) const {
  report.begin("registry");
  Writer& out = works() ? report.note() : report.put(grade);
  out.put(inspected_.name);
  if (works()) {
    out.put(", ").put_unsigned(records_).put(" leases");
  } else {
    out.put(": ").put(text_.view());
    report.repair().put(repair_);
  }
  report.end();
}

}  // namespace flannelette::agent
