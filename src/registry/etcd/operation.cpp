// SPDX-License-Identifier: Apache-2.0
// etcd's requests: an answer of the gateway is decoded as it arrives, and a token is fetched where one is
// needed.
#include "registry/etcd/operation.hpp"

#include <utility>

#include "registry/etcd/protocol.hpp"

namespace flannelette::registry::etcd {

void Reply::begin(Decoder::Sink& sink) {
  decoder_.reset(sink);
  plain_.clear();
  status_ = 0;
  step_ = Decoder::Step::kNeedMore;
}

void Reply::on_body(std::string_view bytes) {
  if (step_ == Decoder::Step::kMessage) return;
  if (status_ != 200) plain_.add(bytes);
  if (step_ == Decoder::Step::kBad) return;
  decoder_.feed(bytes);
  step_ = decoder_.next();
}

Response::Verdict Reply::end(Status& status) const {
  if (step_ == Decoder::Step::kMessage) {
    if (status_ == 200 && !message().failed) return Verdict::kAnswer;
    status = describe(status_, message());
  } else if (status_ == 200) {
    status = {{Code::kInvalid, 0, "etcd: the answer is not complete JSON"}};
  } else {
    status = plain_.describe(status_);
  }
  return transient(status) ? Verdict::kLost : Verdict::kRefusal;
}

Request::Call Exchange::compose(json::Writer& body) {
  channel_.reply.begin(*this);
  Call call = write(body);
  call.response = &channel_.reply;
  return call;
}

Channel::Channel(Core& the_core, io::Stream& stream, std::span<char, Decoder::kScratch> scratch)
    : core(the_core),
      session(core.loop, core.random, stream, core.health,
              std::span(core.settings.endpoints).first(core.settings.endpoint_count), kBackoff),
      reply(scratch) {}

Authenticator::Authenticator(Channel& channel) : Exchange(channel, "authenticate") {
  if (enabled()) want(0);
}

bool Authenticator::enabled() const { return !channel_.core.settings.username.empty(); }

void Authenticator::renew() {
  if (busy()) return;
  have({});
  want(channel_.core.loop.now());
  channel_.session.schedule();
}

void Authenticator::have(std::string_view token) {
  token_ = token;
  channel_.session.set_authorization(token_);
}

Request::Call Authenticator::write(json::Writer& body) {
  const EtcdSettings& settings = channel_.core.settings;
  write_authenticate(body, settings.username, settings.password);
  return {post(kAuthenticatePath)};
}

Outcome Authenticator::on_answer() {
  const Message& message = channel_.reply.message();
  if (message.token_overlong || message.token.empty())
    return Error{Code::kLimit, 0, "etcd: no token, or one of more than 1024 bytes"};
  // Sent, it would end each request before it begins, for ever.
  if (!http::is_header_value(message.token))
    return Error{Code::kInvalid, 0, "etcd: a token that no header may hold"};
  have(message.token);
  done();
  if (on_token_) on_token_();
  return Outcome::kDone;
}

Outcome Authenticator::on_refusal(const Status& status) {
  if (!auth_is_off(status)) return Outcome::kRefused;
  // A token would be refused by etcd 3.4.
  done();
  if (on_token_) on_token_();
  return Outcome::kDone;
}

/// Out of line, since there are five.
[[gnu::noinline]] Operation::Operation(Channel& channel, const char* name)
    : Exchange(channel, name), core_(channel.core) {}

Outcome Operation::on_answer() {
  token_renewed_ = false;
  return on_message(channel_.reply.message());
}

Outcome Operation::on_refusal(const Status& status) {
  if (wants_token(status) && channel_.authenticator.enabled()) {
    channel_.authenticator.renew();
    if (!std::exchange(token_renewed_, true)) return Outcome::kAgain;  // as soon as there is a token
  }
  token_renewed_ = false;
  return on_error(status);
}

}  // namespace flannelette::registry::etcd
