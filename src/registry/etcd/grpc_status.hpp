// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"
#include "registry/etcd/decode.hpp"
#include "registry/health.hpp"

namespace flannelette::registry::etcd {

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

/// Another member, or this one later, may well answer; whether a transaction was carried out is not known.
bool transient(const Status& status);
/// The server has no authentication at all.
bool auth_is_off(const Status& status);
/// A new token may help.
bool wants_token(const Status& status);

/// From an error body or an error line. The HTTP status serves only where the body has no gRPC code.
Status describe(int http_status, const Message& message);

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
