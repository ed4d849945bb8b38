// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "flannelette/base/delegate.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/http/client.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/json/writer.hpp"
#include "flannelette/registry/etcd.hpp"
#include "registry/etcd/decode.hpp"
#include "registry/etcd/grpc_status.hpp"
#include "registry/etcd/keys.hpp"

namespace flannelette::registry::etcd {

/// Which store spoke, as the header of its answer says.
struct Store {
  std::uint64_t cluster = 0;  ///< 0: not known
  std::uint64_t term = 0;     ///< never goes back while a store lives
};

struct ClaimResult;

/// Hears what concerns our own lease.
class LeaseListener {
 public:
  /// The claim that was begun has ended.
  virtual void on_claim(const ClaimResult& result) = 0;
  /// The lease that keeps our key alive is gone (expired, revoked). The key is gone or about to be.
  virtual void on_lease_lost() = 0;
  /// The members' listener has heard of changes.
  virtual void on_leases_changed() = 0;
  /// One of them is a removal.
  virtual void on_lease_removed() = 0;

 protected:
  ~LeaseListener() = default;
};

/// What the parts of the registry share.
struct Core {
  using Failures = std::uint16_t;  ///< one bit for each part that may be failing
  static constexpr Failures kConnection = 1;
  static constexpr Failures kWatch = 2;
  static constexpr Failures kFirstOperation = 4;

  io::Loop& loop;
  Random& random;
  Log& log;
  const EtcdSettings settings;
  const Keys keys;
  MemberListener* members = nullptr;
  MembershipListener* membership = nullptr;
  LeaseListener* lease = nullptr;
  overlay::NetworkConfig network{};  ///< as it was read
  bool stopped = false;
  bool listing_open = false;  ///< between on_listing_begin and its end: no claim speaks in between
  std::int64_t delivered =
      0;  ///< the listener knows the keys as of this revision at least; 0: it does not, a listing is due
  Millis answered = 0;              ///< when a request last was
  Store store{};                    ///< what the listener knows was listed there
  Failures failures = kConnection;  ///< so that the first success is told

  void failed(Failures whose, const char* operation, const io::Endpoint& endpoint, const Status& status,
              Millis retry_in);
  /// `whose` failure is over; told when there is no other.
  void working(Failures whose, const io::Endpoint& endpoint);
  /// False: what the listener knows is of another store, or of this one before it was made anew or restored.
  bool same_store(const Message& message);
};

/// One kind of request on the request connection. Whoever makes it derives from this and says when it wants
/// to speak; Requests runs one after another. All calls come from the loop.
class Operation : public Decoder::Sink {
 public:
  struct Call {
    std::string_view path;
    bool repeatable =
        true;  ///< may be sent a second time without asking (reads, keepalive), never a transaction
    Millis limit = EtcdRegistry::kAnswerLimit;  ///< from the question to the whole answer
  };

  bool wanted() const { return wanted_; }

 protected:
  ~Operation() = default;
  void want(Millis due) {
    wanted_ = true;
    due_ = due;
  }
  void done() { wanted_ = false; }

 private:
  friend class Requests;
  virtual const char* name() const = 0;
  /// Whether it may speak now, beside having been wanted.
  virtual bool ready() const { return true; }
  virtual Call compose(json::Writer& body) = 0;
  /// The answer is complete and no error. Pairs came before, while it was arriving.
  virtual void on_answer(const Message& message) = 0;
  /// etcd understood and says no.
  virtual void on_refusal(const Status& status) = 0;
  /// No answer, or one that says nothing for certain. It will be composed again, after a back-off; true: at
  /// once and without a word.
  virtual bool on_lost(const Status& status) = 0;
  void on_value(std::string_view) override {}
  void on_pair(const Pair&) override {}

  bool wanted_ = false;
  bool token_renewed_ = false;      // for this request, once
  bool refused_ = false;            // the answer was complete, and no use: retry_later() was called for it
  Core::Failures failure_bit_ = 0;  // its bit
  Millis due_ = 0;
  Backoff backoff_ = kBackoff;
};

/// The request connection: runs what operations want, one at a time, in the order of their importance;
/// rotates the endpoints, backs off and authenticates.
class Requests final : private http::Client::Handler {
 public:
  Requests(Core& core, io::Stream& stream, std::span<char, Decoder::kScratch> scratch);

  /// The most important first. They outlive this.
  static constexpr std::size_t kMaxOperations = 5;
  void serve(std::span<Operation* const> operations);
  /// Looks what there is to do, from the loop. Call it after an operation has changed its wishes.
  void schedule();
  /// Refused, and it will ask again: reports it, and makes it wait. Others go on.
  void retry_later(Operation& operation, const Status& status);
  /// Drops the request of this operation if it is under way; true if it was.
  bool abandon(const Operation& operation);
  /// Ends the connection; a request under way is composed again, at once.
  void reconnect();
  /// The last words before silence: sent if the connection is there and free, not waited for.
  void send_last(std::string_view path, std::string_view body);
  void stop();

  /// A token is needed and not there yet: a watch has to wait.
  bool authenticating() const { return token_needed_; }
  std::string_view token() const { return token_; }
  void renew_token();
  /// Called when there is a token again.
  void set_on_token(Delegate<void()> handler) { on_token_ = handler; }
  /// Called when there is an answer again after a failure.
  void set_on_return(Delegate<void()> handler) { on_return_ = handler; }
  /// The registry can be reached again: the back-off has no reason any more.
  void skip_backoff();

 private:
  /// Fetches the token. Everything else waits for it.
  class Authenticate final : public Operation {
   public:
    explicit Authenticate(Requests& requests) : requests_(requests) {}

   private:
    friend class Requests;
    const char* name() const override { return "authenticate"; }
    Call compose(json::Writer& body) override;
    void on_answer(const Message& message) override;
    void on_refusal(const Status& status) override;
    bool on_lost(const Status&) override { return false; }
    Requests& requests_;
  };

  void on_turn();
  void on_overtime();
  Operation* choose() const;
  void send(Operation& operation);
  void on_head(const http::ResponseHead& head) override;
  void on_body(std::string_view bytes) override;
  void on_done() override;
  void on_error(const Error& error, std::string_view detail) override;
  void answered(Operation& operation);
  void failed(Operation& operation, const Status& status);
  void lost(Operation& operation, const Status& status);
  void have_token(std::string_view token);
  const io::Endpoint& endpoint() const { return core_.settings.endpoints[endpoint_]; }

  Core& core_;
  http::Client client_;
  io::Timer timer_;
  io::Timer overtime_;  // of the request under way, or of the connection without one
  Decoder decoder_;
  Authenticate authenticate_{*this};
  std::array<Operation*, kMaxOperations + 1> operations_{};
  Operation* current_ = nullptr;
  Delegate<void()> on_token_;
  Delegate<void()> on_return_;
  Backoff backoff_ = kBackoff;
  Millis due_ = 0;  // of the connection: nothing is sent before
  std::size_t endpoint_ = 0;
  int status_ = 0;
  bool complete_ = false;  // one message was decoded; whatever follows is not ours
  bool malformed_ = false;
  bool token_needed_ = false;
  Text<Message::kMaxToken> token_;
  PlainBody plain_;
};

}  // namespace flannelette::registry::etcd
