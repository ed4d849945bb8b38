// SPDX-License-Identifier: Apache-2.0
#include "sim/scripted_kube.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "flannelette/json/writer.hpp"
#include "sim/scripted_json.hpp"
#include "sim/scripted_stream.hpp"

namespace flannelette::tests {
namespace {

constexpr const char* kNodes = "/api/v1/nodes";
constexpr const char* kPods = "/api/v1/namespaces/";
constexpr const char* kStatus = "/status";

std::string quoted(std::string_view text) {
  std::string out(text.size() * 6 + 2, '\0');
  json::Writer writer(out);
  out.resize(writer.string(text).view().size());
  return out;
}

std::string quoted(std::int64_t value) { return "\"" + std::to_string(value) + "\""; }

std::string replaced(std::string text, std::string_view which, std::string_view by) {
  for (char& c : text) {
    const std::size_t at = which.find(c);
    if (at != which.npos) c = by[at];
  }
  return text;
}

/// "url" base64 without padding, as Go's RawURLEncoding writes continue tokens.
std::string base64(std::string_view bytes) {
  std::string out(json::base64_size(bytes.size()), '\0');
  Writer writer(out);
  json::encode_base64(bytes, writer);
  while (out.ends_with('=')) out.pop_back();
  return replaced(out, "+/", "-_");
}

std::string from_base64(std::string text) {
  text = replaced(text, "-_", "+/");
  while (text.size() % 4 != 0) text += '=';
  std::string out(text.size(), '\0');
  const auto decoded = json::decode_base64(text, out);
  return decoded ? std::string(*decoded) : std::string();
}

/// Where a list goes on.
struct Continuation {
  std::int64_t revision;  ///< -1: of the newest state
  std::string after;      ///< this name

