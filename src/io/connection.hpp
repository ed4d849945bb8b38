// SPDX-License-Identifier: Apache-2.0
// Bytes over a connected socket, plain or through TLS.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>

#include "flannelette/base/log.hpp"
#include "flannelette/base/state_machine.hpp"
#include "flannelette/base/unique_fd.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/io/net_stream.hpp"
#include "io/tls.hpp"

namespace flannelette::io {

enum class ConnectionState : std::uint8_t { kClosed, kOpen, kFailed };
inline constexpr StateTable kConnectionStates{
    "connection",
    {StateRow(ConnectionState::kClosed, "closed", ConnectionState::kOpen),
     StateRow(ConnectionState::kOpen, "open", ConnectionState::kFailed, ConnectionState::kClosed),
     // The user hears of it from the loop.
     StateRow(ConnectionState::kFailed, "failed", ConnectionState::kClosed)}};

/// One connected, non-blocking socket after another. How it was connected is not its business: a Connector's
/// or an acceptor's.
class Connection {
 public:
  static constexpr std::size_t kWriteBuffer = NetStream::kWriteBuffer;

  /// Who uses it. From either call it may close the connection, start another one, or destroy it.
  class Listener {
   public:
    virtual void on_data(std::string_view bytes) = 0;  ///< valid during the call only
    /// It is closed: kClosed for an orderly end by the peer, else what failed. Never from within a call.
    virtual void on_lost(const Error& error) = 0;

   protected:
    ~Listener() = default;
  };

  Connection(Loop& loop, Log& log, Listener& listener);
  ~Connection() { close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Takes over a socket, with the session that is open on it, if it speaks TLS.
  void start(UniqueFd&& fd, std::unique_ptr<TlsSession>&& session);
  /// Queues bytes; kLimit if more than kWriteBuffer would be waiting (nothing is queued then), kClosed if not
  /// open.
  Result<void> write(std::string_view bytes);
  /// At once and silently. Idempotent.
  void close();
  bool open() const { return state_ == ConnectionState::kOpen; }
  /// Bytes of all connections so far.
  std::uint64_t received() const { return received_; }
  std::uint64_t sent() const { return sent_; }
  /// Since the peer's TCP was heard; -1: that is not known.
  Millis silence() const;
  /// From now on keepalive probes follow such a silence, of whole seconds.
  void probe_every(Millis silence);

 private:
  void on_ready(std::uint32_t events);
  void on_timer();
  void receive();
  Result<Transfer> read();
  Result<Transfer> send(std::string_view bytes);
  void flush();
  void watch();
  void release();
  void fail_later(const Error& error);
  void lost(Error error);

  Log& log_;
  Listener& listener_;
  UniqueFd fd_;
  Source source_;
  Timer failure_;  ///< due when the listener is to hear of error_
  std::unique_ptr<TlsSession> session_;
  StateMachine<kConnectionStates> state_;
  bool write_waits_ = false;  ///< the socket is full
  bool* over_ = nullptr;      ///< set when this connection ends while the listener is being called
  Error error_;
  std::uint64_t received_ = 0;
  std::uint64_t sent_ = 0;
  std::size_t out_size_ = 0;
  std::array<char, kWriteBuffer> out_;
};

}  // namespace flannelette::io
