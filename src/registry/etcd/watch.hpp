// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "flannelette/base/delegate.hpp"
#include "flannelette/http/client.hpp"
#include "registry/etcd/records.hpp"
#include "registry/etcd/requests.hpp"

namespace flannelette::registry::etcd {

/// Follows `<prefix>/subnets/` from a revision on, for ever. After a cut it goes on where it stood; where
/// that cannot be without a gap (compaction, a store that went back or is another one) it stops and asks for
/// a listing.
///
/// An etcd that was restored from a snapshot, or made anew under its name, has the same cluster ID, often the
/// same term, and after a while our revision too. So each connection begins with the newest change that is
/// known: the store must tell the same one again, and nothing between it and where the watch stood. A list
/// does not show what was removed after its newest record; the first connection behind it hears that, unless
/// that is a long history, for which events would have to wait. Of what was compacted nothing can be asked.
class Watch final : private http::Client::Handler, private Decoder::Sink {
 public:
  using OnGap = Delegate<void(Millis delay)>;  ///< list again, but not before `delay`
  using OnReturn = Delegate<void()>;           ///< the stream is there again after a failure
  using Probe = Delegate<void()>;  ///< make any request: core.answered shows whether it is answered
  Watch(Core& core, Requests& requests, io::Stream& stream, std::span<char, Decoder::kScratch> scratch,
        OnGap on_gap, OnReturn on_return, Probe probe);

  void begin(std::int64_t from);  ///< the first revision that is wanted
  void stop();
  bool running() const { return state_ != State::kOff; }
  /// Goes on over a new connection, at once.
  void reconnect();
  /// The registry can be reached again: the back-off has no reason any more.
  void skip_backoff();
  /// There is a token (again).
  void on_token();

 private:
  /// kOff -> kOpening -> kStreaming -> kWaiting -> kOpening ..., from each to kOff.
  enum class State : std::uint8_t {
    kOff,
    kWaiting,    ///< for the back-off, or for a token
    kOpening,    ///< asked; a byte is due within kRequestTimeout, the first line within kAnswerLimit
    kStreaming,  ///< until kStable has passed, longer while what is old is being told; then the next message
                 ///< is due within kWatchSilence
  };
  /// A stream that lived that long, or brought news, was a good one: the back-off begins anew. Any other is
  /// no success, else a server that ends each stream at once would be asked ten times a second for ever.
  static constexpr Millis kStable = 5'000;
  /// A hurried connection comes at least that long after the one before.
  static constexpr Millis kMinReopen = 1'000;
  /// Where requests are answered and no watch can be had (a proxy that buffers answers, or blocks what it
  /// does not know), what there is is listed again after the first time, then at growing intervals.
  static constexpr Millis kRelistFirst = 30'000;
  static constexpr Millis kRelistMax = 5 * 60'000;
  /// Revisions that the first connection behind a list hears again. etcd 3.4 tells about 3,000 events a
  /// second.
  static constexpr std::int64_t kMaxHistory = 1'000;

  void on_timer();
  void on_relist_timer();
  Millis relist_interval() const { return std::min(kRelistFirst << std::min(relists_, 4), kRelistMax); }
  void arm_relist();
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
  void retry(const Status& status);
  void gap(const Error& error, const Message& message);
  void close(State next);
  const io::Endpoint& endpoint() const { return core_.settings.endpoints[endpoint_]; }

  Core& core_;
  Requests& requests_;
  http::Client client_;
  io::Timer timer_;
  Decoder decoder_;
  RecordBuilder builder_{core_.keys};
  OnGap on_gap_;
  OnReturn on_return_;
  Probe probe_;
  io::Timer relist_timer_;  // armed as long as there is no watch
  Millis probed_ = 0;       // when it was asked whether requests are answered; 0: not yet
  int relists_ = 0;         // since there was a watch
  Backoff backoff_ = kBackoff;
  Backoff gaps_ = kBackoff;  // of its own: an outage must not make the listing wait that follows it
  State state_ = State::kOff;
  std::int64_t next_ = 0;    // where to go on: everything before was delivered
  std::int64_t floor_ = 1;   // what was before it is compacted, as far as etcd told
  std::int64_t from_ = 0;    // what was asked for: before next_, for the proof and for what is compacted
  std::int64_t last_ = 0;    // mod_revision of the last event of the message being read
  Change newest_;            // its last change
  bool proven_ = true;       // this is the store that was listed, as far as can be asked and was heard
  bool learning_ = true;     // this connection may still tell what the list did not show, however slowly
  bool behind_list_ = true;  // no connection behind the list has settled yet
  bool skipped_ = false;     // this connection does not hear what was before, since it is too much
  Millis retold_at_ = 0;     // when the last event from before next_ came on this connection; 0: none did
  bool backward_ = false;    // a member was behind next_: the second one makes it a store that went back
  bool compacted_ = false;   // a connection since it last settled was told that its proof is compacted
  Millis opened_ = 0;        // when the last connection was begun
  bool complete_ = false;    // core_.newest is the newest change before next_, removals included
  std::size_t endpoint_ = 0;
  int status_ = 0;
  bool stable_ = false;
  bool token_renewed_ = false;  // since it last settled: a second refusal is not for the token
  bool malformed_ = false;
  PlainBody plain_;
};

}  // namespace flannelette::registry::etcd
