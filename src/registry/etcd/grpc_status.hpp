// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "flannelette/base/backoff.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/registry/etcd.hpp"
#include "registry/etcd/decode.hpp"

namespace flannelette::registry::etcd {

/// Of connections and requests, to begin with.
inline constexpr Backoff kBackoff{EtcdRegistry::kBackoffFirst, EtcdRegistry::kBackoffMax};

/// gRPC status codes that mean something to us.
namespace grpc {
inline constexpr std::int64_t kInvalidArgument = 3;
inline constexpr std::int64_t kNotFound = 5;
inline constexpr std::int64_t kPermissionDenied = 7;
inline constexpr std::int64_t kFailedPrecondition = 9;
inline constexpr std::int64_t kOutOfRange = 11;
inline constexpr std::int64_t kUnimplemented = 12;
inline constexpr std::int64_t kUnauthenticated = 16;
}  // namespace grpc

/// Answers that say nothing of what was asked: a proxy's {} among them.
inline constexpr Error kOtherLease{Code::kInvalid, 0, "etcd: not about our lease"};
inline constexpr Error kNotOfEtcd{Code::kInvalid, 0, "etcd: an answer without a revision"};

/// What a request came to if not to an answer.
struct Status {
  Error error;
  std::int64_t code = 0;  ///< gRPC; 0: the transport failed
  Text<160> detail;       ///< the server's words

  /// Another member, or this one later, may well answer; whether a transaction was carried out is not known.
  bool transient() const;
  /// A new token may help.
  bool wants_token() const;
};

/// From an error body or an error line. The HTTP status serves only where the body has no gRPC code.
Status describe(int http_status, const Message& message);
/// For a transport error, or a response that is none of etcd's.
Status describe(const Error& error, std::string_view detail = {});

/// The beginning of a body in case that it is none of the gateway's: a proxy's words, or etcd's before it.
class PlainBody {
 public:
  void clear() { text_.clear(); }
  void add(std::string_view bytes);
  Status describe(int http_status) const;

 private:
  Text<160> text_;
};

}  // namespace flannelette::registry::etcd
