// SPDX-License-Identifier: Apache-2.0
// Which failures are news to the log.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "flannelette/base/clock.hpp"
#include "flannelette/base/result.hpp"

namespace flannelette {

/// A failure by what tells it from others, as a digest; 0 is none.
struct ReportedFailure {
  std::uint64_t digest = 0;
  Millis when = 0;
};

/// By code, errno and `what`; not by the context.
std::uint64_t failure_digest(const Error& error, std::uint64_t what);
/// By operation, context and errno; with Code::kTls also by the detail, which names a server's certificate.
std::uint64_t failure_digest(const char* operation, const Error& error, std::string_view detail);

/// Whether `failure` is to be reported now: it is not among those that were, or it was `remind_every` ago. It
/// takes the place of the one that was reported longest ago.
bool report_once(std::span<ReportedFailure> reported, std::uint64_t failure, Millis now, Millis remind_every);

/// Reports a failure that repeats itself once, or once an interval as long as it lasts. Where failures take
/// turns (servers that fail in different ways), kFailures of them are remembered.
template <std::size_t kFailures = 1>
class SayOnce {
 public:
  static constexpr Millis kNever = INT64_MAX;

  constexpr explicit SayOnce(Millis remind_every = kNever) : remind_every_(remind_every) {}

  bool is_news(std::uint64_t failure, Millis now) {
    return report_once(reported_, failure, now, remind_every_);
  }
  /// `what` tells failures of one kind apart.
  bool is_news(const Error& error, std::uint64_t what = 0) { return is_news(failure_digest(error, what), 0); }
  /// It is over; true if there was one.
  bool clear() {
    const bool was = reported_[0].digest != 0;
    reported_ = {};
    return was;
  }

 private:
  Millis remind_every_;
  std::array<ReportedFailure, kFailures> reported_{};
};

}  // namespace flannelette