  std::string text() const {
    return base64("{\"v\":\"meta.k8s.io/v1\",\"rv\":" + std::to_string(revision) +
                  ",\"start\":" + quoted(after + '\0') + "}");
  }
  static Continuation parse(const std::string& token) {
    const JsonValue value = parse_json(from_base64(token));
    std::string after = value["start"].text;
    if (after.ends_with('\0')) after.pop_back();
    return {value["rv"].integer(), after};
  }
};

std::string status_json(const ScriptedKube::Refusal& refusal) {
  std::string metadata;
  if (!refusal.continue_token.empty()) metadata = "\"continue\":" + quoted(refusal.continue_token);
  std::string details;
  if (refusal.retry_after != 0) {
    details = ",\"details\":{\"code\":7,\"retryAfterSeconds\":" + std::to_string(refusal.retry_after) + "}";
  }
  return R"({"kind":"Status","apiVersion":"v1","metadata":{)" + metadata +
         R"(},"status":"Failure","message":)" + quoted(refusal.message) +
         ",\"reason\":" + quoted(refusal.reason) + details + ",\"code\":" + std::to_string(refusal.code) +
         "}";
}

std::string status_text(const ScriptedKube::Refusal& refusal) {
  const std::string body = status_json(refusal) + "\n";
  return "HTTP/1.1 " + std::to_string(refusal.code) +
         " No\r\nAudit-Id: 0\r\nCache-Control: no-cache, private\r\nContent-Type: application/json\r\n" +
         (refusal.retry_after != 0 ? "Retry-After: " + std::to_string(refusal.retry_after) + "\r\n" : "") +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

const std::string kHead =
    "HTTP/1.1 200 OK\r\nAudit-Id: 5c1f2ab0-0000-4000-8000-000000000000\r\n"
    "Cache-Control: no-cache, private\r\nContent-Type: application/json\r\n"
    "X-Kubernetes-Pf-Flowschema-Uid: 1\r\nTransfer-Encoding: chunked\r\n\r\n";

ScriptedKube::Refusal not_found(const std::string& what, const std::string& name) {
  return {404, "NotFound", what + " \"" + name + "\" not found"};
}

ScriptedKube::Refusal expired(std::int64_t asked, std::int64_t oldest) {
  return {410, "Expired",
          "too old resource version: " + std::to_string(asked) + " (" + std::to_string(oldest) + ")"};
}

/// The form that is asked for; nullopt: that of a list for one object, or the other way round.
std::optional<bool> wants_metadata(const std::string& accept, bool list) {
  const std::string one = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
  const std::string many = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
  const std::string first = accept.substr(0, accept.find(','));
  if (first == (list ? many : one)) return true;
  if (first.empty() || first == "application/json" || first == "*/*") return false;
  return std::nullopt;
}

}  // namespace

ScriptedKube::ScriptedKube(io::Loop& loop, const Clock& clock)
    : ScriptedServer(loop, clock), timer_(loop, Delegate<void()>::to<&ScriptedKube::on_time>(this)) {}

// --- The truth. ---

std::string ScriptedKube::now() const {
  const std::time_t seconds = clock_.wall_seconds();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

void ScriptedKube::record(Type type, std::shared_ptr<const KubeNode> node) {
  history_.push_back({revision_, type, std::move(node)});
  if (history_.size() > history_limit) {
    compacted_ = history_.front().revision;
    history_.pop_front();
  }
  feed_watches();
}

template <class Change>
void ScriptedKube::change(const std::string& name, Change change) {
  const auto found = nodes_.find(name);
  REQUIRE_MESSAGE(found != nodes_.end(), name);
  auto node = std::make_shared<KubeNode>(*found->second);
  change(*node);
  node->resource_version = ++revision_;
  found->second = node;
  record(Type::kModified, node);
}

void ScriptedKube::create(const std::string& name, const Cidrs& pod_cidrs, const Texts& annotations) {
  REQUIRE_MESSAGE(nodes_.count(name) == 0, name);
  auto node = std::make_shared<KubeNode>();
  node->name = name;
  const std::string number = std::to_string(next_uid_++);
  node->uid = "5f1c0000-0000-4000-8000-" + std::string(12 - number.size(), '0') + number;
  node->created = now();
  node->resource_version = ++revision_;
  node->annotations = annotations;
  node->pod_cidrs = pod_cidrs;
  node->conditions["Ready"] = {{"status", "True"}, {"reason", "KubeletReady"}};
  node->conditions["MemoryPressure"] = {{"status", "False"}, {"reason", "KubeletHasSufficientMemory"}};
  nodes_[name] = node;
  record(Type::kAdded, node);
}

void ScriptedKube::remove(const std::string& name) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end()) return;
  auto node = std::make_shared<KubeNode>(*found->second);
  node->resource_version = ++revision_;
  nodes_.erase(found);
  record(Type::kDeleted, node);
}

void ScriptedKube::recreate(const std::string& name, const Cidrs& pod_cidrs, const Texts& annotations) {
  remove(name);
  create(name, pod_cidrs, annotations);
}

void ScriptedKube::annotate(const std::string& name, const Texts& annotations) {
  change(name, [&](KubeNode& node) {
    for (const auto& [key, value] : annotations) node.annotations[key] = value;
  });
}

void ScriptedKube::remove_annotations(const std::string& name, const std::vector<std::string>& keys) {
  change(name, [&](KubeNode& node) {
    for (const std::string& key : keys) node.annotations.erase(key);
  });
}

void ScriptedKube::assign_pod_cidrs(const std::string& name, const Cidrs& pod_cidrs) {
  change(name, [&](KubeNode& node) {
    REQUIRE_MESSAGE(node.pod_cidrs.empty(), "they are immutable");
    node.pod_cidrs = pod_cidrs;
  });
}

void ScriptedKube::claim_pod_cidrs(const std::string& name, const Cidrs& pod_cidrs) {
  change(name, [&](KubeNode& node) { node.claimed = pod_cidrs; });
}

void ScriptedKube::set_condition(const std::string& name, const std::string& type,
                                 const std::string& status) {
  change(name, [&](KubeNode& node) { node.conditions[type]["status"] = status; });
}

void ScriptedKube::heartbeat(const std::string& name) {
  change(name, [](KubeNode& node) { ++node.heartbeats; });
}

void ScriptedKube::heartbeat_all() {
  std::vector<std::string> all;
  for (const auto& [name, node] : nodes_) all.push_back(name);
  for (const std::string& name : all) heartbeat(name);
}

const KubeNode* ScriptedKube::find(const std::string& name) const {
  const auto found = nodes_.find(name);
  return found == nodes_.end() ? nullptr : found->second.get();
}

std::string ScriptedKube::annotation(const std::string& name, const std::string& key) const {
  const KubeNode* node = find(name);
  if (node == nullptr) return {};
  const auto found = node->annotations.find(key);
  return found == node->annotations.end() ? "" : found->second;
}

void ScriptedKube::compact(std::int64_t revision) {
  compacted_ = revision;
  while (!history_.empty() && history_.front().revision <= revision) history_.pop_front();
  std::erase_if(snapshots_, [&](const auto& snapshot) { return snapshot.first < revision; });
}

void ScriptedKube::restart(bool forgets) {
  end_watches();
  hang_up_all();
  if (forgets) compact();
}

void ScriptedKube::wipe() { go_back_to({}, 1); }

void ScriptedKube::go_back_to(const Nodes& nodes, std::int64_t revision) {
  nodes_ = nodes;
  history_.clear();
  snapshots_.clear();
  revision_ = revision;
  compacted_ = revision;
  cut_all();
}

// --- Objects. ---

std::string ScriptedKube::metadata_of(const KubeNode& node) const {
  // Names that mean something elsewhere, and a text that must be skipped over.
  std::string out =
      R"({"name":)" + quoted(node.name) + R"(,"uid":)" + quoted(node.uid) + R"(,"resourceVersion":)" +
      quoted(node.resource_version) + R"(,"creationTimestamp":)" + quoted(node.created) +
      R"(,"ownerReferences":[{"apiVersion":"v1","kind":"Machine","name":"no","uid":"no"}],)"
      R"("labels":{"kubernetes.io/os":"linux","kubernetes.io/hostname":)" +
      quoted(node.name) + R"(,"uid":"no","x":")" + std::string(metadata_filler / 2, 'l') +
      R"("},"annotations":{"a.example/x":"\u00e4\"{}[],\\ )" + std::string(metadata_filler / 2, 'a') + "\"";
  for (const auto& [key, value] : node.annotations) out += "," + quoted(key) + ":" + quoted(value);
  out += "}";
  if (strip_managed_fields) return out + "}";
  const auto manager = [&](const std::string& name, const std::string& fields) {
    return R"({"manager":")" + name + R"(","operation":"Update","apiVersion":"v1","time":)" +
           quoted(node.created) + R"(,"fieldsType":"FieldsV1","fieldsV1":{)" + fields + "}}";
  };
  out += R"(,"managedFields":[)" +
         manager("kubelet", R"("f:metadata":{"f:annotations":{".":{},"f:a.example/x":{}},"f:labels":{".":{},)"
                            R"("f:kubernetes.io/os":{}}},"f:spec":{"f:providerID":{}})");
  const auto add_spec = [&](const std::string& name, const Cidrs& pod_cidrs) {
    if (pod_cidrs.empty()) return;
    std::string set;
    for (const std::string& cidr : pod_cidrs) set += ",\"v:" + quoted(quoted(cidr)).substr(1) + ":{}";
    out += "," + manager(name, R"("f:metadata":{"f:annotations":{"f:node.alpha.kubernetes.io/ttl":{}}},)"
                               R"("f:spec":{"f:podCIDR":{},"f:podCIDRs":{".":{})" +
                                   set + "}}");
  };
  add_spec("kube-controller-manager", node.pod_cidrs);
  add_spec("kubelet", node.claimed);
  std::string keys;
  for (const auto& [key, value] : node.annotations) keys += ",\"f:" + quoted(key).substr(1) + ":{}";
  if (!keys.empty()) {
    out += "," + manager("flannelette", R"("f:metadata":{"f:annotations":{)" + keys.substr(1) + "}}");
  }
  return out + "]}";
}

