// SPDX-License-Identifier: Apache-2.0
// Whether a connection leads to the store that was listed, what it has still to tell, and where to go on.
// Pure.
#pragma once

#include <cstdint>

#include "flannelette/base/clock.hpp"
#include "registry/etcd/decode.hpp"

namespace flannelette::registry::etcd {

/// What is known of the store's changes since the list, over all connections of a watch.
///
/// An etcd that was restored from a snapshot, or made anew under its name, has the same cluster ID, often the
/// same term, and after a while our revision too. So each connection begins with the newest change that is
/// known: the store must tell the same one again, and nothing between it and where to go on. A list does not
/// show what was removed after its newest record; the first connection behind it hears that, unless that is a
/// long history, for which events would have to wait. Of what was compacted nothing can be asked.
class History {
 public:
  /// Revisions that the first connection behind a list hears again. etcd 3.4 tells about 3,000 events a
  /// second.
  static constexpr std::int64_t kMaxRetold = 1'000;
  /// What is old is told completely when no more of it came for this long.
  static constexpr Millis kQuiet = 2'500;

  enum class Verdict : std::uint8_t {
    kGoOn,
    kLater,  ///< nothing is wrong so far
    kGap,    ///< it cannot go on without a list
  };

  /// A list is complete: everything before `next` is known, but for what was removed after `newest`, its
  /// newest record.
  void begin(const Change& newest, std::int64_t next);
  /// For a new connection: the first revision that it is to tell.
  std::int64_t connect();
  /// The store has come to `revision`. kLater: a member that is behind, another one may be asked; kGap: it is
  /// not the first one since a connection settled, so the store went back.
  Verdict on_created(std::int64_t revision);
  /// One change of a message. True: it is news. False: it is old, or tells of another store.
  bool on_change(const Change& change, Millis now);
  /// Whether the connection leads to the store that was listed, as far as can be asked. The changes of a
  /// message come before: if it is not proven by its end, this is another store.
  bool proven() const { return proof_ == Proof::kGiven; }
  /// The message is complete, its fragments included. True: it brought news.
  bool on_message(std::int64_t revision);
  /// Nothing is told, since everything up to `revision` was compacted. True: that is no more than what is
  /// known, a new connection can do without. False: what is to come is compacted too.
  bool on_compacted(std::int64_t revision);
  /// The connection has had its time. kGoOn: it was heard as far as it was to be; kLater: something old came
  /// until now, ask again after kQuiet; kGap: another store.
  Verdict settle(Millis now);

  /// Everything before it was delivered.
  std::int64_t next() const { return next_; }

 private:
  /// What is known of the time between newest_ and next_.
  enum class Known : std::uint8_t {
    kListed,    ///< what the list shows
    kSkipped,   ///< no more than that, though a connection behind it has settled
    kComplete,  ///< there was no other change
  };
  /// Of a connection.
  enum class Proof : std::uint8_t {
    kAwaited,  ///< newest_ is still to be told
    kGiven,    ///< it was, or nothing can be asked
    kRefuted,  ///< the store has a change after it that we do not know
  };
  /// Of a connection: what it is to tell from before next_.
  enum class Hearing : std::uint8_t {
    kChecking,  ///< newest_ and nothing after it
    kLearning,  ///< newest_ and what the list did not show
    kSkipping,  ///< nothing: it would be too much
  };

  std::int64_t next_ = 0;
  std::int64_t floor_ = 1;  ///< what was before it is compacted, as far as the store said
  std::int64_t from_ = 0;   ///< what the connection asked for
  Change newest_;           ///< the newest change before next_ that is known
  Change last_;             ///< of the message that is being read; no revision: it has no change so far
  Millis retold_at_ = 0;    ///< when the connection told the last change from before next_
  Known known_{};
  Proof proof_{};
  Hearing hearing_{};
  bool was_behind_ = false;  ///< a member was, since a connection settled
};

}  // namespace flannelette::registry::etcd
