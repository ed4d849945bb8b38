// SPDX-License-Identifier: Apache-2.0
// Whether a connection leads to the store that was listed, what it has still to tell, and where to go on.
#include "registry/etcd/history.hpp"

#include <algorithm>

namespace flannelette::registry::etcd {

void History::begin(const Change& newest, std::int64_t next) {
  next_ = next;
  floor_ = 1;
  newest_ = newest;
  known_ = Known::kListed;
  was_behind_ = false;
}

std::int64_t History::connect() {
  std::int64_t first = std::min(next_, std::max(newest_.revision, floor_));
  hearing_ = known_ == Known::kComplete ? Hearing::kChecking : Hearing::kLearning;
  if (known_ == Known::kListed && next_ - first > kMaxRetold) {
    hearing_ = Hearing::kSkipping;
    first = next_;
  }
  proof_ = newest_.revision == first ? Proof::kAwaited : Proof::kGiven;
  last_ = {};
  retold_at_ = -kQuiet;
  // One earlier than what is to be heard: etcd takes a watch from the very revision that it has compacted,
  // and keeps silent about what was removed in it (mvcc/key_index.go, compact).
  return from_ = std::max<std::int64_t>(first - 1, 1);
}

History::Verdict History::on_created(std::int64_t revision) {
  if (revision >= next_ - 1) return Verdict::kGoOn;
  // etcd would wait without a word until the store has come to that revision again.
  if (was_behind_) return Verdict::kGap;
  was_behind_ = true;
  return Verdict::kLater;
}

bool History::on_change(const Change& change, Millis now) {
  last_ = change;
  if (change.revision >= next_) return proven();  // the proof would have come before
  retold_at_ = now;
  if (change == newest_ && proof_ == Proof::kAwaited) {
    proof_ = Proof::kGiven;
  } else if (hearing_ == Hearing::kChecking && change.revision > newest_.revision) {
    proof_ = Proof::kRefuted;
  }
  return false;
}

/// Changes count for themselves and not for the header's revision: catching up, etcd sends at most 1000
/// revisions a message, and every one of these carries the store's newest revision (mvcc/watcher_group.go,
/// watchBatchMaxRevs). A message without changes is a progress notice, sent only to a watch that has
/// everything.
bool History::on_message(std::int64_t revision) {
  const bool news = last_.revision >= next_;
  if (news) known_ = Known::kComplete;
  if (last_.revision != 0) {
    if (last_.revision >= newest_.revision) newest_ = last_;
    revision = last_.revision;
    last_ = {};
  }
  next_ = std::max(next_, revision + 1);
  return news;
}

bool History::on_compacted(std::int64_t revision) {
  if (revision <= from_ || revision >= next_) return false;
  floor_ = revision + 1;
  return true;
}

History::Verdict History::settle(Millis now) {
  if (!proven()) return Verdict::kGap;
  if (now - retold_at_ < kQuiet) return Verdict::kLater;
  if (hearing_ != Hearing::kSkipping) {
    known_ = Known::kComplete;
  } else if (known_ == Known::kListed) {
    known_ = Known::kSkipped;
  }
  was_behind_ = false;
  return Verdict::kGoOn;
}

}  // namespace flannelette::registry::etcd
