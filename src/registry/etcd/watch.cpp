// SPDX-License-Identifier: Apache-2.0
#include "registry/etcd/watch.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "registry/etcd/protocol.hpp"

namespace flannelette::registry::etcd {

Watch::Watch(Core& core, Requests& requests, io::Stream& stream, std::span<char, Decoder::kScratch> scratch,
             OnGap on_gap)
    : core_(core),
      requests_(requests),
      client_(core.loop, stream),
      timer_(core.loop, Delegate<void()>::to<&Watch::open>(this)),
      decoder_(scratch),
      on_gap_(on_gap) {}

void Watch::begin(std::int64_t from) {
  next_ = from;
  state_ = State::kWaiting;
  timer_.arm_in(0);
}

void Watch::stop() {
  timer_.cancel();
  client_.cancel();
  state_ = State::kOff;
}

void Watch::reconnect() {
  if (state_ != State::kOpening && state_ != State::kStreaming) return;
  client_.cancel();
  state_ = State::kWaiting;
  timer_.arm_in(0);
}

void Watch::on_token() {
  if (state_ == State::kWaiting && !timer_.armed()) timer_.arm_in(0);
}

void Watch::open() {
  if (state_ != State::kWaiting || requests_.authenticating()) return;
  state_ = State::kOpening;
  decoder_.reset(*this);
  builder_.reset();
  status_ = 0;
  last_ = 0;
  malformed_ = false;
  foreign_.clear();
  std::array<char, 1024> memory;
  json::Writer body(memory);
  write_watch(body, core_.keys.subnets(), core_.keys.subnets_end(), next_);
  // Without the first header a member that is cut off from its cluster keeps the stream open and silent.
  const std::array<http::Header, 2> headers{
      {{"Grpc-Metadata-hasleader", "true"}, {"Authorization", requests_.token()}}};
  const std::size_t count = requests_.token().empty() ? 1 : 2;
  client_.post(endpoint(), kWatchPath, {headers.data(), count}, body.view(), EtcdRegistry::kRequestTimeout,
               false, *this);
}

void Watch::on_head(const http::ResponseHead& head) { status_ = head.status; }

void Watch::on_body(std::string_view bytes) {
  if (status_ != 200) {
    foreign_ = to_text<160>([&](Writer& out) { append_printable(append_printable(out, foreign_), bytes); });
  }
  if (malformed_) return;
  decoder_.feed(bytes);
  for (;;) {
    switch (decoder_.next()) {
      case Decoder::Step::kNeedMore: return;
      case Decoder::Step::kBad:
        malformed_ = true;
        if (status_ == 200) retry(describe(Error{Code::kInvalid, 0, "etcd: the watch sent no JSON"}));
        return;
      case Decoder::Step::kMessage: on_message(decoder_.message()); break;
    }
    if (state_ != State::kOpening && state_ != State::kStreaming) return;  // closed meanwhile
  }
}

void Watch::on_done() {
  if (core_.stopped) return;
  if (status_ == 200) return retry(describe(Error{Code::kClosed, 0, "etcd: the watch was ended"}));
  Message message;
  message.text = foreign_;
  retry(describe(status_, message));
}

void Watch::on_error(const Error& error) {
  if (!core_.stopped) retry(describe(error));
}

void Watch::on_pair(const Pair& pair) {
  if (core_.stopped) return;
  // As the events are spoken, a claim's answer may come between two of them.
  last_ = std::max(last_, pair.mod_revision);
  core_.delivered = std::max(core_.delivered, pair.mod_revision);
  const auto record = builder_.finish(pair, *core_.listener);
  if (!record || core_.stopped) return;
  if (pair.removed) {
    core_.listener->on_removed(record->key, record->mod_revision);
  } else {
    core_.listener->on_record(*record);
  }
}

void Watch::on_message(const Message& message) {
  if (core_.stopped) return;
  if (message.failed || status_ != 200) return retry(describe(status_, message));
  if (message.canceled) return on_canceled(message);
  if (message.created) return on_created(message);
  if (message.pairs > 0) core_.listener->on_events_end();
  if (core_.stopped || message.fragment)
    return;  // a part of one message: to be had again from its beginning if the rest is cut
  // Events count for themselves and not for the header's revision: catching up, etcd sends at most 1000
  // revisions a message, and every one of these carries the store's newest revision (mvcc/watcher_group.go,
  // watchBatchMaxRevs). A message without events is a progress notice, sent only to a watch that has
  // everything.
  const std::int64_t seen = last_ != 0 ? std::exchange(last_, 0) : message.revision;
  next_ = std::max(next_, seen + 1);
  core_.delivered = std::max(core_.delivered, next_ - 1);
}

void Watch::on_created(const Message& message) {
  if (message.revision < next_ - 1) {
    // etcd would wait without a word until the store has come to that revision again.
    return gap({Code::kInterrupted, 0, "etcd: the store went back to an older revision"}, message);
  }
  state_ = State::kStreaming;
  opened_ = core_.loop.now();
  client_.set_silence_limit(EtcdRegistry::kWatchSilence);
  if (std::exchange(troubled_, false)) core_.working(endpoint());
}

void Watch::on_canceled(const Message& message) {
  if (message.compact_revision > 0) {
    return gap({Code::kInterrupted, 0, "etcd: the revision to go on from was compacted"}, message);
  }
  // The stream stays open and silent. An expired token is told as a missing permission too.
  if (!core_.settings.username.empty()) requests_.renew_token();
  retry({{Code::kDenied, 0, "etcd: the watch was refused"}, grpc::kPermissionDenied, message.text});
}

/// Ends the connection; says how long the next one has to wait.
Millis Watch::close() {
  if (state_ == State::kStreaming && core_.loop.now() - opened_ >= kSettled) backoff_.reset();
  client_.cancel();
  timer_.cancel();
  troubled_ = true;
  return backoff_.next(core_.random);
}

void Watch::retry(const Failure& failure) {
  const Millis delay = close();
  const io::Endpoint& where = endpoint();
  endpoint_ = (endpoint_ + 1) % core_.settings.endpoint_count;
  state_ = State::kWaiting;
  timer_.arm_in(delay);
  if (failure.wants_token() && !core_.settings.username.empty()) requests_.renew_token();
  core_.trouble("watch", where, failure, delay);
}

void Watch::gap(const Error& error, const Message& message) {
  const Millis delay = close();
  state_ = State::kOff;
  core_.trouble("watch", endpoint(), {error, 0, message.text}, delay);
  if (!core_.stopped) on_gap_(delay);
}

}  // namespace flannelette::registry::etcd
