// SPDX-License-Identifier: Apache-2.0
// What the TLS files held when they were last read, and who reads them again.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "flannelette/io/tls_context.hpp"

namespace flannelette::io {

constexpr std::int64_t kNever = INT64_MAX / 2;  ///< Unix time

/// What one reading of the files gave. A session goes on with the one that it began with.
struct TlsReading {
  TlsReading();
  ~TlsReading();
  TlsReading(const TlsReading&) = delete;
  TlsReading& operator=(const TlsReading&) = delete;
  /// Once. If it fails, `path` is the file to blame, if it is one.
  Result<void> load(const TlsSettings& settings, Files& files, std::string_view& path);

  struct Parsed;
  std::unique_ptr<Parsed> parsed;
  std::uint64_t digest = 0;                ///< of the files, taken just before they were parsed
  std::int64_t certificate_ends = kNever;  ///< the client certificate, or what its file has beside it
  std::int64_t ca_ends = kNever;           ///< the one that the last server's certificate rests on
  unsigned owners = 1;                     ///< the last one that goes takes it along

  struct Leave {
    void operator()(TlsReading* reading) const {
      if (--reading->owners == 0) delete reading;
    }
  };
  using Owner = std::unique_ptr<TlsReading, Leave>;
  Owner share() {
    ++owners;
    return Owner(this);
  }
};

struct TlsContext::Impl {
  static constexpr std::int64_t kDay = 86'400;

  Impl(Loop& event_loop, const Clock& any_clock, Files& any_files, Listener& any_listener)
      : clock(any_clock),
        files(any_files),
        listener(any_listener),
        timer(event_loop, Delegate<void()>::to<&Impl::on_check>(this)) {}

  Result<void> read(std::uint64_t digest, std::string_view& path);
  void refresh();
  void on_check();
  void remind();
  void remind(Millis& reported, std::string_view path, std::int64_t ends);

  const Clock& clock;
  Files& files;
  Listener& listener;
  Timer timer;
  TlsSettings settings;
  TlsReading::Owner newest;
  std::uint64_t refused = 0;                   ///< digest of what was reported as unusable
  Millis certificate_reported = -1000 * kDay;  ///< when its end was last reported: long ago
  Millis ca_reported = -1000 * kDay;
};

}  // namespace flannelette::io
