// SPDX-License-Identifier: Apache-2.0
// One connection to some server of a list, and the requests that share it.
#include "registry/session.hpp"

#include <algorithm>
#include <utility>

namespace flannelette::registry {

Session::Session(io::Loop& loop, Random& random, io::Stream& stream, Health& health,
                 std::span<const io::Endpoint> servers, const Backoff& backoff, Millis max_retry_after)
    : loop_(loop),
      random_(random),
      health_(health),
      servers_(servers),
      client_(loop, stream),
      timer_(loop, Delegate<void()>::to<&Session::on_turn>(this)),
      deadline_(loop, Delegate<void()>::to<&Session::on_deadline>(this)),
      backoff_(backoff),
      max_retry_after_(max_retry_after) {}

void Session::serve(std::span<Request* const> requests) {
  std::ranges::copy(requests, requests_.begin());
  Health::Part part = Health::kFirstRequest;
  for (Request* request : requests) {
    request->part_ = std::exchange(part, static_cast<Health::Part>(part * 2));
    request->backoff_ = backoff_;
  }
  schedule();
}

void Session::schedule() {
  if (stopped_ || client_.busy()) return;
  Millis next = -1;
  for (const Request* request : requests_) {
    if (request == nullptr || !request->wanted_ || !request->ready()) continue;
    const Millis due = std::max(request->due_, due_);
    next = next < 0 ? due : std::min(next, due);
  }
  if (next < 0) return timer_.cancel();
  // Always through the timer, never at once: so no listener is called from within its own call to us.
  timer_.arm_in(next - loop_.now());
}

void Session::on_turn() {
  if (stopped_ || client_.busy()) return;
  Request* request = choose();
  if (request != nullptr) return send(*request);
  schedule();
}

Request* Session::choose() const {
  const Millis now = loop_.now();
  if (now < due_) return nullptr;
  for (Request* request : requests_) {
    if (request != nullptr && request->wanted_ && request->due_ <= now && request->ready()) return request;
  }
  return nullptr;
}

void Session::send(Request& request) {
  std::array<char, kMaxBody> memory;
  json::Writer body(memory);
  Request::Call call = request.compose(body);
  current_ = &request;
  response_ = call.response;
  call.request.body = body.view();
  ask(call.request);
  deadline_.arm_in(call.limit);
  std::ranges::fill(memory, '\0');  // it may have held a password
}

void Session::ask(http::Request& request) {
  ++sent_;
  request.authorization = authorization_;
  request.silence = Registry::kRequestTimeout;
  client_.request(server(), request, *this);
}

void Session::on_head(const http::ResponseHead& head) {
  if (current_ != nullptr) response_->on_head(head);
}

void Session::on_body(std::string_view bytes) {
  if (current_ != nullptr) response_->on_body(bytes);
}

void Session::on_done() {
  deadline_.cancel();
  if (stopped_) return;
  Request& request = *std::exchange(current_, nullptr);
  Status status;
  const Response::Verdict verdict = response_->end(status);
  hold(status.retry_after);
  switch (verdict) {
    case Response::Verdict::kAnswer: answered(request); break;
    case Response::Verdict::kRefusal: refused(request, status); break;
    case Response::Verdict::kLost: lost(request, status); break;
  }
  schedule();
  if (!stopped_ && !client_.busy()) deadline_.arm_in(Registry::kIdleConnection);
}

/// Bytes that drip hold off the limit on silence for ever.
void Session::on_deadline() {
  Request* request = drop();
  if (request == nullptr) return;  // nothing was under way
  lost(*request, {{Code::kTimeout, 0, "registry: the answer does not come to its end"}});
  schedule();
}

void Session::on_error(const Error& error, std::string_view detail) {
  deadline_.cancel();
  if (stopped_) return;
  lost(*std::exchange(current_, nullptr), {error, 0, detail});
  schedule();
}

void Session::answered(Request& request) {
  answered_ = loop_.now();
  if (on_return_ && health_.failing(Health::kConnection)) on_return_();
  health_.working(Health::kConnection, server());
  if (!stopped_) settle(request, request.on_answer(), {});
}

/// Who is not let in may be by another certificate, which only a new connection has, or at another server.
void Session::refused(Request& request, const Status& status) {
  const Outcome outcome = request.on_refusal(status);
  settle(request, outcome, status);
  if (stopped_ || status.error.code != Code::kDenied) return;
  client_.cancel();
  if (outcome.kind == Outcome::kRefused) next_server();
}

void Session::hold(Millis asked) {
  asked = std::min(asked, max_retry_after_);
  if (asked <= 0) return;
  due_ = held_ =
      loop_.now() + asked + static_cast<Millis>(random_.below(static_cast<std::uint64_t>(asked / 2 + 1)));
}

Millis Session::due_after(Backoff& backoff) { return std::max(loop_.now() + backoff.next(random_), held_); }

void Session::settle(Request& request, const Outcome& outcome, const Status& status) {
  if (stopped_ || outcome.kind == Outcome::kAgain) return;
  backoff_.reset();
  if (outcome.kind == Outcome::kDone) {
    request.backoff_.reset();
    return health_.working(request.part_, server());
  }
  request.want(due_after(request.backoff_));
  const Status own{{outcome.code, 0, outcome.context}};
  health_.failed(request.part_, request.name_, server(), outcome.context != nullptr ? own : status,
                 request.due_ - loop_.now());
}

void Session::lost(Request& request, const Status& status) {
  if (request.on_lost(status) || stopped_) return;
  const io::Endpoint& where = server();
  next_server();
  due_ = due_after(backoff_);
  health_.failed(Health::kConnection, request.name_, where, status, due_ - loop_.now());
}

void Session::skip_backoff() {
  due_ = held_;
  schedule();
}

bool Session::abandon(const Request& request) {
  if (current_ != &request) return false;
  drop();
  return true;
}

Request* Session::drop() {
  deadline_.cancel();
  client_.cancel();
  return std::exchange(current_, nullptr);
}

void Session::reconnect() {
  if (Request* request = drop()) {
    (void)request->on_lost({{Code::kInterrupted, 0, "registry: the connection was given up"}});
  }
  skip_backoff();
}

void Session::send_last(http::Request request) {
  // stop() has been called, so that nothing comes of the answer.
  if (client_.busy() || health_.failing(Health::kConnection)) return;
  ask(request);
}

void Session::report(Standing& to) {
  const io::StreamReport stream = client_.report(false);
  to.requests = sent_;
  to.stream.received += stream.received;
  to.stream.sent += stream.sent;
}

void Session::stop() {
  stopped_ = true;
  timer_.cancel();
  deadline_.cancel();
  if (current_ != nullptr) drop();
}

}  // namespace flannelette::registry