std::string ScriptedKube::object_of(const KubeNode& node, bool metadata, bool with_kind) const {
  if (metadata) {
    return R"({"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":)" +
           metadata_of(node) + "}";
  }
  std::string out = "{" + std::string(with_kind ? R"("kind":"Node","apiVersion":"v1",)" : "") +
                    R"("metadata":)" + metadata_of(node) + R"(,"spec":{)";
  if (!node.pod_cidrs.empty()) {
    std::string all;
    for (const std::string& cidr : node.pod_cidrs) all += "," + quoted(cidr);
    out += R"("podCIDR":)" + quoted(node.pod_cidrs.front()) + R"(,"podCIDRs":[)" + all.substr(1) + "],";
  }
  out += R"("providerID":"x://y","configSource":{"podCIDR":"10.66.6.0/24","configMap":{"name":"no","uid":)"
         R"("no","resourceVersion":"3"}},"taints":[{"key":"a","effect":"NoSchedule","timeAdded":null}]},)"
         R"("status":{"capacity":{"cpu":"2","memory":"8Ki"},"phase":"Running","conditions":[)";
  bool first = true;
  for (const auto& [type, fields] : node.conditions) {
    out += (first ? "" : ",") + (R"({"type":)" + quoted(type));
    for (const auto& [name, value] : fields) out += "," + quoted(name) + ":" + quoted(value);
    out += R"(,"x":{"type":"NetworkUnavailable","status":"False"}})";
    first = false;
  }
  out += R"(],"addresses":[{"type":"InternalIP","address":"10.66.6.6"},{"type":"Hostname","address":"no"}],)"
         R"("daemonEndpoints":{"kubeletEndpoint":{"Port":10250}},"nodeInfo":{"bootID":")" +
         std::to_string(node.heartbeats) + R"(","operatingSystem":"linux"},"images":[)";
  const std::size_t until = out.size() + filler;
  for (int i = 0; out.size() < until; ++i) {
    out += (i == 0 ? "" : ",") + (R"({"names":["image.example/)" + std::to_string(i)) +
           R"(@sha256:0000000000000000000000000000000000000000000000000000000000000000"],"sizeBytes":)" +
           std::to_string(1'000'000 + i) + "}";
  }
  return out + R"(],"metadata":{"name":"no"},"kind":"no","spec":{"podCIDRs":["10.66.7.0/24"]}}})";
}

