// SPDX-License-Identifier: Apache-2.0
#include "registry/etcd/grpc_status.hpp"

namespace flannelette::registry::etcd {
namespace {

/// google.rpc.Code: our code and the name that gRPC gives the status.
Error error_of(std::int64_t code) {
  switch (code) {
    case 1: return {Code::kUnavailable, 0, "etcd: CANCELLED"};
    case 2: return {Code::kUnavailable, 0, "etcd: UNKNOWN"};
    case 3: return {Code::kInvalid, 0, "etcd: INVALID_ARGUMENT"};
    case 4: return {Code::kTimeout, 0, "etcd: DEADLINE_EXCEEDED"};
    case 5: return {Code::kNotFound, 0, "etcd: NOT_FOUND"};
    case 6: return {Code::kExists, 0, "etcd: ALREADY_EXISTS"};
    case 7: return {Code::kDenied, 0, "etcd: PERMISSION_DENIED"};
    case 8: return {Code::kLimit, 0, "etcd: RESOURCE_EXHAUSTED"};
    case 9: return {Code::kConflict, 0, "etcd: FAILED_PRECONDITION"};
    case 11: return {Code::kInterrupted, 0, "etcd: OUT_OF_RANGE"};
    case 12: return {Code::kUnsupported, 0, "etcd: UNIMPLEMENTED (is the JSON gateway off?)"};
    case 13: return {Code::kUnavailable, 0, "etcd: INTERNAL"};
    case 14: return {Code::kUnavailable, 0, "etcd: UNAVAILABLE"};
    case 16: return {Code::kDenied, 0, "etcd: UNAUTHENTICATED"};
    default: return {Code::kInvalid, 0, "etcd: an error of an unknown kind"};
  }
}

/// For answers that are not the gateway's: a proxy's, or etcd's own before the gateway is reached.
std::int64_t code_of_status(int status) {
  switch (status) {
    case 401: return grpc::kUnauthenticated;
    case 403: return grpc::kPermissionDenied;
    case 404:
    case 405: return grpc::kUnimplemented;
    case 408:
    case 504: return 4;
    case 429: return 14;
    default: return status >= 500 ? 14 : grpc::kInvalidArgument;
  }
}

}  // namespace

bool transient(const Status& status) {
  switch (status.code) {
    case 0:
    case 1:
    case 2:
    case 4:
    case grpc::kUnimplemented:
    case 13:
    case 14: return true;
    // A member that is a learner, or not capable; etcd 3.5 says 14 of them. All else that has this code
    // belongs to requests that we do not make.
    case grpc::kFailedPrecondition: return !auth_is_off(status);
    default: return false;
  }
}

bool auth_is_off(const Status& status) {
  // ErrGRPCAuthNotEnabled
  return status.code == grpc::kFailedPrecondition && status.detail.view().ends_with("not enabled");
}

bool wants_token(const Status& status) {
  if (status.code == grpc::kUnauthenticated) return true;
  if (status.code != grpc::kInvalidArgument) return false;
  // Both are etcd's, api/v3rpc/rpctypes/error.go: ErrGRPCUserEmpty and ErrGRPCAuthOldRevision.
  const std::string_view text = status.detail;
  return text.find("user name is empty") != text.npos ||
         text.find("revision of auth store is old") != text.npos;
}

Status describe(int http_status, const Message& message) {
  const std::int64_t code = message.code != 0 ? message.code : code_of_status(http_status);
  return {error_of(code), code, message.text};
}

void PlainBody::add(std::string_view bytes) {
  text_ = to_text<160>([&](Writer& out) { append_printable(append_printable(out, text_), bytes); });
}

Status PlainBody::describe(int http_status) const {
  Message message;
  message.text = text_;
  return etcd::describe(http_status, message);
}

}  // namespace flannelette::registry::etcd
