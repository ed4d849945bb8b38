// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 client: one request at a time over a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "flannelette/base/clock.hpp"
#include "flannelette/http/response.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/io/stream.hpp"

namespace flannelette::http {

struct Header {
  std::string_view name;
  std::string_view value;
};

struct Parameter {
  std::string_view name;   ///< as it is sent
  std::string_view value;  ///< percent-encoded on the way
};

/// What is asked. Any method but HEAD and CONNECT, whose responses are framed in another way.
struct Request {
  std::string_view method = "GET";
  std::string_view path{};  ///< begins with '/', as it is sent
  std::span<const Parameter> query{};
  std::span<const Header> headers{};  ///< beside Host, User-Agent, Authorization and the body's
  std::string_view authorization{};   ///< "Bearer ..."; empty: none
  std::string_view content_type{};    ///< empty: there is no body
  std::string_view body{};
  /// May be sent a second time without asking: true for reads, never for a write.
  bool repeatable = true;
  /// Longest silence while it is under way: it restarts with each byte received. 0: none.
  Millis silence = 0;
};

/// Visible bytes, blanks too: nothing that could end a line.
bool is_header_value(std::string_view text);

/// An HTTP/1.1 client for one connection: one request at a time, keep-alive. It knows nothing of etcd;
/// endpoint rotation, retries and back-off are its user's.
class Client final : private io::Stream::Listener {
 public:
  static constexpr std::size_t kMaxRequest = 12 * 1024;  ///< head and body together

  /// Who made the request. on_done or on_error ends it, exactly one of them, and from either the next request
  /// may be made.
  class Handler {
   public:
    virtual void on_head(const ResponseHead& head) = 0;
    virtual void on_body(std::string_view bytes) = 0;  ///< a piece of the decoded body, any size, any split
    virtual void on_done() = 0;
    /// The request failed (connection refused or lost, timeout, malformed response). The connection is
    /// closed. `detail` as of io::Stream::Listener::on_close.
    virtual void on_error(const Error& error, std::string_view detail) = 0;

   protected:
    ~Handler() = default;
  };

  /// The stream must outlive the client; nobody else uses it.
  Client(io::Loop& loop, io::Stream& stream);
  ~Client();  ///< as cancel()
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Connects first if there is no connection to this endpoint. A request that fails on a kept-alive
  /// connection before any byte of a response was received is sent again once on a new connection (the server
  /// closed it while idle) if it is repeatable. A request under way is cancelled. What is passed is copied;
  /// `handler` is never called from within request(). One that is too large (kLimit), or in which a part
  /// holds bytes that are forbidden there (kInvalid), ends in on_error without being sent. So does one that
  /// is redirected (kUnsupported): a token is given to no other server.
  void request(const io::Endpoint& endpoint, const Request& request, Handler& handler);
  /// Changes the allowed silence of the request under way (of a watch, once its first line is there).
  void set_silence_limit(Millis timeout);
  /// Ends the request under way without a callback and closes the connection.
  void cancel();
  bool busy() const { return state_ > State::kIdle; }
  io::StreamReport report(bool probe) { return stream_.report(probe); }

 private:
  enum class State : std::uint8_t {
    kClosed,  ///< no connection, no request
    kIdle,    ///< a connection, no request
    kConnecting,
    kSent,       ///< on a new connection; no byte of the response yet
    kSentAgain,  ///< the same on a connection that carried a request before
    kReceiving,
    kFailed,  ///< the timer delivers pending_error_
  };
  void on_open() override;
  void on_data(std::string_view bytes) override;
  void on_close(const Error& error, std::string_view detail) override;
  void on_silence();
  Result<void> compose(const Request& request);
  void connect();
  void send(State sent);
  /// The server may have closed the connection while it was idle.
  bool may_repeat() const { return state_ == State::kSentAgain && repeatable_; }
  void restart_silence();
  void fail_later(const Error& error);
  void end_request(State next);
  void finish(State next);
  void fail(const Error& error, std::string_view detail = {});

  io::Stream& stream_;
  io::Timer silence_;
  ResponseParser parser_;
  State state_ = State::kClosed;
  bool repeatable_ = false;
  Handler* handler_ = nullptr;  ///< of the request, while there is one
  io::Endpoint endpoint_;
  Millis silence_limit_ = 0;
  Error pending_error_;
  unsigned request_number_ = 0;  ///< changes when a request ends: callbacks compare it
  bool* destroyed_ = nullptr;    ///< set by the destructor, while a callback runs
  std::size_t request_size_ = 0;
  char request_[kMaxRequest];  ///< for one repetition
};

}  // namespace flannelette::http
