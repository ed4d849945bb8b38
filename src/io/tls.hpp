// SPDX-License-Identifier: Apache-2.0
// TLS over one connected socket.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "flannelette/base/result.hpp"
#include "flannelette/io/net_stream.hpp"

namespace flannelette::io {

/// What to wait for before the same call is made again.
enum class Wait : unsigned char { kNothing, kReadable, kWritable };

/// Bytes moved, or what to wait for if there are none.
struct Transfer {
  std::size_t bytes = 0;
  Wait wait = Wait::kNothing;
};

/// TLS over one connected, non-blocking socket, which it does not own. The server is verified against the
/// context's CA, and its name (the material's, if it has one) or address against the certificate, always. An
/// error ends the session; its context is the reason in words: "the server's certificate has expired".
///
/// One call takes kMaxTurn bytes from the socket at most, so that a server that floods us leaves the others
/// their turn; the limits for it are NetStream's.
class TlsSession {
 public:
  static constexpr std::size_t kMaxTurn = 20 * 1024;  ///< the largest record in one turn

  /// The context is loaded, and outlives the session.
  explicit TlsSession(TlsContext& context);
  ~TlsSession();  ///< sends a close_notify if the socket takes it at once
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  Result<void> start(int fd, std::string_view host);
  /// kNothing: done, the peer is verified.
  Result<Wait> handshake();
  /// kClosed: the peer sent a close_notify. A connection that ends without that is an error, since anybody
  /// could have cut it.
  Result<Transfer> read(std::span<char> buffer);
  /// Takes a part at least. After a wait the next call must begin with the same bytes; more may follow them.
  Result<Transfer> write(std::string_view bytes);
  /// What is known of the last error beside it, as of Stream::Listener::on_close.
  std::string_view detail() const;
  /// Decrypted bytes are waiting that the socket knows nothing of.
  bool pending() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flannelette::io
