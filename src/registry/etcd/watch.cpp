// SPDX-License-Identifier: Apache-2.0
// The watch: one connection after another, each of which goes on where the one before stood.
#include "registry/etcd/watch.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "registry/etcd/protocol.hpp"

namespace flannelette::registry::etcd {
namespace {

constexpr Error kOtherStore{Code::kInterrupted, 0, "etcd: this is not the store that was listed"};

}  // namespace

Watch::Watch(Channel& channel, io::Stream& stream, std::span<char, Decoder::kScratch> scratch, OnGap on_gap,
             OnReturn on_return, Probe probe)
    : core_(channel.core),
      channel_(channel),
      client_(core_.loop, stream),
      timer_(core_.loop, Delegate<void()>::to<&Watch::on_timer>(this)),
      decoder_(scratch),
      on_gap_(on_gap),
      on_return_(on_return),
      probe_(probe),
      relisting_(core_.loop, core_.random, channel.session, Relisting::Act::to<&Watch::relist>(this)) {}

void Watch::begin(const Change& newest, std::int64_t next) {
  history_.begin(newest, next);
  compacted_ = false;
  enter(State::kWaiting);
  timer_.arm_in(0);
  relisting_.begin();
  relisting_.report(core_.health, "watch", endpoint());
}

void Watch::stop() {
  timer_.cancel();
  relisting_.stop();
  client_.cancel();
  if (running()) enter(State::kOff);
}

void Watch::reconnect() {
  if (!connected()) return skip_backoff();
  close();
  timer_.arm_in(0);
}

void Watch::skip_backoff() {
  if (state_ == State::kWaiting && timer_.armed())
    timer_.arm_at_latest_in(std::max<Millis>(opened_ + kMinReopen - core_.loop.now(), 0));
}

void Watch::on_token() {
  if (state_ == State::kWaiting && !timer_.armed()) timer_.arm_in(0);
}

void Watch::report(Standing& to) {
  to.stream = client_.report(true);
  past_.report(to, state_.state(), endpoint(), core_.loop.now());
}

/// There is a watch.
void Watch::works() {
  relisting_.end();
  backoff_.reset();
}

bool Watch::relist(bool list) {
  if (state_ == State::kStreaming && core_.loop.now() - opened_ < 2 * kWatchStable) return false;
  if (list) {
    stop();
    on_gap_(0);
  } else {
    probe_();
  }
  return true;
}

void Watch::on_timer() {
  switch (state_.state()) {
    case State::kOff: return;
    case State::kWaiting: return open();
    case State::kOpening:
      return retry(Error{Code::kTimeout, 0, "etcd: the watch does not come to its first line"});
    case State::kStreaming: return become_stable();
    case State::kStable:
      return retry(Error{Code::kTimeout, 0, "etcd: the watch says nothing, not even that it lives"});
  }
}

void Watch::open() {
  if (channel_.authenticator.busy()) return;
  enter(State::kOpening);
  opened_ = core_.loop.now();
  timer_.arm_in(EtcdRegistry::kAnswerLimit);
  decoder_.reset(*this);
  builder_.reset();
  status_ = 0;
  malformed_ = false;
  plain_.clear();
  std::array<char, 1024> memory;
  json::Writer body(memory);
  write_watch(body, core_.keys.subnets(), core_.keys.subnets_end(), history_.connect());
  http::Request request = post(kWatchPath, false);
  // Without it a member that is cut off from its cluster keeps the stream open and silent.
  const http::Header has_leader{"Grpc-Metadata-hasleader", "true"};
  request.headers = {&has_leader, 1};
  request.authorization = channel_.authenticator.token();
  request.body = body.view();
  request.silence = Registry::kRequestTimeout;
  client_.request(endpoint(), request, *this);
}

void Watch::on_head(const http::ResponseHead& head) { status_ = head.status; }

void Watch::on_body(std::string_view bytes) {
  if (status_ != 200) plain_.add(bytes);
  if (malformed_) return;
  decoder_.feed(bytes);
  for (;;) {
    switch (decoder_.next()) {
      case Decoder::Step::kNeedMore: return;
      case Decoder::Step::kBad:
        malformed_ = true;
        if (status_ == 200) retry(Error{Code::kInvalid, 0, "etcd: the watch sent no JSON"});
        return;
      case Decoder::Step::kMessage: on_message(decoder_.message()); break;
    }
    if (!connected()) return;  // closed meanwhile
  }
}

void Watch::on_done() {
  if (core_.stopped) return;
  if (status_ == 200) return retry(Error{Code::kClosed, 0, "etcd: the watch was ended"});
  retry(plain_.describe(status_));
}

void Watch::on_error(const Error& error, std::string_view detail) {
  if (!core_.stopped) retry(error, detail);
}

void Watch::on_pair(const Pair& pair) {
  if (core_.stopped) return;
  if (!history_.on_change(change_of(pair), core_.loop.now())) return builder_.reset();
  // As the events are spoken, a claim's answer may come between two of them.
  core_.delivered = std::max(core_.delivered, pair.mod_revision);
  const auto record = builder_.finish(pair, *core_.members);
  if (!record || core_.stopped) return;
  if (!pair.removed) return core_.members->on_record(*record);
  core_.members->on_removed(record->key, record->modified);
  if (!core_.stopped) core_.lease->on_lease_removed();
}

void Watch::on_message(const Message& message) {
  if (core_.stopped) return;
  past_.on_message(core_.loop.now());
  if (message.failed || status_ != 200) return retry(describe(status_, message));
  if (message.canceled) return on_canceled(message);
  if (message.created) return on_created(message);
  if (state_ == State::kStable) timer_.arm_in(EtcdRegistry::kWatchSilence);
  if (!history_.proven()) {
    if (!message.fragment) gap(kOtherStore);
    return;
  }
  // A part of one message is to be had again from its beginning if the rest is cut.
  if (!message.fragment) {
    if (history_.on_message(message.revision)) works();
    core_.delivered = std::max(core_.delivered, history_.next() - 1);
  }
  if (message.pairs == 0) return;
  core_.members->on_events_end();
  if (!core_.stopped) core_.lease->on_leases_changed();
}

void Watch::on_created(const Message& message) {
  if (state_ != State::kOpening) return;  // said twice, it must not put off what is due
  if (!core_.same_store(message)) return gap(kOtherStore);
  switch (history_.on_created(message.revision)) {
    case History::Verdict::kGoOn: break;
    case History::Verdict::kLater: close(); return timer_.arm_in(gaps_.next(core_.random));
    case History::Verdict::kGap:
      return gap({Code::kInterrupted, 0, "etcd: the store went back to an older revision"});
  }
  enter(State::kStreaming);
  client_.set_silence_limit(0);
  timer_.arm_in(kWatchStable);
  if (core_.health.failing(Health::kWatch)) on_return_();
  core_.membership->on_watching();
}

void Watch::become_stable() {
  switch (history_.settle(core_.loop.now())) {
    case History::Verdict::kGoOn: break;
    case History::Verdict::kLater: return timer_.arm_in(History::kQuiet);
    case History::Verdict::kGap: return gap(kOtherStore);
  }
  enter(State::kStable);
  token_renewed_ = compacted_ = false;
  works();
  gaps_.reset();
  timer_.arm_in(EtcdRegistry::kWatchSilence);
  core_.health.working(Health::kWatch, endpoint());
}

void Watch::on_canceled(const Message& message) {
  if (history_.on_compacted(message.compact_revision)) {
    const std::size_t same = endpoint_;
    close();
    endpoint_ = same;
    return timer_.arm_in(std::exchange(compacted_, true) ? backoff_.next(core_.random) : 0);
  }
  if (message.compact_revision > 0) {
    return gap({Code::kInterrupted, 0, "etcd: the revision to go on from was compacted"}, message.text);
  }
  // The stream stays open and silent. An expired token is told as a missing permission too.
  if (channel_.authenticator.enabled()) {
    channel_.authenticator.renew();
    if (!std::exchange(token_renewed_, true)) return close();  // for on_token
  }
  retry({{Code::kDenied, 0, "etcd: the watch was refused"}, grpc::kPermissionDenied, message.text});
}

/// Ends the connection; the next one goes elsewhere.
void Watch::close() {
  client_.cancel();
  timer_.cancel();
  enter(State::kWaiting);
  relisting_.begin();
  next_endpoint();
}

void Watch::retry(const Error& error, std::string_view detail) { retry({error, 0, detail}); }

void Watch::retry(const Status& status) {
  // As proxies do after some minutes of silence. It is no failure yet: the next attempt will tell.
  const Code code = status.error.code;
  const bool ended =
      state_ == State::kStable && status.code == 0 && (code == Code::kClosed || code == Code::kSystem);
  const io::Endpoint& where = endpoint();
  close();
  past_.on_end(status.error, core_.loop.now());
  const Millis delay = backoff_.next(core_.random);
  timer_.arm_in(delay);
  if (wants_token(status) && channel_.authenticator.enabled()) channel_.authenticator.renew();
  if (!ended) core_.health.failed(Health::kWatch, "watch", where, status, delay);
}

void Watch::gap(const Error& error, std::string_view detail) {
  const io::Endpoint& where = endpoint();
  stop();
  next_endpoint();
  const Millis delay = gaps_.next(core_.random);
  core_.health.failed(Health::kWatch, "watch", where, {error, 0, detail}, delay);
  if (!core_.stopped) on_gap_(delay);
}

}  // namespace flannelette::registry::etcd
