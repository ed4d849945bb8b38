// SPDX-License-Identifier: Apache-2.0
#include "sim/scripted_etcd.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "sim/scripted_json.hpp"
#include "sim/scripted_stream.hpp"

namespace flannelette::tests {
namespace {

std::string base64(std::string_view bytes) {
  std::string out(json::base64_size(bytes.size()), '\0');
  Writer writer(out);
  json::encode_base64(bytes, writer);
  return out;
}

std::string quoted(std::int64_t value) { return "\"" + std::to_string(value) + "\""; }

bool within(const std::string& key, const std::string& first, const std::string& end) {
  return end.empty() ? key == first : key >= first && (key < end || end == std::string(1, '\0'));
}

std::string pair_json(const std::string& key, const ScriptedEtcd::Pair& pair) {
  std::string out = "{\"key\":\"" + base64(key) + "\"";
  if (pair.create_revision != 0) out += ",\"create_revision\":" + quoted(pair.create_revision);
  out += ",\"mod_revision\":" + quoted(pair.mod_revision);
  if (pair.version != 0) out += ",\"version\":" + quoted(pair.version);
  if (!pair.value.empty()) out += ",\"value\":\"" + base64(pair.value) + "\"";
  if (pair.lease != 0) out += ",\"lease\":" + quoted(pair.lease);
  return out + "}";
}

int http_status(int code, ScriptedEtcd::Version version) {
  switch (code) {
    case 5: return 404;
    case 7: return 403;
    case 8: return 429;
    case 9: return version == ScriptedEtcd::Version::k34 ? 412 : 400;
    case 3:
    case 11: return 400;
    case 16: return 401;
    case 14: return 503;
    default: return 500;
  }
}

}  // namespace

ScriptedEtcd::ScriptedEtcd(io::Loop& loop, const Clock& clock)
    : ScriptedServer(loop, clock), expiry_(loop, Delegate<void()>::to<&ScriptedEtcd::expire>(this)) {}

ScriptedEtcd::~ScriptedEtcd() = default;

// --- The truth. ---

void ScriptedEtcd::set(const std::string& key, const std::string& value, std::int64_t lease,
                       std::int64_t revision) {
  Pair& pair = keys_[key];
  if (pair.version == 0) pair.create_revision = revision;
  pair.mod_revision = revision;
  ++pair.version;
  pair.value = value;
  pair.lease = lease;
  revision_ = revision;
  history_.push_back({revision, key, pair, false});
}

void ScriptedEtcd::unset(const std::string& key, std::int64_t revision) {
  keys_.erase(key);
  revision_ = revision;
  history_.push_back({revision, key, {.value = {}, .mod_revision = revision}, true});
}

std::int64_t ScriptedEtcd::put(const std::string& key, const std::string& value, std::int64_t lease) {
  set(key, value, lease, revision_ + 1);
  feed_watches();
  return revision_;
}

std::int64_t ScriptedEtcd::put_all(const std::vector<std::pair<std::string, std::string>>& pairs) {
  const std::int64_t revision = revision_ + 1;
  for (const auto& [key, value] : pairs) set(key, value, 0, revision);
  feed_watches();
  return revision_;
}

std::int64_t ScriptedEtcd::remove(const std::string& key) {
  if (keys_.count(key) != 0) unset(key, revision_ + 1);
  feed_watches();
  return revision_;
}

void ScriptedEtcd::compact(std::int64_t revision) {
  base_ = state_at(revision);
  std::erase_if(history_, [&](const Event& event) {
    return event.revision < revision || (event.revision == revision && event.removed);
  });
  compacted_ = revision;
}

void ScriptedEtcd::go_back_to(std::int64_t revision) {
  keys_ = state_at(revision);
  std::erase_if(history_, [&](const Event& event) { return event.revision > revision; });
  revision_ = revision;
  std::erase_if(leases_, [&](const auto& lease) { return granted_[lease.first].revision > revision; });
  for (const auto& [key, pair] : keys_) {
    const bool forgotten = pair.lease != 0 && !has_lease(pair.lease);
    if (!forgotten) continue;
    const std::int64_t ttl = granted_[pair.lease].ttl;
    leases_[pair.lease] = {ttl, clock_.now() + ttl * 1000};
    expiry_.arm_at_latest_in(ttl * 1000);
  }
  cut_all();
}

const ScriptedEtcd::Pair* ScriptedEtcd::find(const std::string& key) const {
  const auto found = keys_.find(key);
  return found == keys_.end() ? nullptr : &found->second;
}

std::map<std::string, ScriptedEtcd::Pair> ScriptedEtcd::state_at(std::int64_t revision) const {
  std::map<std::string, Pair> keys = base_;
  for (const Event& event : history_) {
    if (event.revision > revision) break;
    if (event.removed) {
      keys.erase(event.key);
    } else {
      keys[event.key] = event.pair;
    }
  }
  return keys;
}

std::int64_t ScriptedEtcd::grant(std::int64_t ttl) {
  ttl = std::max(ttl, min_ttl);
  leases_[++next_lease_] = {ttl, clock_.now() + ttl * 1000};
  granted_[next_lease_] = {ttl, revision_};
  expiry_.arm_at_latest_in(ttl * 1000);
  return next_lease_;
}

void ScriptedEtcd::revoke(std::int64_t lease) {
  if (leases_.erase(lease) == 0) return;
  std::vector<std::string> attached;
  for (const auto& [key, pair] : keys_) {
    if (pair.lease == lease) attached.push_back(key);
  }
  const std::int64_t revision = revision_ + 1;
  for (const std::string& key : attached) unset(key, revision);
  feed_watches();
}

void ScriptedEtcd::expire() {
  std::vector<std::int64_t> over;
  Millis next = -1;
  for (const auto& [id, lease] : leases_) {
    if (lease.expires <= clock_.now()) {
      over.push_back(id);
    } else {
      next = next < 0 ? lease.expires : std::min(next, lease.expires);
    }
  }
  for (const std::int64_t id : over) revoke(id);
  if (next >= 0) expiry_.arm_in(next - clock_.now());
}

// --- The gateway. ---

std::string ScriptedEtcd::header() const {
  return "\"header\":{\"cluster_id\":\"" + std::to_string(cluster_id) +
         "\",\"member_id\":\"10276657743932975437\",\"revision\":" + quoted(revision_) + ",\"raft_term\":\"" +
         std::to_string(raft_term) + "\"}";
}

std::string ScriptedEtcd::spaced(const std::string& json) const {
  if (!blanks) return json;
  std::string out;
  bool in_string = false;
  for (const char c : json) {
    out += c;
    if (c == '"') in_string = !in_string;  // nothing that we write has an escape
    if (c == ',' && !in_string) out += ' ';
  }
  return out;
}

void ScriptedEtcd::answer(ScriptedStream& stream, const std::string& json) {
  const std::string body = spaced(json);
  stream.send(
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nGrpc-Metadata-Content-Type: application/grpc\r\n"
      "Content-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body);
}

std::string ScriptedEtcd::refusal(int code, const std::string& message) const {
  const std::string status =
      "HTTP/1.1 " + std::to_string(http_status(code, version)) + " No\r\nContent-Type: application/json\r\n";
  const std::string number = std::to_string(code);
  if (version == Version::k36) {
    const std::string body = spaced("{\"code\":" + number + ",\"message\":\"" + message + "\"}");
    return status + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  const std::string body =
      spaced("{\"error\":\"" + message + "\",\"message\":\"" + message + "\",\"code\":" + number + "}");
  if (version == Version::k35) {
    return status + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  return status + "Trailer: Grpc-Trailer-Content-Type\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(body) +
         "0\r\nGrpc-Trailer-Content-Type: application/grpc\r\n\r\n";
}

void ScriptedEtcd::refuse(ScriptedStream& stream, int code, const std::string& message) {
  stream.send(refusal(code, message));
}

void ScriptedEtcd::line(ScriptedStream& stream, const std::string& json) {
  stream.send(chunk(spaced(json) + "\n"));
}

void ScriptedEtcd::event_line(ScriptedStream& stream, const std::string& json) {
  line(stream, json);
  if (twice == 0) return;
  --twice;
  line(stream, json);
}

void ScriptedEtcd::serve(ScriptedStream& stream, const ScriptedRequest& request) {
  const std::string& path = request.path;
  const std::string& token_sent = request.field("authorization");
  if (every_watch && path == "/v3/watch") return stream.send_wrongly(*every_watch);
  if (leaderless_) {
    if (path != "/v3/watch") return refuse(stream, 14, "etcdserver: no leader");
    stream.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    return end_watch(stream, 14, "etcdserver: no leader");
  }
  const JsonValue body = parse_json(request.body);
  if (!body.valid) return refuse(stream, 3, "invalid character");

  if (path == "/v3/auth/authenticate") {
    if (!auth_) return refuse(stream, 9, "etcdserver: authentication is not enabled");
    const auto user = users_.find(body["name"].text);
    if (user == users_.end() || user->second != body["password"].text) {
      return refuse(stream, 3, "etcdserver: authentication failed, invalid user ID or password");
    }
    const std::string token = "token." + std::to_string(++next_token_);
    tokens_.insert(token);
    return answer(stream, "{" + header() + ",\"token\":\"" + token + "\"}");
  }
  const bool is_watch = path == "/v3/watch";
  if (!token_sent.empty() && tokens_.count(token_sent) == 0 && !is_watch &&
      (auth_ || version == Version::k34)) {
    return refuse(stream, 16, "etcdserver: invalid auth token");
  }
  if (auth_ && token_sent.empty() && !is_watch) return refuse(stream, 3, "etcdserver: user name is empty");

  if (path == "/v3/kv/range") {
    serve_range(stream, body);
  } else if (path == "/v3/kv/txn") {
    serve_txn(stream, body);
  } else if (path == "/v3/lease/grant") {
    const std::int64_t id = grant(body["TTL"].integer());
    answer(stream, "{" + header() + ",\"ID\":" + quoted(id) + ",\"TTL\":" + quoted(leases_[id].ttl) + "}");
  } else if (path == "/v3/lease/keepalive") {
    const auto lease = leases_.find(body["ID"].integer());
    std::string json = "{\"result\":{" + header() + ",\"ID\":" + quoted(body["ID"].integer());
    if (lease != leases_.end() && !expire_all) {
      lease->second.expires = clock_.now() + lease->second.ttl * 1000;
      json += ",\"TTL\":" + quoted(lease->second.ttl);
    }
    stream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(spaced(json + "}}") + "\n") +
                "0\r\n\r\n");
  } else if (path == "/v3/lease/revoke") {
    if (!has_lease(body["ID"].integer())) return refuse(stream, 5, "etcdserver: requested lease not found");
    revoke(body["ID"].integer());
    answer(stream, "{" + header() + "}");
  } else if (is_watch) {
    const std::string& key = body["create_request"]["key"].text;
    stream.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    if ((auth_ && tokens_.count(token_sent) == 0) || key.empty()) {
      return line(stream,
                  "{\"result\":{" + header() +
                      ",\"watch_id\":\"-1\",\"created\":true,\"canceled\":true,\"cancel_reason\":"
                      "\"rpc error: code = PermissionDenied desc = etcdserver: permission denied\"}}");
    }
    serve_watch(stream, body["create_request"]);
  } else {
    stream.send(
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nNot Found\n");
  }
}

std::string ScriptedEtcd::range(const JsonValue& request, const std::map<std::string, Pair>& keys, bool& more,
                                std::string prefix) {
  const std::string first = request["key"].bytes();
  const std::string end = request["range_end"].bytes();
  std::int64_t limit = request["limit"].integer();
  if (page != 0 && limit != 0) limit = std::min(limit, page);
  std::string found;
  std::int64_t count = 0;
  for (const auto& [key, pair] : keys) {
    if (!within(key, first, end)) continue;
    ++count;
    if (limit != 0 && count > limit) continue;
    found += (found.empty() ? "" : ",") + pair_json(key, pair);
  }
  more = limit != 0 && count > limit;
  if (count == 0) return prefix;
  return prefix + ",\"kvs\":[" + found + "]" + (more ? ",\"more\":true" : "") + ",\"count\":" + quoted(count);
}

void ScriptedEtcd::serve_range(ScriptedStream& stream, const JsonValue& request) {
  const std::int64_t at = request["revision"].integer();
  if (at != 0 && at < compacted_)
    return refuse(stream, 11, "etcdserver: mvcc: required revision has been compacted");
  if (at > revision_) return refuse(stream, 11, "etcdserver: mvcc: required revision is a future revision");
  bool more = false;
  answer(
      stream,
      "{" + (at == 0 ? range(request, keys_, more, header()) : range(request, state_at(at), more, header())) +
          "}");
}

bool ScriptedEtcd::holds(const JsonValue& compare) const {
  const std::string first = compare["key"].bytes();
  const std::string end = compare["range_end"].bytes();
  const auto value_of = [&](const Pair& pair) {
    return compare["target"].text == "MOD" ? pair.mod_revision : pair.version;
  };
  const std::int64_t wanted = compare[compare["target"].text == "MOD" ? "mod_revision" : "version"].integer();
  bool any = false;
  for (const auto& [key, pair] : keys_) {
    if (!within(key, first, end)) continue;
    any = true;
    if (value_of(pair) != wanted) return false;
  }
  return any || wanted == 0;
}

void ScriptedEtcd::serve_txn(ScriptedStream& stream, const JsonValue& request) {
  if (puts == Puts::kForgotten) return answer(stream, "{" + header() + ",\"succeeded\":true}");
  if (puts == Puts::kFailed) return answer(stream, "{" + header() + "}");
  bool succeeded = true;
  for (const JsonValue& compare : request["compare"].items) succeeded = succeeded && holds(compare);
  const std::int64_t revision = revision_ + 1;
  std::string responses, removed;
  for (const JsonValue& operation : request[succeeded ? "success" : "failure"].items) {
    responses += responses.empty() ? "" : ",";
    if (const JsonValue& put = operation["request_put"]; !put.members.empty()) {
      const std::int64_t lease = put["lease"].integer();
      if (lease != 0 && !has_lease(lease)) return refuse(stream, 5, "etcdserver: requested lease not found");
      set(put["key"].bytes(), put["value"].bytes(), lease, revision);
      responses += "{\"response_put\":{\"header\":{\"revision\":" + quoted(revision_) + "}}}";
      if (puts == Puts::kRemoved) removed = put["key"].bytes();
    } else {
      bool more = false;
      const std::string head = "\"header\":{\"revision\":" + quoted(revision_) + "}";
      responses += "{\"response_range\":{" + range(operation["request_range"], keys_, more, head) + "}}";
    }
  }
  answer(stream,
         "{" + header() + (succeeded ? ",\"succeeded\":true" : "") + ",\"responses\":[" + responses + "]}");
  feed_watches();
  if (!removed.empty()) remove(removed);
}

// --- Watches. ---

void ScriptedEtcd::serve_watch(ScriptedStream& stream, const JsonValue& request) {
  line(stream, "{\"result\":{" + header() + ",\"created\":true}}");
  const std::int64_t start = request["start_revision"].integer();
  if (start != 0 && start < compacted_) {
    return line(stream, "{\"result\":{\"header\":{\"cluster_id\":\"" + std::to_string(cluster_id) +
                            "\"},\"canceled\":true,\"compact_revision\":" + quoted(compacted_) + "}}");
  }
  watches_.push_back({&stream, request["key"].bytes(), request["range_end"].bytes(),
                      start == 0 ? revision_ + 1 : start, request["fragment"].text == "true"});
  feed(watches_.back());
}

void ScriptedEtcd::feed_watches() {
  for (Watch& watch : watches_) feed(watch);
}

void ScriptedEtcd::feed(Watch& watch) {
  if (watch.dead) return;
  while (watch.next <= revision_) {
    const std::int64_t until = std::min(revision_, watch.next + catch_up - 1);
    std::vector<std::string> events;
    auto event =
        std::lower_bound(history_.begin(), history_.end(), watch.next,
                         [](const Event& e, std::int64_t revision) { return e.revision < revision; });
    for (; event != history_.end() && event->revision <= until; ++event) {
      if (!within(event->key, watch.key, watch.end)) continue;
      events.push_back(std::string("{") + (event->removed ? "\"type\":\"DELETE\"," : "") +
                       "\"kv\":" + pair_json(event->key, event->pair) + "}");
    }
    watch.next = until + 1;
    const std::size_t size =
        fragment != 0 && watch.fragment ? fragment : std::max<std::size_t>(events.size(), 1);
    for (std::size_t at = 0; at < events.size(); at += size) {
      const std::size_t last = std::min(at + size, events.size());
      std::string joined;
      for (std::size_t i = at; i < last; ++i) joined += (i == at ? "" : ",") + events[i];
      event_line(*watch.stream, "{\"result\":{" + header() +
                                    (last < events.size() ? ",\"fragment\":true" : "") + ",\"events\":[" +
                                    joined + "]}}");
    }
  }
}

void ScriptedEtcd::send_progress() {
  for (Watch& watch : watches_) {
    if (!watch.dead) line(*watch.stream, "{\"result\":{" + header() + "}}");
  }
}

void ScriptedEtcd::end_watch(ScriptedStream& stream, int code, const std::string& message) {
  const std::string number = std::to_string(code);
  line(stream, version == Version::k34
                   ? "{\"error\":{\"grpc_code\":" + number + ",\"http_code\":503,\"message\":\"" + message +
                         "\",\"http_status\":\"Service Unavailable\"}}"
                   : "{\"error\":{\"code\":" + number + ",\"message\":\"" + message + "\"}}");
  stream.send("0\r\n\r\n");
}

void ScriptedEtcd::end_watches(int code, const std::string& message) {
  for (Watch& watch : watches_) {
    end_watch(*watch.stream, code, message);
    watch.dead = true;
  }
}

void ScriptedEtcd::cancel_watches(const std::string& reason) {
  for (Watch& watch : watches_) {
    line(*watch.stream,
         "{\"result\":{" + header() + ",\"canceled\":true,\"cancel_reason\":\"" + reason + "\"}}");
    watch.dead = true;
  }
}

}  // namespace flannelette::tests
