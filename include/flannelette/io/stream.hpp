// SPDX-License-Identifier: Apache-2.0
// The seam between protocols and sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "flannelette/base/clock.hpp"
#include "flannelette/base/delegate.hpp"
#include "flannelette/base/ip.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/io/endpoint.hpp"

namespace flannelette::io {

/// What is known of a failure beside its Error, for the log: the names in a certificate, a server's own
/// words.
using Detail = Text<160>;

/// How a stream and its connections fare. Ages in milliseconds; -1: not known, or there is no connection.
struct StreamReport {
  Millis connected = -1;  ///< age of the connection
  Millis heard = -1;      ///< since the other side was heard, its TCP alone if need be
  Millis probed = -1;     ///< since when it has been probed often enough for `heard` to mean something
  std::uint32_t connections = 0;  ///< so far
  std::uint64_t received = 0;     ///< bytes so far, without TLS's own
  std::uint64_t sent = 0;
};

/// A byte stream to one peer: the seam between protocols and sockets. Real: NetStream. Tests: scripted and
/// faulty ones. One stream is used for many connections, one after another.
class Stream {
 public:
  /// Who uses the stream. From any of these calls it may close() or open() the stream again, or destroy it.
  class Listener {
   public:
    virtual void on_open() = 0;                        ///< connected, TLS verified: writing may begin
    virtual void on_data(std::string_view bytes) = 0;  ///< consume all of it; valid during the call only
    /// The connection is over: kClosed for an orderly end by the peer, else what failed. Not called after
    /// close(). `detail` is empty but for some failures of TLS.
    virtual void on_close(const Error& error, std::string_view detail) = 0;

   protected:
    ~Listener() = default;
  };

  virtual ~Stream() = default;
  /// Starts a connection; the result comes later as on_open or on_close, never from within this call. An open
  /// connection is dropped.
  virtual void open(const Endpoint& endpoint, Listener& listener) = 0;
  /// Queues bytes; kLimit if more than the stream's buffer would be waiting (nothing is queued then), kClosed
  /// if not open.
  virtual Result<void> write(std::string_view bytes) = 0;
  /// Ends the connection at once and silently. Idempotent.
  virtual void close() = 0;
  /// `probe`: from now on the kernel probes the other side of this connection whenever it is silent for
  /// kProbeEvery, unless the settings say that every byte costs. Nothing wakes us for it.
  virtual StreamReport report([[maybe_unused]] bool probe) { return {}; }
  static constexpr Millis kProbeEvery = 10'000;

  /// Called with the address of each connection before anything is sent there, from within open() or from the
  /// loop; it must not call the stream.
  void set_on_address(Delegate<void(Ip)> handler) { on_address_ = handler; }

 protected:
  Delegate<void(Ip)> on_address_;
};

}  // namespace flannelette::io
