// SPDX-License-Identifier: Apache-2.0
#include "registry/etcd/requests.hpp"

#include <algorithm>
#include <utility>

#include "registry/etcd/protocol.hpp"

namespace flannelette::registry::etcd {
namespace {

constexpr std::size_t kMaxBody = 4 * 1024;  // a transaction: five keys and a value of 1 KiB, all in base64

template <std::size_t N>
Text<N> url(const io::Endpoint& endpoint) {
  return to_text<N>([&](Writer& out) { write(out, endpoint); });
}

}  // namespace

void Core::failed(Failures whose, const char* operation, const io::Endpoint& endpoint, const Status& status,
                  Millis retry_in) {
  failures |= whose;
  membership->on_failure({operation, url<280>(endpoint), status.error, status.detail, retry_in});
}

void Core::working(Failures whose, const io::Endpoint& endpoint) {
  const Failures before = std::exchange(failures, static_cast<Failures>(failures & ~whose));
  if (before != 0 && failures == 0) membership->on_working(url<280>(endpoint));
}

bool Core::same_store(const Message& message) {
  const bool other = message.cluster != 0 && store.cluster != 0 && message.cluster != store.cluster;
  if (other || (message.term != 0 && message.term < store.term)) return false;
  store.term = std::max(store.term, message.term);
  return true;
}

Requests::Requests(Core& core, io::Stream& stream, std::span<char, Decoder::kScratch> scratch)
    : core_(core),
      client_(core.loop, stream),
      timer_(core.loop, Delegate<void()>::to<&Requests::on_turn>(this)),
      overtime_(core.loop, Delegate<void()>::to<&Requests::on_overtime>(this)),
      decoder_(scratch),
      token_needed_(!core.settings.username.empty()) {
  operations_[0] = &authenticate_;
  if (token_needed_) authenticate_.want(0);
}

void Requests::serve(std::span<Operation* const> operations) {
  std::copy(operations.begin(), operations.end(), operations_.begin() + 1);
  Core::Failures bit = Core::kFirstOperation;
  for (Operation* operation : operations_) {
    if (operation != nullptr)
      operation->failure_bit_ = std::exchange(bit, static_cast<Core::Failures>(bit * 2));
  }
}

void Requests::schedule() {
  if (core_.stopped || core_.membership == nullptr || client_.busy()) return;
  Millis next = -1;
  for (const Operation* operation : operations_) {
    if (operation == nullptr || !operation->wanted_ || !operation->ready()) continue;
    const Millis due = std::max(operation->due_, due_);
    next = next < 0 ? due : std::min(next, due);
    if (operation == &authenticate_) break;
  }
  if (next < 0) return timer_.cancel();
  // Always through the timer, never at once: so no listener is called from within its own call to us.
  timer_.arm_in(next - core_.loop.now());
}

void Requests::on_turn() {
  if (core_.stopped || client_.busy()) return;
  Operation* operation = choose();
  if (operation != nullptr) return send(*operation);
  schedule();
}

Operation* Requests::choose() const {
  const Millis now = core_.loop.now();
  if (now < due_) return nullptr;
  for (Operation* operation : operations_) {
    if (operation == nullptr || !operation->wanted_) continue;
    if (operation->due_ <= now && operation->ready()) return operation;
    if (operation == &authenticate_) return nullptr;
  }
  return nullptr;
}

void Requests::send(Operation& operation) {
  std::array<char, kMaxBody> memory;
  json::Writer body(memory);
  const Operation::Call call = operation.compose(body);
  current_ = &operation;
  decoder_.reset(operation);
  status_ = 0;
  complete_ = false;
  malformed_ = false;
  plain_.clear();
  const http::Header authorization{"Authorization", token_};
  const bool with_token = !token_.empty() && &operation != &authenticate_;
  client_.post(endpoint(), call.path, {&authorization, with_token ? 1u : 0u}, body.view(),
               EtcdRegistry::kRequestTimeout, call.repeatable, *this);
  overtime_.arm_in(call.limit);
  std::fill(memory.begin(), memory.end(), '\0');  // it may have held a password
}

void Requests::on_head(const http::ResponseHead& head) { status_ = head.status; }

void Requests::on_body(std::string_view bytes) {
  if (complete_) return;
  if (status_ != 200) plain_.add(bytes);
  if (malformed_) return;
  decoder_.feed(bytes);
  switch (decoder_.next()) {
    case Decoder::Step::kNeedMore: break;
    case Decoder::Step::kMessage: complete_ = true; break;
    case Decoder::Step::kBad: malformed_ = true; break;
  }
}

void Requests::on_done() {
  overtime_.cancel();
  if (core_.stopped) return;
  Operation& operation = *std::exchange(current_, nullptr);
  if (!complete_ && status_ == 200) {
    lost(operation, describe(Error{Code::kInvalid, 0, "etcd: the answer is not complete JSON"}));
  } else if (!complete_) {
    failed(operation, plain_.describe(status_));
  } else if (status_ != 200 || decoder_.message().failed) {
    failed(operation, describe(status_, decoder_.message()));
  } else {
    answered(operation);
  }
  schedule();
  if (!core_.stopped && !client_.busy()) overtime_.arm_in(EtcdRegistry::kIdleConnection);
}

/// Bytes that drip hold off the limit on silence for ever.
void Requests::on_overtime() {
  client_.cancel();
  if (current_ == nullptr) return;  // nothing was under way
  on_error({Code::kTimeout, 0, "etcd: the answer does not come to its end"}, {});
}

void Requests::on_error(const Error& error, std::string_view detail) {
  overtime_.cancel();
  if (core_.stopped) return;
  Operation& operation = *std::exchange(current_, nullptr);
  lost(operation, describe(error, detail));
  schedule();
}

void Requests::answered(Operation& operation) {
  core_.answered = core_.loop.now();
  operation.token_renewed_ = false;
  operation.refused_ = false;
  if ((core_.failures & Core::kConnection) != 0) on_return_();
  core_.working(Core::kConnection, endpoint());
  if (core_.stopped) return;
  operation.on_answer(decoder_.message());
  // What goes on at once (the next page, the put after the grant) is no success before its end.
  const bool goes_on = operation.wanted_ && operation.due_ <= core_.answered;
  if (operation.refused_ || goes_on || core_.stopped) return;
  backoff_.reset();
  operation.backoff_.reset();
  core_.working(operation.failure_bit_, endpoint());
}

void Requests::failed(Operation& operation, const Status& status) {
  if (status.transient()) return lost(operation, status);
  backoff_.reset();
  if (status.wants_token() && !core_.settings.username.empty() && &operation != &authenticate_) {
    renew_token();
    if (!std::exchange(operation.token_renewed_, true))
      return;  // composed again, as soon as there is a token
  }
  operation.token_renewed_ = false;
  operation.refused_ = false;
  operation.on_refusal(status);
  if (!operation.refused_ && !core_.stopped) core_.working(operation.failure_bit_, endpoint());
}

void Requests::lost(Operation& operation, const Status& status) {
  if (operation.on_lost(status)) return;
  if (core_.stopped) return;
  const io::Endpoint& where = endpoint();
  endpoint_ = (endpoint_ + 1) % core_.settings.endpoint_count;
  const Millis delay = backoff_.next(core_.random);
  due_ = core_.loop.now() + delay;
  core_.failed(Core::kConnection, operation.name(), where, status, delay);
}

void Requests::retry_later(Operation& operation, const Status& status) {
  const Millis delay = operation.backoff_.next(core_.random);
  operation.want(core_.loop.now() + delay);
  operation.refused_ = true;
  core_.failed(operation.failure_bit_, operation.name(), endpoint(), status, delay);
}

void Requests::skip_backoff() {
  due_ = 0;
  schedule();
}

bool Requests::abandon(const Operation& operation) {
  if (current_ != &operation) return false;
  current_ = nullptr;
  overtime_.cancel();
  client_.cancel();
  return true;
}

void Requests::reconnect() {
  overtime_.cancel();
  client_.cancel();
  if (Operation* operation = std::exchange(current_, nullptr)) {
    (void)operation->on_lost(describe(Error{Code::kInterrupted, 0, "etcd: the connection was given up"}));
  }
  schedule();
}

void Requests::send_last(std::string_view path, std::string_view body) {
  // stop() has been called, so the handler does nothing.
  if (client_.busy() || (core_.failures & Core::kConnection) != 0) return;
  const http::Header authorization{"Authorization", token_};
  client_.post(endpoint(), path, {&authorization, token_.empty() ? 0u : 1u}, body,
               EtcdRegistry::kRequestTimeout, false, *this);
}

void Requests::stop() {
  timer_.cancel();
  overtime_.cancel();
  if (current_ != nullptr) client_.cancel();
  current_ = nullptr;
}

void Requests::renew_token() {
  if (token_needed_) return;
  token_needed_ = true;
  token_.clear();
  authenticate_.want(core_.loop.now());
  schedule();
}

void Requests::have_token(std::string_view token) {
  token_ = token;
  token_needed_ = false;
  authenticate_.done();
  if (on_token_) on_token_();
}

Operation::Call Requests::Authenticate::compose(json::Writer& body) {
  write_authenticate(body, requests_.core_.settings.username, requests_.core_.settings.password);
  return {kAuthenticatePath};
}

void Requests::Authenticate::on_answer(const Message& message) {
  if (message.token_overlong || message.token.empty()) {
    return on_refusal(describe(Error{Code::kLimit, 0, "etcd: no token, or one of more than 1024 bytes"}));
  }
  // Sent, it would end each request before it begins, for ever.
  if (!http::is_header_value(message.token)) {
    return on_refusal(describe(Error{Code::kInvalid, 0, "etcd: a token that no header may hold"}));
  }
  requests_.have_token(message.token);
}

void Requests::Authenticate::on_refusal(const Status& status) {
  // Authentication is not enabled: a token would be refused by etcd 3.4.
  if (status.code == grpc::kFailedPrecondition) return requests_.have_token({});
  requests_.retry_later(*this, status);
}

}  // namespace flannelette::registry::etcd
