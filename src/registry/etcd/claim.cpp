// SPDX-License-Identifier: Apache-2.0
#include "registry/etcd/claim.hpp"

#include <algorithm>
#include <utility>

namespace flannelette::registry::etcd {

void Claimer::begin(const Claim& claim) {
  const bool was_putting = session().abandon(*this) && step_ == Step::kPut;
  if ((was_putting || uncertain()) && lease_ && lease_.id == unused_.id) {
    // A key that nobody will look after may have come to hang on it.
    revoker_.add(std::exchange(unused_, {}).id);
  }
  const bool changed = value_.view() != claim.value;
  key_ = claim.key;
  value_ = claim.value;
  mod_revision_ = claim.mod_revision;
  how_ = claim.mod_revision == 0 ? How::kCreate : claim.always_write ? How::kRewrite : How::kUpdate;
  lease_ = {};
  old_lease_ = 0;
  same_value_ = false;
  lost_put_ = LostPut::kNone;
  lost_puts_.reset();
  lease_lost_ = false;
  if (creating()) {
    (void)put_with_new_lease();
  } else {
    (void)enter(Step::kLookup);
  }
  const Millis now = core_.loop.now();
  if (now - ended_ >= kCalm) {
    claims_.reset();
  } else {
    const Millis wait = claims_.next(core_.random);
    want(now + (changed ? std::min(wait, kOwnChange) : wait));
  }
  session().schedule();
}

Outcome Claimer::enter(Step step) {
  step_ = step;
  want(core_.loop.now());
  return Outcome::kAgain;
}

/// With one that is there already, if there is one.
Outcome Claimer::put_with_new_lease() {
  lease_ = unused_;
  if (!lease_ && creating()) lease_ = keeper_.lease();
  return enter(lease_ ? Step::kPut : Step::kGrant);
}

Request::Call Claimer::write(json::Writer& body) {
  found_count_ = 0;
  value_matches_ = false;
  builder_.reset();
  const Keys& keys = core_.keys;
  const Keys::Key key = keys.lease(key_);
  switch (step_) {
    case Step::kIdle: break;
    case Step::kGrant: write_grant(body, core_.settings.lease_ttl_seconds); return {post(kGrantPath)};
    case Step::kRefresh: write_lease(body, lease_.id); return {post(kKeepalivePath)};
    case Step::kLookup:
      if (creating()) {
        write_range(body, keys.subnet_first(key_.subnet.base), keys.subnet_end(key_.subnet.base), kMaxRivals,
                    0);
      } else {
        write_range(body, key, {}, 0, 0);
      }
      return {post(kRangePath)};
    case Step::kPut: {
      const Put put{key, value_, lease_.id};
      if (creating()) {
        write_create(body, keys.subnet_first(key_.subnet.base), keys.subnet_end(key_.subnet.base), put);
      } else {
        write_update(body, mod_revision_, put);
      }
      return {post(kTxnPath, false)};
    }
  }
  return {post(kRangePath)};
}

void Claimer::on_value(std::string_view value) {
  value_matches_ = value == value_.view();
  builder_.on_value(value);
}

void Claimer::on_pair(const Pair& pair) {
  if (core_.stopped) return;
  const bool matches = std::exchange(value_matches_, false);
  const auto record = builder_.finish(pair, *core_.members);
  if (record && found_count_ < found_.size()) found_[found_count_++] = {*record, matches};
}

Outcome Claimer::on_message(const Message& message) {
  const bool of_store = step_ == Step::kPut || step_ == Step::kLookup;
  if (of_store && message.revision == 0) {
    if (step_ == Step::kPut && !uncertain()) lost_put_ = LostPut::kLost;
    step_ = Step::kLookup;
    return kNotOfEtcd;
  }
  switch (step_) {
    case Step::kIdle: break;
    case Step::kGrant:
      if (message.id == 0 || message.ttl <= 0)
        return Error{Code::kInvalid, 0, "etcd: a grant without a lease"};
      unused_ = {message.id, message.ttl};
      return put_with_new_lease();
    case Step::kRefresh:
      if (message.id != lease_.id) return kOtherLease;
      return on_refreshed(message.ttl);
    case Step::kPut:
      if (message.succeeded) return held(message.revision, true);
      return on_found(message.revision);
    case Step::kLookup: return on_found(message.revision);
  }
  done();
  return Outcome::kDone;
}

/// found_ is what etcd has at `revision`, after a look or a put whose condition failed.
Outcome Claimer::on_found(std::int64_t revision) {
  const Found* mine = nullptr;
  for (std::size_t i = 0; i < found_count_; ++i) {
    if (found_[i].record.key == key_) mine = &found_[i];
  }
  // A put whose answer we never saw. A lease that was granted to us is proof enough; one that the key had
  // before is not.
  const bool was_put = uncertain() && mine != nullptr && mine->same_value &&
                       mine->record.lease == lease_.id &&
                       (creating() || mine->record.modified > mod_revision_);
  if (was_put) return held(mine->record.modified, true);

  if (step_ == Step::kPut) return taken(revision);
  if (creating()) return found_count_ == 0 ? enter(Step::kPut) : taken(revision);
  if (mine == nullptr || mine->record.modified != mod_revision_) return taken(revision);
  if (uncertain()) return enter(Step::kPut);
  return adopt(mine->record, mine->same_value);
}

Outcome Claimer::adopt(const overlay::LeaseRecord& mine, bool same_value) {
  same_value_ = same_value && how_ != How::kRewrite;
  lease_ = {mine.lease, 0};
  if (lease_) return enter(Step::kRefresh);
  // A reservation stays one.
  if (same_value_) return held(mod_revision_, false);
  return enter(Step::kPut);
}

Outcome Claimer::on_refreshed(std::int64_t ttl) {
  // etcd may grant a longer one than it was asked for.
  const Lease& kept = keeper_.lease();
  if (ttl == core_.settings.lease_ttl_seconds || (lease_.id == kept.id && ttl == kept.ttl)) {
    lease_.ttl = ttl;
    if (same_value_) return held(mod_revision_, false);
    return enter(Step::kPut);
  }
  if (ttl > 0) old_lease_ = lease_.id;
  return put_with_new_lease();
}

Outcome Claimer::on_error(const Status& status) {
  if (status.code == grpc::kNotFound && step_ == Step::kRefresh) return on_refreshed(0);
  if (status.code == grpc::kNotFound && step_ == Step::kPut) {
    // The lease is gone: the spare one has grown old, or the key's own has just expired.
    unused_ = {};
    lease_ = {};
    const Outcome granted = enter(Step::kGrant);
    return std::exchange(lease_lost_, true) ? Outcome::kRefused : granted;
  }
  ClaimResult result;
  result.outcome = ClaimOutcome::kRefused;
  result.error = status.error;
  result.detail = status.detail;
  return end(result);
}

bool Claimer::on_lost(const Status& status) {
  if (step_ != Step::kPut) return false;
  (void)enter(Step::kLookup);
  // Most often a kept-alive connection that the server closed while it was idle: no failure yet, the look
  // will tell.
  const bool closed = status.error.code == Code::kClosed || status.error.code == Code::kSystem;
  if (closed && lost_put_ != LostPut::kLookedUp) {
    lost_put_ = LostPut::kLookedUp;
    return true;
  }
  if (!uncertain()) lost_put_ = LostPut::kLost;
  // A back-off of its own, since a look that succeeds resets the connection's.
  want(core_.loop.now() + lost_puts_.next(core_.random));
  return false;
}

Outcome Claimer::held(std::int64_t mod_revision, bool written) {
  if (lease_.id == unused_.id) unused_ = {};
  revoker_.add(std::exchange(unused_, {}).id);
  // Leases that this one replaces: the key's former one, and what we kept alive until now.
  const std::int64_t kept = keeper_.lease().id;
  if (old_lease_ != lease_.id) revoker_.add(old_lease_);
  if (kept != lease_.id && kept != old_lease_) revoker_.add(kept);
  keeper_.hold(lease_);

  ClaimResult result;
  result.outcome = ClaimOutcome::kHeld;
  result.mod_revision = mod_revision;
  result.reservation = !lease_;
  result.written = written;
  result.reported = core_.delivered >= mod_revision;
  result.ttl_seconds = lease_.ttl;
  return end(result);
}

Outcome Claimer::taken(std::int64_t revision) {
  // If the watch is ahead of this answer, the listener knows better already, and would not be told again.
  MemberListener& members = *core_.members;
  if (revision >= core_.delivered) {
    for (std::size_t i = 0; i < found_count_ && !core_.stopped; ++i) members.on_record(found_[i].record);
    if (found_count_ == 0 && !creating() && !core_.stopped) members.on_removed(key_, revision);
    if (!core_.stopped) members.on_events_end();
  }
  ClaimResult result;
  result.outcome = ClaimOutcome::kTaken;
  return core_.stopped ? Outcome::kDone : end(result);
}

Outcome Claimer::end(const ClaimResult& result) {
  if (result.outcome != ClaimOutcome::kHeld && uncertain() && lease_ && lease_.id == unused_.id) {
    revoker_.add(std::exchange(unused_, {}).id);  // see begin()
  }
  step_ = Step::kIdle;
  lost_put_ = LostPut::kNone;
  ended_ = core_.loop.now();
  done();
  core_.lease->on_claim(result);
  return Outcome::kDone;
}

}  // namespace flannelette::registry::etcd
