// SPDX-License-Identifier: Apache-2.0
// Which failures are news to the log.
#include "flannelette/base/say_once.hpp"

#include "flannelette/base/fnv.hpp"

namespace flannelette {
namespace {

std::uint64_t mixed(Fnv1a digest, int sys_errno) {
  digest.mix(static_cast<std::uint64_t>(sys_errno));
  return digest.value() | 1;
}

}  // namespace

std::uint64_t failure_digest(const Error& error, std::uint64_t what) {
  Fnv1a digest;
  digest.mix(what);
  digest.mix(static_cast<std::uint64_t>(error.code));
  return mixed(digest, error.sys_errno);
}

std::uint64_t failure_digest(const char* operation, const Error& error, std::string_view detail) {
  Fnv1a digest;
  digest.mix(std::string_view(operation));
  digest.mix(0);
  digest.mix(std::string_view(error.context));
  if (error.code == Code::kTls) digest.mix(detail);
  return mixed(digest, error.sys_errno);
}

bool report_once(std::span<ReportedFailure> reported, std::uint64_t failure, Millis now,
                 Millis remind_every) {
  ReportedFailure* oldest = reported.data();
  for (ReportedFailure& one : reported) {
    if (one.digest == failure) {
      if (now - one.when < remind_every) return false;
      one.when = now;
      return true;
    }
    if (oldest->digest != 0 && (one.digest == 0 || one.when < oldest->when)) oldest = &one;
  }
  *oldest = {failure, now};
  return true;
}

}  // namespace flannelette
