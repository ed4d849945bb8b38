// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "flannelette/http/client.hpp"
#include "flannelette/json/writer.hpp"

/// The request bodies of etcd's v3 JSON gateway (etcd: Documentation, "gRPC gateway", and rpc.proto). Pure:
/// values in, JSON out.
namespace flannelette::registry::etcd {

inline constexpr std::string_view kRangePath = "/v3/kv/range";
inline constexpr std::string_view kTxnPath = "/v3/kv/txn";
inline constexpr std::string_view kWatchPath = "/v3/watch";
inline constexpr std::string_view kGrantPath = "/v3/lease/grant";
inline constexpr std::string_view kKeepalivePath = "/v3/lease/keepalive";
inline constexpr std::string_view kRevokePath = "/v3/lease/revoke";
inline constexpr std::string_view kAuthenticatePath = "/v3/auth/authenticate";

/// To one of them; what is not `repeatable` is a write.
http::Request post(std::string_view path, bool repeatable = true);

/// Records that a failed transaction reads back. A subnet has one key, two if something went wrong.
inline constexpr int kMaxRivals = 4;

/// Keys in [key, end); an empty `end` is the key alone. `limit` 0: all, `revision` 0: the newest. No sort
/// order is asked for: the store's own is ascending, and any explicit one makes etcd read the whole range for
/// each page.
void write_range(json::Writer& out, std::string_view key, std::string_view end, std::int64_t limit,
                 std::int64_t revision);

/// What a transaction puts. `lease` 0: none.
struct Put {
  std::string_view key;
  std::string_view value;
  std::int64_t lease = 0;
};
/// Puts if no key exists in [first, end); else reads what is there.
void write_create(json::Writer& out, std::string_view first, std::string_view end, const Put& put);
/// Puts if the key is at exactly this mod_revision; else reads it.
void write_update(json::Writer& out, std::int64_t mod_revision, const Put& put);

/// Watches [key, end) from `start_revision` on.
void write_watch(json::Writer& out, std::string_view key, std::string_view end, std::int64_t start_revision);
void write_grant(json::Writer& out, std::int64_t ttl_seconds);
/// The body of keepalive and revoke.
void write_lease(json::Writer& out, std::int64_t id);
void write_authenticate(json::Writer& out, std::string_view name, std::string_view password);

}  // namespace flannelette::registry::etcd
