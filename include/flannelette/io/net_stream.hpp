// SPDX-License-Identifier: Apache-2.0
// Streams over TCP and TLS.
#pragma once

#include <memory>

#include "flannelette/base/clock.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/io/stream.hpp"
#include "flannelette/io/tls_context.hpp"

namespace flannelette::io {

/// TCP timing, one profile for a process.
struct TcpSettings {
  Millis connect_timeout = 10'000;  ///< name resolution, TCP connect and TLS handshake of one address
  int keepalive_idle_seconds = 60;  ///< first probe after this much silence
  int keepalive_interval_seconds = 10;
  int keepalive_probes = 3;
  unsigned user_timeout_ms =
      30'000;  ///< TCP_USER_TIMEOUT: unacknowledged data older than this ends the connection

  /// For links that are paid by the byte: a peer that vanished while a watch is idle is found after 15
  /// minutes.
  static constexpr TcpSettings metered() {
    TcpSettings settings;
    settings.keepalive_idle_seconds = 870;
    return settings;
  }
  bool is_metered() const { return keepalive_idle_seconds > 60; }
};

/// Resolves names with libc's getaddrinfo in a short-lived forked child, so that the loop never blocks;
/// literal addresses need no child. Where one family's answer is an error, the other's counts. All addresses
/// of a name are tried in the order getaddrinfo gives; the last good address is tried first next time, and is
/// used when resolution fails. The context of a TLS error (Code::kTls) is its reason in words.
class NetStream final : public Stream {
 public:
  static constexpr std::size_t kWriteBuffer = 16 * 1024;
  /// What a server may send until the TLS handshake is done. No message of one is larger than 16 KiB, and
  /// only the certificates come near that.
  static constexpr std::size_t kMaxHandshake = 64 * 1024;
  /// Records of TLS between two pieces of data: session tickets, warnings. More than either ends the
  /// connection.
  static constexpr std::size_t kMaxWithoutData = 32 * 1024;

  NetStream(Loop& loop, const TcpSettings& tcp, TlsContext& tls, Log& log);
  ~NetStream() override;
  void open(const Endpoint& endpoint, Listener& listener) override;
  Result<void> write(std::string_view bytes) override;
  void close() override;
  StreamReport report(bool probe) override;
  /// False: this build resolves no names (FLANNELETTE_NAMES=OFF), and only literal addresses lead anywhere.
  static bool resolves_names();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flannelette::io
