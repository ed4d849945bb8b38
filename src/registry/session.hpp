// SPDX-License-Identifier: Apache-2.0
// One connection to some server of a list, and the requests that share it.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "flannelette/base/backoff.hpp"
#include "flannelette/base/delegate.hpp"
#include "flannelette/http/client.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/json/writer.hpp"
#include "registry/health.hpp"

namespace flannelette::registry {

/// What a request that was answered, or refused, came to.
struct Outcome {
  enum Kind : std::uint8_t {
    kDone,     ///< it has what it wanted, or asks again at a time of its own
    kAgain,    ///< it goes on at once (the next page, the put after the grant): no success before its end
    kRefused,  ///< reported; asked again after a back-off of its own, while others go on
  };
  Kind kind;
  Code code{};                    ///< with `context` as in an Error
  const char* context = nullptr;  ///< kRefused: why; null: as the server said

  constexpr Outcome(Kind what) : kind(what) {}  // NOLINT: implicit on purpose
  constexpr Outcome(const Error& why) : kind(kRefused), code(why.code), context(why.context) {}  // NOLINT
};

/// Takes the response to a request as it arrives.
class Response {
 public:
  enum class Verdict : std::uint8_t {
    kAnswer,
    kRefusal,  ///< the server understood and says no
    kLost,     ///< nothing is known for certain: another server, or this one later, may well answer
  };
  virtual void on_head(const http::ResponseHead& head) = 0;
  virtual void on_body(std::string_view bytes) = 0;
  /// It is complete: what it is. `status`: why, unless it is an answer.
  virtual Verdict end(Status& status) const = 0;

 protected:
  ~Response() = default;
};

/// One kind of request. Whoever makes it derives from this and says when it wants to be sent; a Session sends
/// one after another. All calls come from the loop.
class Request {
 public:
  struct Call {
    http::Request request;                  ///< but for body, authorization and silence
    Millis limit = Registry::kAnswerLimit;  ///< from the question to the whole answer
    Response* response = nullptr;           ///< never null when it comes to the session
  };

  bool wanted() const { return wanted_; }

 protected:
  explicit Request(const char* name) : name_(name) {}
  ~Request() = default;
  void want(Millis due) {
    wanted_ = true;
    due_ = due;
  }
  void done() { wanted_ = false; }

 private:
  friend class Session;
  /// Whether it may be sent now, beside being wanted.
  virtual bool ready() const = 0;
  /// `body`: what is written there is sent as the body, if the request has a content type.
  virtual Call compose(json::Writer& body) = 0;
  /// The response is complete, and an answer.
  virtual Outcome on_answer() = 0;
  virtual Outcome on_refusal(const Status& status) = 0;
  /// No response, or a kLost one. It will be composed again, after a back-off; true: at once (or when the
  /// server wants it), and unreported.
  virtual bool on_lost(const Status& status) = 0;

  const char* name_;  // in the log
  bool wanted_ = false;
  Health::Part part_ = 0;
  Millis due_ = 0;
  Backoff backoff_{0, 0};  // the session's, of its own
};

/// Sends what requests want, one at a time, in the order of their importance. A server that does not answer
/// is followed by the next one, after a back-off, and so is one that does not let us in (kDenied); one that
/// asks to be left alone for a while is, and the others with it.
class Session final : private http::Client::Handler {
 public:
  /// `servers`, at least one, outlive this, as the others do. `backoff`, of the connection and of each
  /// request by itself, is fresh. A server may ask for at most `max_retry_after`; half as much may be added
  /// by chance, so that nodes do not come back in one moment.
  Session(io::Loop& loop, Random& random, io::Stream& stream, Health& health,
          std::span<const io::Endpoint> servers, const Backoff& backoff, Millis max_retry_after = 0);

  /// The most important first. They outlive this.
  static constexpr std::size_t kMaxRequests = 6;
  void serve(std::span<Request* const> requests);
  /// Sees what there is to do, from the loop. Call it after a request has changed its wishes.
  void schedule();
  /// Drops this request if it is under way; true if it was.
  bool abandon(const Request& request);
  /// Ends the connection; a request under way is composed again, at once.
  void reconnect();
  /// The servers can be reached again: the back-off has no reason any more. What one asked for still holds.
  void skip_backoff();
  /// The last words before silence: sent if the connection is there and free, not waited for.
  void send_last(http::Request request);
  void stop();

  /// The value of the Authorization header from now on; empty: none. It outlives this.
  void set_authorization(std::string_view value) { authorization_ = value; }
  /// Called when there is an answer again after a failure.
  void set_on_return(Delegate<void()> handler) { on_return_ = handler; }
  /// When there was an answer last; 0: never.
  Millis answered() const { return answered_; }
  /// Adds what went over its connection.
  void report(Standing& to);

 private:
  static constexpr std::size_t kMaxBody = 4 * 1024;  ///< etcd: five keys and a value of 1 KiB, in base64

  void on_turn();
  void on_deadline();
  Request* choose() const;
  void send(Request& request);
  void ask(http::Request& request);
  void on_head(const http::ResponseHead& head) override;
  void on_body(std::string_view bytes) override;
  void on_done() override;
  void on_error(const Error& error, std::string_view detail) override;
  void answered(Request& request);
  void refused(Request& request, const Status& status);
  /// Ends the connection; what was under way.
  Request* drop();
  void hold(Millis asked);
  Millis due_after(Backoff& backoff);
  void settle(Request& request, const Outcome& outcome, const Status& status);
  void lost(Request& request, const Status& status);
  const io::Endpoint& server() const { return servers_[server_]; }
  void next_server() { server_ = (server_ + 1) % servers_.size(); }

  io::Loop& loop_;
  Random& random_;
  Health& health_;
  const std::span<const io::Endpoint> servers_;
  http::Client client_;
  io::Timer timer_;
  io::Timer deadline_;  // of the request under way, or of the connection without one
  std::array<Request*, kMaxRequests> requests_{};
  Request* current_ = nullptr;  // under way, and `response_` takes what comes
  Response* response_ = nullptr;
  Delegate<void()> on_return_;
  std::string_view authorization_;
  Backoff backoff_;
  const Millis max_retry_after_;
  Millis held_ = 0;  // until then a server asked not to be asked
  Millis due_ = 0;   // of the connection: nothing is sent before; never before held_
  Millis answered_ = 0;
  std::size_t server_ = 0;
  std::uint32_t sent_ = 0;  // requests
  bool stopped_ = false;
};

}  // namespace flannelette::registry