void ScriptedKube::answer(ScriptedStream& stream, const std::string& json) const {
  std::string out = kHead;
  for (std::size_t at = 0; at < json.size(); at += chunk_size) out += chunk(json.substr(at, chunk_size));
  stream.send(out + "0\r\n\r\n");
}

void ScriptedKube::refuse(ScriptedStream& stream, const Refusal& refusal) const {
  stream.send(status_text(refusal));
}

void ScriptedKube::refuse_next(const std::string& kind, const Refusal& refusal) {
  refuse_next_with(kind, status_text(refusal));
}

// --- Requests. ---

std::string ScriptedKube::kind_of(const ScriptedRequest& request) const {
  const std::string& path = request.path;
  const std::string below = kNodes + std::string("/");
  if (path == kNodes && request.method == "GET") {
    if (request.parameter("watch") == "true" || request.parameter("watch") == "1") return "watch";
    return request.has_parameter("continue") ? "page" : "list";
  }
  if (path.starts_with(kPods) && path.find("/pods/") != path.npos && request.method == "GET") return "pod";
  if (!path.starts_with(below)) return path;
  if (request.method == "GET" && path.find('/', below.size()) == path.npos) return "node";
  return request.method == "PATCH" && path.ends_with(kStatus) ? "patch" : path;
}

std::optional<ScriptedKube::Refusal> ScriptedKube::unauthorized(const ScriptedRequest& request,
                                                                const std::string& right) const {
  const std::string& sent = request.field("authorization");
  std::string user = "system:serviceaccount:kube-flannel:flannel";
  if (!tokens.empty()) {
    if (!sent.empty() && (!sent.starts_with("Bearer ") || tokens.count(sent.substr(7)) == 0)) {
      return Refusal{401, "Unauthorized", "Unauthorized"};
    }
    if (sent.empty()) user = "system:anonymous";
  }
  if (user != "system:anonymous" && denied.count(right) == 0) return std::nullopt;
  const std::string verb = right.substr(0, right.find(' ')), resource = right.substr(right.find(' ') + 1);
  return Refusal{403, "Forbidden",
                 resource + " is forbidden: User \"" + user + "\" cannot " + verb + " resource \"" +
                     resource + "\" in API group \"\" at the cluster scope"};
}

