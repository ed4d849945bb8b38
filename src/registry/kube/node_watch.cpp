// SPDX-License-Identifier: Apache-2.0
// The watch of all Nodes.
#include "registry/kube/node_watch.hpp"

#include <algorithm>
#include <utility>

namespace flannelette::registry::kube {

NodeWatch::NodeWatch(Channel& channel, io::Stream& stream, std::span<char, NodeDecoder::kScratch> scratch,
                     Roster& roster, OnGap on_gap, OnSilence on_silence, OnReturn on_return)
    : core_(channel.core),
      roster_(roster),
      client_(core_.loop, stream),
      timer_(core_.loop, Delegate<void()>::to<&NodeWatch::on_timer>(this)),
      decoder_(core_.prefix, scratch),
      on_gap_(on_gap),
      on_silence_(on_silence),
      on_return_(on_return),
      relisting_(core_.loop, core_.random, channel.session, Relisting::Act::to<&NodeWatch::relist>(this)) {}

void NodeWatch::begin(std::int64_t resource_version) {
  resource_version_ = resource_version;
  wait(0);
  relisting_.report(core_.health, "watch nodes", server());
}

void NodeWatch::stop() {
  timer_.cancel();
  relisting_.stop();
  client_.cancel();
  if (state_ != State::kOff) enter(State::kOff);
}

void NodeWatch::reconnect() {
  if (!connected()) return skip_backoff();
  client_.cancel();
  wait(0);
}

void NodeWatch::skip_backoff() {
  if (state_ == State::kWaiting)
    timer_.arm_at_latest_in(std::max<Millis>(opened_ + kMinReopen - core_.loop.now(), 0));
}

bool NodeWatch::relist(bool list) {
  if (state_ == State::kStreaming && core_.loop.now() - opened_ < 2 * kWatchStable) return false;
  if (list) {
    stop();
    on_gap_(0);
  } else {
    on_silence_(resource_version_);
  }
  return true;
}

void NodeWatch::report(Standing& to) {
  to.stream = client_.report(true);
  past_.report(to, state_.state(), server(), core_.loop.now());
}

void NodeWatch::on_timer() {
  switch (state_.state()) {
    case State::kOff: return;
    case State::kWaiting: return open();
    case State::kOpening: return retry({{Code::kTimeout, 0, "kube: the watch does not begin"}});
    case State::kStreaming: return become_stable();
    case State::kStable: return retry({{Code::kTimeout, 0, "kube: the watch does not end when it should"}});
  }
}

void NodeWatch::open() {
  enter(State::kOpening);
  opened_ = core_.loop.now();
  timer_.arm_in(Registry::kAnswerLimit);
  decoder_.reset(*this);
  http_ = 0;
  bad_ = false;
  // All watches of a cluster that began together should not end together.
  lives_ = KubeRegistry::kWatchMin +
           static_cast<Millis>(core_.random.below(static_cast<std::uint64_t>(KubeRegistry::kWatchMin)));
  const auto version = to_text<20>([&](Writer& out) { out.put_signed(resource_version_); });
  const auto seconds = to_text<20>([&](Writer& out) { out.put_signed(lives_ / 1'000); });
  const http::Parameter query[] = {{"watch", "true"},
                                   {"allowWatchBookmarks", "true"},
                                   {"resourceVersion", version},
                                   {"timeoutSeconds", seconds}};
  client_.request(server(),
                  {.path = kNodesPath,
                   .query = query,
                   .headers = kAcceptMetadata,
                   .authorization = core_.authorization(),
                   .silence = Registry::kRequestTimeout},
                  *this);
}

void NodeWatch::on_head(const http::ResponseHead& head) {
  http_ = head.status;
  retry_after_ = static_cast<Millis>(head.retry_after) * 1'000;
  if (http_ != 200) return;
  enter(State::kStreaming);
  heard_ = core_.loop.now();
  refused_ = false;
  client_.set_silence_limit(0);
  timer_.arm_in(kWatchStable);
  if (core_.health.failing(Health::kWatch)) on_return_();
  core_.membership->on_watching();
}

void NodeWatch::become_stable() {
  enter(State::kStable);
  relisting_.end();
  backoff_.reset();
  advanced_ = true;
  timer_.arm_in(
      std::max<Millis>(opened_ + lives_ + KubeRegistry::kWatchGrace - core_.loop.now(), kWatchStable));
  core_.health.working(Health::kWatch, server());
}

void NodeWatch::on_body(std::string_view bytes) {
  if (bad_) return;
  decoder_.feed(bytes);
  bool news = false;
  for (;;) {
    const NodeDecoder::Step step = decoder_.next();
    if (step == NodeDecoder::Step::kBad) {
      bad_ = true;
      if (http_ == 200) retry({{Code::kInvalid, 0, "kube: the watch sent no JSON"}});
    }
    if (step != NodeDecoder::Step::kMessage) break;
    if (http_ != 200) {  // a Status, told when the response is complete
      bad_ = true;
      return;
    }
    news |= decoder_.message().nodes > 0;
    on_message();
    if (core_.stopped || !connected()) break;
  }
  if (news && !core_.stopped) core_.members->on_events_end();
}

void NodeWatch::on_node(const Node& node, Event event) {
  if (core_.stopped || http_ != 200 || node.resource_version < resource_version_) return;
  roster_.on_node(node, event == Event::kDeleted);
}

void NodeWatch::on_message() {
  const Message& said = decoder_.message();
  if (core_.stopped) return;
  heard_ = core_.loop.now();
  past_.on_message(heard_);
  silent_ = 0;
  if (said.event == Event::kError) {
    const Status status = describe(http_, retry_after_, said);
    return status.code == kGone ? gap(status) : retry(status);
  }
  if (said.resource_version == 0) return;  // whatever it is, it says nothing of the Nodes
  if (said.resource_version < resource_version_)
    return gap({{Code::kInterrupted, 0, "kube: the store went back to an older state"}});
  if (said.resource_version > resource_version_) {
    advanced_ = true;
    relisting_.end();
  }
  resource_version_ = said.resource_version;
  if (roster_.lost_track())
    gap({{Code::kInterrupted, 0, "kube: a Node is gone that does not show its podCIDR"}});
}

void NodeWatch::on_done() {
  if (core_.stopped) return;
  if (http_ != 200) return refused();
  note_silence();
  // As agreed, or as a server does that is restarted.
  const bool good = state_ == State::kStable;
  if (!good) return retry({{Code::kClosed, 0, "kube: the watch was ended"}});
  wait(static_cast<Millis>(core_.random.below(kMinReopen)));
}

void NodeWatch::refused() {
  const Status status = describe(http_, retry_after_, decoder_.message());
  if (status.code == kGone) return gap(status);
  // A token, or a certificate, that was replaced meanwhile, mostly.
  if (status.code == kUnauthorized && !std::exchange(refused_, true)) {
    client_.cancel();  // a new connection has the certificate of now
    return wait(0);
  }
  retry(status);
}

void NodeWatch::on_error(const Error& error, std::string_view detail) {
  if (core_.stopped) return;
  if (http_ == 200) note_silence();
  retry({error, 0, detail});
}

void NodeWatch::note_silence() {
  silent_ += core_.loop.now() - heard_;
  if (silent_ < KubeRegistry::kWatchMin) return;
  silent_ = 0;
  on_silence_(resource_version_);
}

void NodeWatch::wait(Millis delay) {
  enter(State::kWaiting);
  timer_.arm_in(delay);
}

void NodeWatch::retry(const Status& status) {
  // A connection that was stable and is cut is no failure yet: the next attempt will tell.
  const bool ended = state_ == State::kStable && status.code == 0;
  // Nobody who is away, or too busy for a watch, is asked for lists.
  const bool denied = status.code == 0 ? state_ == State::kStreaming || status.error.code == Code::kTimeout
                                       : !transient(status);
  if (denied) relisting_.begin();
  const io::Endpoint& where = server();
  client_.cancel();
  server_ = (server_ + 1) % core_.access.servers().size();
  const Millis asked = std::min(status.retry_after, KubeRegistry::kMaxRetryAfter);
  const Millis delay = asked + backoff_.next(core_.random);
  wait(delay);
  past_.on_end(status.error, core_.loop.now());
  if (!ended) core_.health.failed(Health::kWatch, "watch nodes", where, status, delay);
}

void NodeWatch::gap(const Status& status) {
  const io::Endpoint& where = server();
  stop();
  // Only a list whose version cannot be watched is asked again with patience.
  if (std::exchange(advanced_, false)) gaps_.reset();
  const Millis now = core_.loop.now();
  const Millis delay = listed_ < 0 ? 0 : std::max<Millis>(listed_ + gaps_.next(core_.random) - now, 0);
  listed_ = now + delay;
  if (delay > 0) core_.health.failed(Health::kWatch, "watch nodes", where, status, delay);
  on_gap_(delay);
}

}  // namespace flannelette::registry::kube
