// SPDX-License-Identifier: Apache-2.0
// The last warnings and errors of the log.
#pragma once

#include <array>

#include "flannelette/base/clock.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/http/server.hpp"

namespace flannelette::cli {

/// Passes lines on, and has the last warnings and errors, each behind its time, for who asks later.
class RecentLines final : public LogSink {
 public:
  static constexpr std::size_t kSize = http::Answer::kMaxText;  ///< bytes of all of them
  static constexpr std::size_t kMaxLine = Log::kMaxLine;        ///< longer ones are cut

  RecentLines(LogSink& next, const Clock& clock) : next_(next), clock_(clock) {}
  void line(Level level, std::string_view text) override;
  /// The oldest first; valid until the next line.
  std::string_view view() const { return {lines_.data(), size_}; }

 private:
  LogSink& next_;
  const Clock& clock_;
  std::size_t size_ = 0;
  std::array<char, kSize> lines_;
};

}  // namespace flannelette::cli