void ScriptedKube::serve(ScriptedStream& stream, const ScriptedRequest& request) {
  if (refuse_all) return refuse(stream, *refuse_all);
  const std::string kind = kind_of(request);
  static const std::map<std::string, std::string> rights{
      {"list", "list nodes"}, {"page", "list nodes"}, {"watch", "watch nodes"},
      {"node", "get nodes"},  {"pod", "get pods"},    {"patch", "patch nodes/status"}};
  const auto right = rights.find(kind);
  if (right == rights.end()) return refuse(stream, {404, "NotFound", "the server could not find it"});
  if (kind == "watch" && every_watch) return stream.send_wrongly(*every_watch);
  if (const auto refusal = unauthorized(request, right->second)) return refuse(stream, *refusal);
  const bool list = kind == "list" || kind == "page";
  std::optional<bool> metadata = wants_metadata(request.field("accept"), list);
  if (kind != "pod" && !metadata)
    return refuse(stream, {406, "NotAcceptable", "only the following media types are accepted"});
  if (full_only) metadata = false;
  if (list) return serve_list(stream, request, *metadata);
  if (kind == "watch") return serve_watch(stream, request, *metadata);
  if (kind == "pod") {
    const std::string space = request.path.substr(std::string(kPods).size());
    const std::size_t end = space.find("/pods/");
    return serve_pod(stream, space.substr(0, end), space.substr(end + 6));
  }
  std::string name = request.path.substr(std::string(kNodes).size() + 1);
  if (kind == "node") return serve_node(stream, name, *metadata);
  name.resize(name.size() - std::string(kStatus).size());
  serve_patch(stream, request, name, *metadata);
}

void ScriptedKube::serve_list(ScriptedStream& stream, const ScriptedRequest& request, bool metadata) {
  const std::string& version = request.parameter("resourceVersion");
  const std::string& token = request.parameter("continue");
  std::size_t limit = std::stoul("0" + request.parameter("limit"));
  Continuation from{revision_, {}};
  const Nodes* nodes = &nodes_;
  if (!token.empty()) {
    if (!version.empty()) {
      return refuse(stream,
                    {400, "BadRequest", "specifying resource version is not allowed when using continue"});
    }
    from = Continuation::parse(token);
    if (from.revision == 0) return refuse(stream, {400, "BadRequest", "continue key is not valid"});
    if (from.revision == -1) {
      from.revision = revision_;
    } else if (const auto snapshot = snapshots_.find(from.revision); snapshot != snapshots_.end()) {
      nodes = &snapshot->second;
    } else {
      return refuse(
          stream,
          {410, "Expired", "The provided continue parameter is too old to display a consistent list result.",
           0, Continuation{-1, from.after}.text()});
    }
  } else if (const std::int64_t asked = std::stoll("0" + version); asked > revision_) {
    return refuse(
        stream,
        {504, "Timeout",
         "Timeout: Too large resource version: " + version + ", current: " + std::to_string(revision_), 1});
  }
  if (version == "0") limit = 0;

  std::string items, last;
  std::size_t count = 0;
  auto at = from.after.empty() ? nodes->begin() : nodes->upper_bound(from.after);
  for (; at != nodes->end() && (limit == 0 || count < limit); ++at, ++count) {
    items += (count == 0 ? "" : ",") + object_of(*at->second, metadata, false);
    last = at->first;
  }
  std::string more;
  if (at != nodes->end()) {
    more = ",\"continue\":" + quoted(Continuation{from.revision, last}.text()) +
           ",\"remainingItemCount\":" + std::to_string(std::distance(at, nodes->end()));
    snapshots_.try_emplace(from.revision, *nodes);
    constexpr std::size_t kMaxSnapshots = 64;
    if (snapshots_.size() > kMaxSnapshots) snapshots_.erase(snapshots_.begin());
  }
  answer(stream, (metadata ? R"({"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1",)"
                           : R"({"kind":"NodeList","apiVersion":"v1",)") +
                     (R"("metadata":{"resourceVersion":)" + quoted(from.revision)) + more + R"(},"items":[)" +
                     items + "]}\n");
}

