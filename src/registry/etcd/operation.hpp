// SPDX-License-Identifier: Apache-2.0
// etcd's requests: an answer of the gateway is decoded as it arrives, and a token is fetched where one is
// needed.
#pragma once

#include "registry/etcd/core.hpp"
#include "registry/etcd/grpc_status.hpp"
#include "registry/session.hpp"

namespace flannelette::registry::etcd {

struct Channel;

/// One response of the gateway to a request, which is one message.
class Reply final : public Response {
 public:
  explicit Reply(std::span<char, Decoder::kScratch> scratch) : decoder_(scratch) {}

  void begin(Decoder::Sink& sink);
  void on_head(const http::ResponseHead& head) override { status_ = head.status; }
  void on_body(std::string_view bytes) override;
  Verdict end(Status& status) const override;
  const Message& message() const { return decoder_.message(); }

 private:
  Decoder decoder_;
  PlainBody plain_;
  int status_ = 0;
  Decoder::Step step_ = Decoder::Step::kNeedMore;  // whatever follows a message is not ours
};

/// A request whose answer goes through the channel's decoder.
class Exchange : public Request, private Decoder::Sink {
 protected:
  Exchange(Channel& channel, const char* name) : Request(name), channel_(channel) {}
  ~Exchange() = default;
  Channel& channel_;

 private:
  Call compose(json::Writer& body) final;
  bool on_lost(const Status&) override { return false; }
  void on_value(std::string_view) override {}
  void on_pair(const Pair&) override {}

  /// As compose(), but for the response.
  virtual Call write(json::Writer& body) = 0;
};

/// Fetches the token. Everything else waits for it.
class Authenticator final : public Exchange {
 public:
  explicit Authenticator(Channel& channel);

  /// A token is needed and not there yet.
  bool busy() const { return wanted(); }
  std::string_view token() const { return token_; }
  /// Whether there are tokens at all.
  bool enabled() const;
  void renew();
  /// Called when there is a token again.
  void set_on_token(Delegate<void()> handler) { on_token_ = handler; }

 private:
  bool ready() const override { return true; }
  Call write(json::Writer& body) override;
  Outcome on_answer() override;
  Outcome on_refusal(const Status& status) override;
  void have(std::string_view token);

  Text<Message::kMaxToken> token_;
  Delegate<void()> on_token_;
};

/// The request connection as etcd's operations see it.
struct Channel {
  Channel(Core& core, io::Stream& stream, std::span<char, Decoder::kScratch> scratch);

  Core& core;
  Session session;
  Reply reply;
  Authenticator authenticator{*this};
};

/// A request that needs a token where etcd wants one.
class Operation : public Exchange {
 protected:
  Operation(Channel& channel, const char* name);
  ~Operation() = default;
  bool ready() const override { return !channel_.authenticator.busy(); }
  Session& session() { return channel_.session; }
  Core& core_;

 private:
  Outcome on_answer() final;
  Outcome on_refusal(const Status& status) final;

  /// The answer is complete and no error. Pairs came before, while it was arriving.
  virtual Outcome on_message(const Message& message) = 0;
  /// etcd understood and says no.
  virtual Outcome on_error(const Status& status) = 0;

  bool token_renewed_ = false;  // for this request, once
};

}  // namespace flannelette::registry::etcd
