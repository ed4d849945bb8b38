// SPDX-License-Identifier: Apache-2.0
#include "registry/etcd/watch.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "registry/etcd/protocol.hpp"

namespace flannelette::registry::etcd {
namespace {

constexpr Error kOtherStore{Code::kInterrupted, 0, "etcd: this is not the store that was listed"};
constexpr Error kNoWatch{
    Code::kUnavailable, 0,
    "etcd: requests are answered, the watch is not (does a proxy buffer or block it?); listing now and then"};

}  // namespace

Watch::Watch(Core& core, Requests& requests, io::Stream& stream, std::span<char, Decoder::kScratch> scratch,
             OnGap on_gap, OnReturn on_return, Probe probe)
    : core_(core),
      requests_(requests),
      client_(core.loop, stream),
      timer_(core.loop, Delegate<void()>::to<&Watch::on_timer>(this)),
      decoder_(scratch),
      on_gap_(on_gap),
      on_return_(on_return),
      probe_(probe),
      relist_timer_(core.loop, Delegate<void()>::to<&Watch::on_relist_timer>(this)) {}

void Watch::begin(std::int64_t from) {
  next_ = from;
  floor_ = 1;
  complete_ = stable_ = backward_ = compacted_ = false;
  behind_list_ = true;
  state_ = State::kWaiting;
  timer_.arm_in(0);
  arm_relist();
  if (relists_ > 0) core_.failed(Core::kWatch, "watch", endpoint(), describe(kNoWatch), relist_interval());
}

void Watch::stop() {
  timer_.cancel();
  relist_timer_.cancel();
  client_.cancel();
  state_ = State::kOff;
}

void Watch::reconnect() {
  if (state_ != State::kOpening && state_ != State::kStreaming) return;
  close(State::kWaiting);
  timer_.arm_in(0);
}

void Watch::skip_backoff() {
  if (state_ == State::kWaiting && timer_.armed())
    timer_.arm_at_latest_in(std::max<Millis>(opened_ + kMinReopen - core_.loop.now(), 0));
}

void Watch::on_token() {
  if (state_ == State::kWaiting && !timer_.armed()) timer_.arm_in(0);
}

/// Half an interval before it may ask, and half before it may list.
void Watch::arm_relist() {
  const Millis half = relist_interval() / 2;
  probed_ = 0;
  relist_timer_.arm_in(half + static_cast<Millis>(core_.random.below(static_cast<std::uint64_t>(half / 8))));
}

/// There is a watch.
void Watch::works() {
  relist_timer_.cancel();
  relists_ = 0;
  backoff_.reset();
}

/// After an outage the watch goes on without a list. So a request must be answered first, and the watch have
/// its time after that.
void Watch::on_relist_timer() {
  const Millis now = core_.loop.now();
  if (state_ == State::kStreaming && now - opened_ < 2 * kStable) return relist_timer_.arm_in(kStable);
  if (probed_ == 0 || core_.answered < probed_) {
    arm_relist();
    probed_ = now;
    return probe_();
  }
  ++relists_;
  stop();
  on_gap_(0);
}

void Watch::on_timer() {
  switch (state_) {
    case State::kOff: return;
    case State::kWaiting: return open();
    case State::kOpening:
      return retry(describe(Error{Code::kTimeout, 0, "etcd: the watch does not come to its first line"}));
    case State::kStreaming:
      if (!stable_) return become_stable();
      return retry(
          describe(Error{Code::kTimeout, 0, "etcd: the watch says nothing, not even that it lives"}));
  }
}

void Watch::open() {
  if (requests_.authenticating()) return;
  state_ = State::kOpening;
  opened_ = core_.loop.now();
  timer_.arm_in(EtcdRegistry::kAnswerLimit);
  decoder_.reset(*this);
  builder_.reset();
  status_ = 0;
  last_ = 0;
  malformed_ = false;
  plain_.clear();
  const std::int64_t known = std::min(next_, std::max(core_.newest.revision, floor_));
  skipped_ = behind_list_ && next_ - known > kMaxHistory;
  const std::int64_t first = skipped_ ? next_ : known;
  // One earlier than what is to be heard: etcd takes a watch from the very revision that it has compacted,
  // and keeps silent about what was removed in it (mvcc/key_index.go, compact).
  from_ = std::max<std::int64_t>(first - 1, 1);
  proven_ = core_.newest.revision != first;
  learning_ = !complete_;
  retold_at_ = 0;
  std::array<char, 1024> memory;
  json::Writer body(memory);
  write_watch(body, core_.keys.subnets(), core_.keys.subnets_end(), from_);
  // Without the first header a member that is cut off from its cluster keeps the stream open and silent.
  const std::array<http::Header, 2> headers{
      {{"Grpc-Metadata-hasleader", "true"}, {"Authorization", requests_.token()}}};
  const std::size_t count = requests_.token().empty() ? 1 : 2;
  client_.post(endpoint(), kWatchPath, {headers.data(), count}, body.view(), EtcdRegistry::kRequestTimeout,
               false, *this);
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
  retry(plain_.describe(status_));
}

void Watch::on_error(const Error& error, std::string_view detail) {
  if (!core_.stopped) retry(describe(error, detail));
}

void Watch::on_pair(const Pair& pair) {
  if (core_.stopped) return;
  last_ = std::max(last_, pair.mod_revision);
  newest_ = change_of(pair);
  if (pair.mod_revision < next_) {
    retold_at_ = core_.loop.now();
    if (newest_ == core_.newest) {
      proven_ = true;
    } else if (!learning_ && pair.mod_revision > core_.newest.revision) {
      proven_ = false;
    }
    return builder_.reset();
  }
  if (!proven_) return builder_.reset();  // the proof would have come before
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
  if (message.failed || status_ != 200) return retry(describe(status_, message));
  if (message.canceled) return on_canceled(message);
  if (message.created) return on_created(message);
  if (stable_) timer_.arm_in(EtcdRegistry::kWatchSilence);
  if (!proven_) {
    if (!message.fragment) gap(kOtherStore, message);
    return;
  }
  if (message.pairs > 0) {
    core_.members->on_events_end();
    if (!core_.stopped) core_.lease->on_leases_changed();
  }
  if (core_.stopped || message.fragment)
    return;  // a part of one message: to be had again from its beginning if the rest is cut
  // Events count for themselves and not for the header's revision: catching up, etcd sends at most 1000
  // revisions a message, and every one of these carries the store's newest revision (mvcc/watcher_group.go,
  // watchBatchMaxRevs). A message without events is a progress notice, sent only to a watch that has
  // everything.
  if (last_ != 0 && last_ >= core_.newest.revision) core_.newest = newest_;
  if (last_ >= next_) {
    complete_ = true;
    works();
  }
  const std::int64_t seen = last_ != 0 ? std::exchange(last_, 0) : message.revision;
  next_ = std::max(next_, seen + 1);
  core_.delivered = std::max(core_.delivered, next_ - 1);
}

void Watch::on_created(const Message& message) {
  if (state_ != State::kOpening) return;  // said twice, it must not put off what is due
  if (!core_.same_store(message)) return gap(kOtherStore, message);
  if (message.revision < next_ - 1) {
    // etcd would wait without a word until the store has come to that revision again. Once it may be just a
    // member that is behind the one that was listed: no failure yet.
    if (!std::exchange(backward_, true)) {
      close(State::kWaiting);
      return timer_.arm_in(gaps_.next(core_.random));
    }
    return gap({Code::kInterrupted, 0, "etcd: the store went back to an older revision"}, message);
  }
  state_ = State::kStreaming;
  client_.set_silence_limit(0);
  timer_.arm_in(kStable);
  if ((core_.failures & Core::kWatch) != 0) on_return_();
}

void Watch::become_stable() {
  if (!proven_) return gap(kOtherStore, {});
  if (retold_at_ != 0 && core_.loop.now() - retold_at_ < kStable / 2) return timer_.arm_in(kStable / 2);
  stable_ = true;
  if (!skipped_) complete_ = true;
  behind_list_ = false;
  token_renewed_ = backward_ = compacted_ = false;
  works();
  gaps_.reset();
  timer_.arm_in(EtcdRegistry::kWatchSilence);
  core_.working(Core::kWatch, endpoint());
}

void Watch::on_canceled(const Message& message) {
  if (message.compact_revision > from_ && message.compact_revision < next_) {  // only the proof is lost
    floor_ = message.compact_revision + 1;
    const std::size_t same = endpoint_;
    close(State::kWaiting);
    endpoint_ = same;
    return timer_.arm_in(std::exchange(compacted_, true) ? backoff_.next(core_.random) : 0);
  }
  if (message.compact_revision > 0) {
    return gap({Code::kInterrupted, 0, "etcd: the revision to go on from was compacted"}, message);
  }
  // The stream stays open and silent. An expired token is told as a missing permission too.
  if (!core_.settings.username.empty()) {
    requests_.renew_token();
    if (!std::exchange(token_renewed_, true)) return close(State::kWaiting);  // for on_token
  }
  retry({{Code::kDenied, 0, "etcd: the watch was refused"}, grpc::kPermissionDenied, message.text});
}

/// Ends the connection; the next one goes elsewhere.
void Watch::close(State next) {
  client_.cancel();
  timer_.cancel();
  state_ = next;
  stable_ = false;
  if (next == State::kOff) {
    relist_timer_.cancel();
  } else if (!relist_timer_.armed()) {
    arm_relist();
  }
  endpoint_ = (endpoint_ + 1) % core_.settings.endpoint_count;
}

void Watch::retry(const Status& status) {
  // As proxies do after some minutes of silence. It is no failure yet: the next attempt will tell.
  const Code code = status.error.code;
  const bool ended = stable_ && status.code == 0 && (code == Code::kClosed || code == Code::kSystem);
  const io::Endpoint& where = endpoint();
  close(State::kWaiting);
  const Millis delay = backoff_.next(core_.random);
  timer_.arm_in(delay);
  if (status.wants_token() && !core_.settings.username.empty()) requests_.renew_token();
  if (!ended) core_.failed(Core::kWatch, "watch", where, status, delay);
}

void Watch::gap(const Error& error, const Message& message) {
  const io::Endpoint& where = endpoint();
  close(State::kOff);
  const Millis delay = gaps_.next(core_.random);
  core_.failed(Core::kWatch, "watch", where, {error, 0, message.text}, delay);
  if (!core_.stopped) on_gap_(delay);
}

}  // namespace flannelette::registry::etcd