void ScriptedKube::serve_node(ScriptedStream& stream, const std::string& name, bool metadata) {
  Reads& reads = reads_[name];
  ++reads.all;
  reads.full += metadata ? 0 : 1;
  const KubeNode* node = find(name);
  if (node == nullptr) return refuse(stream, not_found("nodes", name));
  answer(stream, object_of(*node, metadata, true) + "\n");
}

void ScriptedKube::serve_pod(ScriptedStream& stream, const std::string& space, const std::string& name) {
  const auto found = pods.find(space + "/" + name);
  if (found == pods.end()) return refuse(stream, not_found("pods", name));
  answer(
      stream,
      R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":)" + quoted(name) + R"(,"namespace":)" +
          quoted(space) +
          R"(,"uid":"1","annotations":{"nodeName":"no"}},"spec":{"volumes":[{"name":"no","nodeName":"no"}],)"
          R"("nodeName":)" +
          quoted(found->second) +
          R"(,"containers":[{"name":"x","image":"y"}]},"status":{"phase":"Running","hostIP":"10.6.6.6"}})"
          "\n");
}

void ScriptedKube::serve_patch(ScriptedStream& stream, const ScriptedRequest& request,
                               const std::string& name, bool metadata) {
  if (request.field("content-type") != "application/strategic-merge-patch+json")
    return refuse(stream, {415, "UnsupportedMediaType", "a plain merge would wipe the conditions"});
  const JsonValue patch = parse_json(request.body);
  if (!patch.valid) return refuse(stream, {400, "BadRequest", "invalid character"});
  const KubeNode* node = find(name);
  if (node == nullptr) return refuse(stream, not_found("nodes", name));
  const std::string& uid = patch["metadata"]["uid"].text;
  if (!uid.empty() && uid != node->uid) {
    if (uid_is_conflict) {
      return refuse(
          stream, {409, "Conflict", "Operation cannot be fulfilled on nodes \"" + name + "\": uid mismatch"});
    }
    return refuse(stream, {422, "Invalid",
                           "Node \"" + name + "\" is invalid: metadata.uid: Invalid value: \"" + uid +
                               "\": field is immutable"});
  }
  KubeNode patched = *node;
  for (const auto& [key, value] : patch["metadata"]["annotations"].members) {
    if (value.null) {
      patched.annotations.erase(key);
    } else {
      patched.annotations[key] = value.text;
    }
  }
  for (const JsonValue& condition : patch["status"]["conditions"].items) {
    Texts& fields = patched.conditions[condition["type"].text];
    for (const auto& [field, value] : condition.members) {
      if (field != "type") fields[field] = value.text;
    }
  }
  if (request.parameter("dryRun") == "All") return answer(stream, object_of(patched, metadata, true) + "\n");
  // What changes nothing is not written.
  if (patched.annotations != node->annotations || patched.conditions != node->conditions)
    change(name, [&](KubeNode& changed) { changed = patched; });
  answer(stream, object_of(*find(name), metadata, true) + "\n");
}

std::size_t ScriptedKube::reads_of(const std::string& name) const {
  const auto found = reads_.find(name);
  return found == reads_.end() ? 0 : found->second.all;
}

std::size_t ScriptedKube::full_reads_of(const std::string& name) const {
  const auto found = reads_.find(name);
  return found == reads_.end() ? 0 : found->second.full;
}

// --- Watches. ---

