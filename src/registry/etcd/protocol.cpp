// SPDX-License-Identifier: Apache-2.0
#include "registry/etcd/protocol.hpp"

namespace flannelette::registry::etcd {
namespace {

void write_keys(json::Writer& out, std::string_view key, std::string_view end) {
  out.key("key").base64(key);
  if (!end.empty()) out.key("range_end").base64(end);
}

/// The part that the two transactions share, after their condition.
void write_branches(json::Writer& out, const Put& put, std::string_view first, std::string_view end) {
  out.key("success").begin_array().begin_object().key("request_put").begin_object();
  out.key("key").base64(put.key).key("value").base64(put.value);
  if (put.lease != 0) out.key("lease").string_int(put.lease);
  out.end_object().end_object().end_array();
  out.key("failure").begin_array().begin_object().key("request_range");
  write_range(out, first, end, kMaxRivals, 0);
  out.end_object().end_array();
}

}  // namespace

void write_range(json::Writer& out, std::string_view key, std::string_view end, std::int64_t limit,
                 std::int64_t revision) {
  out.begin_object();
  write_keys(out, key, end);
  if (limit != 0) out.key("limit").string_int(limit);
  if (revision != 0) out.key("revision").string_int(revision);
  out.end_object();
}

/// Out of line: eight requests are made by it.
[[gnu::noinline]] http::Request post(std::string_view path, bool repeatable) {
  return {.method = "POST", .path = path, .content_type = "application/json", .repeatable = repeatable};
}

void write_create(json::Writer& out, std::string_view first, std::string_view end, const Put& put) {
  out.begin_object().key("compare").begin_array().begin_object();
  write_keys(out, first, end);
  out.key("target").string("VERSION").key("result").string("EQUAL").key("version").string_int(0);
  out.end_object().end_array();
  write_branches(out, put, first, end);
  out.end_object();
}

void write_update(json::Writer& out, std::int64_t mod_revision, const Put& put) {
  out.begin_object().key("compare").begin_array().begin_object();
  write_keys(out, put.key, {});
  out.key("target").string("MOD").key("result").string("EQUAL").key("mod_revision").string_int(mod_revision);
  out.end_object().end_array();
  write_branches(out, put, put.key, {});
  out.end_object();
}

void write_watch(json::Writer& out, std::string_view key, std::string_view end, std::int64_t start_revision) {
  out.begin_object().key("create_request").begin_object();
  write_keys(out, key, end);
  out.key("start_revision").string_int(start_revision);
  out.key("progress_notify").boolean(true).key("fragment").boolean(true);
  out.end_object().end_object();
}

void write_grant(json::Writer& out, std::int64_t ttl_seconds) {
  out.begin_object().key("TTL").string_int(ttl_seconds).end_object();
}

void write_lease(json::Writer& out, std::int64_t id) {
  out.begin_object().key("ID").string_int(id).end_object();
}

void write_authenticate(json::Writer& out, std::string_view name, std::string_view password) {
  out.begin_object().key("name").string(name).key("password").string(password).end_object();
}

}  // namespace flannelette::registry::etcd
