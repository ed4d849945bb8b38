// SPDX-License-Identifier: Apache-2.0
// The watch: one connection after another, each of which goes on where the one before stood.
#pragma once

#include "flannelette/base/delegate.hpp"
#include "flannelette/http/client.hpp"
#include "registry/etcd/history.hpp"
#include "registry/etcd/operation.hpp"
#include "registry/etcd/records.hpp"
#include "registry/relisting.hpp"
#include "registry/watch_state.hpp"

namespace flannelette::registry::etcd {

/// Follows `<prefix>/subnets/` from a revision on, for ever. After a cut it goes on where it stood; where
/// that cannot be without a gap (compaction, a store that went back or is another one) it stops and asks for
/// a listing. What a connection has to prove and to tell is History's.
class Watch final : private http::Client::Handler, private Decoder::Sink {
 public:
  using OnGap = Delegate<void(Millis delay)>;  ///< list again, but not before `delay`
  using OnReturn = Delegate<void()>;           ///< the stream is there again after a failure
  using Probe = Delegate<void()>;              ///< make any request
  Watch(Channel& channel, io::Stream& stream, std::span<char, Decoder::kScratch> scratch, OnGap on_gap,
        OnReturn on_return, Probe probe);

  /// As of History.
  void begin(const Change& newest, std::int64_t next);
  void stop();
  bool running() const { return state_ != State::kOff; }
  /// Goes on over a new connection, at once.
  void reconnect();
  /// The registry can be reached again: the back-off has no reason any more.
  void skip_backoff();
  /// There is a token (again).
  void on_token();
  void report(Standing& to);

 private:
  using State = WatchState;
  /// A hurried connection comes at least that long after the one before.
  static constexpr Millis kMinReopen = 1'000;

  void on_timer();
  bool relist(bool list);
  void works();
  void open();
  void become_stable();
  void on_head(const http::ResponseHead& head) override;
  void on_body(std::string_view bytes) override;
  void on_done() override;
  void on_error(const Error& error, std::string_view detail) override;
  void on_value(std::string_view value) override { builder_.on_value(value); }
  void on_pair(const Pair& pair) override;
  void on_message(const Message& message);
  void on_canceled(const Message& message);
  void on_created(const Message& message);
  void retry(const Error& error, std::string_view detail = {});
  void retry(const Status& status);
  void gap(const Error& error, std::string_view detail = {});
  void close();
  void next_endpoint() { endpoint_ = (endpoint_ + 1) % core_.settings.endpoint_count; }
  void enter(State next) {
    past_.on_leave(state_.state(), core_.loop.now());
    state_.enter(next, core_.log);
  }
  bool connected() const { return state_.state() >= State::kOpening; }
  const io::Endpoint& endpoint() const { return core_.settings.endpoints[endpoint_]; }

  Core& core_;
  Channel& channel_;
  http::Client client_;
  io::Timer timer_;
  Decoder decoder_;
  RecordBuilder builder_{core_.keys};
  OnGap on_gap_;
  OnReturn on_return_;
  Probe probe_;
  Relisting relisting_;
  Backoff backoff_ = kBackoff;
  Backoff gaps_ = kBackoff;  // of its own: an outage must not make the listing wait that follows it
  StateMachine<kWatchStates> state_;
  WatchPast past_;
  History history_;
  Millis opened_ = 0;  // when the last connection was begun
  std::size_t endpoint_ = 0;
  int status_ = 0;
  bool compacted_ = false;      // a connection since it was last stable was told that its proof is compacted
  bool token_renewed_ = false;  // since it was last stable: a second refusal is not for the token
  bool malformed_ = false;
  PlainBody plain_;
};

}  // namespace flannelette::registry::etcd
