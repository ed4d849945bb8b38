// SPDX-License-Identifier: Apache-2.0
// A listening socket in the loop.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "flannelette/base/ip.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/io/loop.hpp"

namespace flannelette::io {

/// Accepts connections, one a turn of the loop, so that a burst of them delays nothing. Where the process or
/// the system has no descriptor left, it pauses for kPause, and the clients wait in the kernel's queue.
class Acceptor {
 public:
  using Handler = Delegate<void(UniqueFd&& connection)>;  ///< non-blocking, close-on-exec
  static constexpr std::size_t kMaxPath = 107;            ///< of a UNIX socket: the kernel's limit
  static constexpr int kBacklog = 16;
  static constexpr Millis kPause = 1'000;

  Acceptor(Loop& loop, Handler handler);
  ~Acceptor() { close(); }
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  /// TCP; a client is taken once it has sent something, or after some seconds. Errors are those of the system
  /// (EADDRINUSE).
  Result<void> listen(const Ip& ip, std::uint16_t port);
  /// A UNIX socket with mode 0660. Its folder is made if it is missing (0755), but not what that lies in. A
  /// socket that nobody answers is replaced; EADDRINUSE: somebody does, or it is no socket.
  Result<void> listen(std::string_view path);
  /// A socket that is bound. It is closed if this fails.
  Result<void> listen(UniqueFd&& bound);
  /// Gives the socket of a path to a group.
  Result<void> give_to(gid_t group);
  /// A UNIX socket is removed, too.
  void close();
  bool listening() const { return static_cast<bool>(fd_); }

 private:
  void watch();
  void on_ready(std::uint32_t events);

  Handler handler_;
  UniqueFd fd_;
  Source source_;
  Timer pause_;
  Text<kMaxPath> path_;  ///< of a UNIX socket
};

}  // namespace flannelette::io
