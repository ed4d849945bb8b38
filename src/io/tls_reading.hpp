// SPDX-License-Identifier: Apache-2.0
// What the TLS material was when it was last read, and who reads it again.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "flannelette/io/endpoint.hpp"
#include "flannelette/io/tls_context.hpp"

namespace flannelette::io {

constexpr std::int64_t kNever = INT64_MAX / 2;  ///< Unix time

/// What one reading of the material gave. A session goes on with the one that it began with.
struct TlsReading {
  TlsReading();
  ~TlsReading();
  TlsReading(const TlsReading&) = delete;
  TlsReading& operator=(const TlsReading&) = delete;
  /// Once. If it fails, `place` is what is to blame, if it is one thing.
  Result<void> load(TlsMaterial& material, TlsMaterial::Place& place);

  struct Parsed;
  std::unique_ptr<Parsed> parsed;
  std::uint64_t digest = 0;                ///< of the material, taken just before it was parsed
  std::int64_t certificate_ends = kNever;  ///< the client certificate, or what its file has beside it
  std::int64_t ca_ends = kNever;           ///< the one that the last server's certificate rests on
  Text<Endpoint::kMaxHost> server_name;    ///< empty: the host
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

  Impl(Loop& event_loop, const Clock& any_clock, Listener& any_listener)
      : clock(any_clock),
        listener(any_listener),
        timer(event_loop, Delegate<void()>::to<&Impl::on_check>(this)) {}

  Result<void> read(std::uint64_t digest, TlsMaterial::Place& place);
  void refresh();
  void on_check();
  void remind();
  void remind(Millis& reported, std::string_view path, std::int64_t ends);

  const Clock& clock;
  Listener& listener;
  Timer timer;
  TlsMaterial* material = nullptr;
  TlsReading::Owner newest;
  std::uint64_t refused = 0;                   ///< digest of what was reported as unusable
  Millis certificate_reported = -1000 * kDay;  ///< when its end was last reported: long ago
  Millis ca_reported = -1000 * kDay;
};

}  // namespace flannelette::io
