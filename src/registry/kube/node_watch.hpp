// SPDX-License-Identifier: Apache-2.0
// The watch of all Nodes.
#pragma once

#include "flannelette/base/state_machine.hpp"
#include "registry/kube/roster.hpp"
#include "registry/relisting.hpp"
#include "registry/watch_state.hpp"

namespace flannelette::registry::kube {

/// Follows the Nodes' metadata from a resourceVersion on, for ever. After a cut it goes on where it stood;
/// where that cannot be without a gap (compaction, a store that went back) it stops and asks for a list, and
/// so it does now and then as long as it cannot be had.
class NodeWatch final : private http::Client::Handler, private NodeDecoder::Sink {
 public:
  using OnGap = Delegate<void(Millis delay)>;  ///< list again, but not before `delay`
  /// Ask for something: for minutes there was no watch, or in it not even a bookmark.
  using OnSilence = Delegate<void(std::int64_t resource_version)>;
  using OnReturn = Delegate<void()>;  ///< there is a stream again after a failure
  NodeWatch(Channel& channel, io::Stream& stream, std::span<char, NodeDecoder::kScratch> scratch,
            Roster& roster, OnGap on_gap, OnSilence on_silence, OnReturn on_return);

  void begin(std::int64_t resource_version);
  void stop();
  /// Goes on over a new connection, at once.
  void reconnect();
  /// The API server can be reached again: the back-off has no reason any more.
  void skip_backoff();
  void report(Standing& to);

 private:
  using State = WatchState;
  static constexpr Millis kMinReopen = 1'000;

  void on_timer();
  void open();
  void become_stable();
  void on_head(const http::ResponseHead& head) override;
  void on_body(std::string_view bytes) override;
  void on_done() override;
  void on_error(const Error& error, std::string_view detail) override;
  void on_node(const Node& node, Event event) override;
  void on_message();
  void refused();
  /// So is the watch of a version that a store restored from a backup has yet to reach, and that of a cluster
  /// in which nothing changes.
  void note_silence();
  bool relist(bool list);
  void wait(Millis delay);
  void retry(const Status& status);
  void gap(const Status& status);
  void enter(State next) {
    past_.on_leave(state_.state(), core_.loop.now());
    state_.enter(next, core_.log);
  }
  bool connected() const { return state_.state() >= State::kOpening; }
  const io::Endpoint& server() const { return core_.access.servers()[server_]; }

  Core& core_;
  Roster& roster_;
  http::Client client_;
  io::Timer timer_;
  NodeDecoder decoder_;
  OnGap on_gap_;
  OnSilence on_silence_;
  OnReturn on_return_;
  Relisting relisting_;
  StateMachine<kWatchStates> state_;
  WatchPast past_;
  Backoff backoff_ = kRetry;
  Backoff gaps_ = kRetry;  // of its own: an outage must not make the list wait that follows it
  std::int64_t resource_version_ = 0;
  Millis opened_ = 0;  // when the last connection was begun
  Millis lives_ = 0;   // how long the server was asked to go on
  std::size_t server_ = 0;
  Millis heard_ = 0;   // when there was a line last, or the stream began
  Millis silent_ = 0;  // how long the streams that have ended said nothing
  int http_ = 0;
  Millis retry_after_ = 0;
  Millis listed_ = -1;    // when a gap last had all Nodes listed again; -1: never
  bool advanced_ = true;  // it was stable, or brought a newer version, since then
  bool refused_ = false;  // our credentials, since they were accepted last
  bool bad_ = false;      // what still comes is no JSON, or nothing that concerns us
};

}  // namespace flannelette::registry::kube
