// SPDX-License-Identifier: Apache-2.0
// A small HTTP/1.1 server for a few clients that are not trusted to be quick.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>

#include "flannelette/base/clock.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/base/unique_fd.hpp"
#include "flannelette/io/loop.hpp"

namespace flannelette::http {

/// Gives a body piece by piece.
class Body {
 public:
  virtual ~Body() = default;
  /// Appends what there is room for, at least one byte. False: that was the end of it.
  virtual bool next(Writer& out) = 0;
};

struct Answer {
  static constexpr std::size_t kMaxText = 1'700;
  static constexpr const char* kPlain = "text/plain; charset=utf-8";

  const char* status = "404 Not Found";
  const char* type = kPlain;
  std::string_view text = "not found\n";  ///< the body where `body` is null; valid until the next call
  std::unique_ptr<Body> body;
};

/// Who knows the answers.
class Handler {
 public:
  virtual Answer answer(std::string_view path, std::string_view query) = 0;

 protected:
  ~Handler() = default;
};

/// GET and HEAD, one request a connection. No call waits: a body is asked for its next piece when the socket
/// took the one before. A turn of the loop does one read, one piece or one connection for each client, so
/// that slow clients and many of them delay nothing. Idle, it has neither memory nor timers.
class Server {
 public:
  /// At once. One more takes the place of the one that has been slowest to send its head: at once if its own
  /// request is there, so that health checks are answered whoever else is slow, else after kHeadGrace.
  /// Where nobody gives way it is answered 503.
  static constexpr std::size_t kMaxClients = 8;
  static constexpr Millis kHeadGrace = 500;
  static constexpr Millis kHeadTime = 5'000;    ///< a head must be complete within this
  static constexpr Millis kStallTime = 10'000;  ///< a client that takes nothing for so long is cut off ...
  static constexpr Millis kWholeTime = 60'000;  ///< ... and so is one that lasts so long
  static constexpr std::size_t kPiece = 2048;   ///< of a body, with its framing

  explicit Server(io::Loop& loop);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Serves a connection. `limit`: it is one too many if there are so many clients already. `handler`
  /// outlives the server.
  void accept(UniqueFd&& connection, Handler& handler, std::size_t limit = kMaxClients);
  std::size_t clients() const;

 private:
  struct Client;
  std::unique_ptr<Client>* place(std::size_t limit, Millis grace);

  io::Loop& loop_;
  std::array<std::unique_ptr<Client>, kMaxClients> clients_;
};

}  // namespace flannelette::http