void ScriptedKube::serve_watch(ScriptedStream& stream, const ScriptedRequest& request, bool metadata) {
  const std::int64_t version = std::stoll("0" + request.parameter("resourceVersion"));
  const std::int64_t seconds = std::stoll("0" + request.parameter("timeoutSeconds"));
  stream.send(kHead);
  Watch watch{&stream,
              metadata,
              request.parameter("allowWatchBookmarks") == "true",
              version,
              version,
              clock_.now() + (seconds == 0 ? 1'800 : seconds) * 1'000,
              clock_.now() + bookmark_every};
  if (version == 0) {  // all that there is, first
    for (const auto& [name, node] : nodes_) send_line(watch, "ADDED", object_of(*node, metadata, true));
    watch.start = watch.sent = revision_;
  } else if (version < compacted_) {
    send_line(watch, "ERROR", status_json(expired(version, compacted_)));
    return end(watch);
  }
  watches_.push_back(watch);
  feed(watches_.back());
  schedule();
}

void ScriptedKube::send_line(Watch& watch, const char* type, const std::string& object) {
  ++events_sent_;
  watch.stream->send(chunk(R"({"type":")" + std::string(type) + R"(","object":)" + object + "}\n"));
}

void ScriptedKube::send_line(const std::string& it) {
  for (Watch& watch : watches_) watch.stream->send(chunk(it + "\n"));
}

void ScriptedKube::feed_watches() {
  for (Watch& watch : watches_) feed(watch);
}

/// Of a version that is yet to come a watch says nothing until then, as the API server's.
void ScriptedKube::feed(Watch& watch) {
  auto event = std::upper_bound(history_.begin(), history_.end(), watch.sent,
                                [](std::int64_t revision, const Event& e) { return revision < e.revision; });
  for (; event != history_.end(); ++event) {
    const char* type = event->type == Type::kAdded     ? "ADDED"
                       : event->type == Type::kDeleted ? "DELETED"
                                                       : "MODIFIED";
    send_line(watch, type, object_of(*event->node, watch.metadata, true));
    watch.sent = event->revision;
  }
}

void ScriptedKube::send_bookmark(Watch& watch) {
  if (!watch.bookmarks || revision_ < watch.start) return;
  watch.sent = std::max(watch.sent, revision_);
  send_line(watch, "BOOKMARK",
            watch.metadata
                ? R"({"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":)"
                  R"({"resourceVersion":)" +
                      quoted(revision_) + R"(,"creationTimestamp":null}})"
                : R"({"kind":"Node","apiVersion":"v1","metadata":{"resourceVersion":)" + quoted(revision_) +
                      R"(,"creationTimestamp":null},"spec":{},"status":{"daemonEndpoints":)"
                      R"({"kubeletEndpoint":{"Port":0}},"nodeInfo":{"machineID":""}}})");
}

void ScriptedKube::send_bookmarks() {
  for (Watch& watch : watches_) send_bookmark(watch);
}

void ScriptedKube::end(Watch& watch) {
  watch.stream->send("0\r\n\r\n");
  watch.over = true;
}

void ScriptedKube::end_watches() {
  for (Watch& watch : watches_) end(watch);
  watches_.clear();
}

void ScriptedKube::fail_watches(const Refusal& refusal) {
  for (Watch& watch : watches_) send_line(watch, "ERROR", status_json(refusal));
  end_watches();
}

void ScriptedKube::on_time() {
  const Millis now = clock_.now();
  for (Watch& watch : watches_) {
    if (watch.ends <= now) {
      if (before_end_bookmark) send_bookmark(watch);
      end(watch);
    } else if (bookmark_every != 0 && watch.next_bookmark <= now) {
      send_bookmark(watch);
      watch.next_bookmark = now + bookmark_every;
    }
  }
  watches_.remove_if([](const Watch& watch) { return watch.over; });
  schedule();
}

void ScriptedKube::schedule() {
  std::optional<Millis> next;
  for (const Watch& watch : watches_) {
    Millis due = watch.ends;
    if (bookmark_every != 0 && watch.bookmarks) due = std::min(due, watch.next_bookmark);
    next = std::min(next.value_or(due), due);
  }
  if (!next) return timer_.cancel();
  timer_.arm_in(std::max<Millis>(*next - clock_.now(), 0));
}

void ScriptedKube::forget(ScriptedStream& stream) {
  watches_.remove_if([&](const Watch& watch) { return watch.stream == &stream; });
}

bool ScriptedKube::watches(const ScriptedStream& stream) const {
  return std::any_of(watches_.begin(), watches_.end(), [&](const Watch& w) { return w.stream == &stream; });
}

}  // namespace flannelette::tests
