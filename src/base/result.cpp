// SPDX-License-Identifier: Apache-2.0
// Errors as values.
#include "flannelette/base/result.hpp"

#include <cerrno>

namespace flannelette {

Error last_error(const char* context) { return system_error(context, errno); }

std::string_view name(Code code) {
  switch (code) {
    case Code::kInvalid: return "invalid";
    case Code::kLimit: return "limit exceeded";
    case Code::kNotFound: return "not found";
    case Code::kExists: return "exists already";
    case Code::kConflict: return "conflict";
    case Code::kDenied: return "denied";
    case Code::kUnsupported: return "unsupported";
    case Code::kInterrupted: return "interrupted";
    case Code::kUnavailable: return "unavailable";
    case Code::kTimeout: return "timeout";
    case Code::kClosed: return "closed";
    case Code::kTls: return "tls";
    case Code::kSystem: return "system";
  }
  return "?";
}

}  // namespace flannelette
