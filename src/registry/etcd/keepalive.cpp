// SPDX-License-Identifier: Apache-2.0
#include "registry/etcd/keepalive.hpp"

#include <algorithm>

namespace flannelette::registry::etcd {

Millis keepalive_delay(std::int64_t ttl_seconds, std::int64_t margin_seconds) {
  Millis delay = ttl_seconds * 1000 / 3;
  if (margin_seconds > 0 && margin_seconds < ttl_seconds) {
    delay = std::min(delay, (ttl_seconds - margin_seconds) * 1000);
  }
  return std::max<Millis>(delay, 1000);
}

void Keeper::hold(const Lease& lease) {
  // An answer for the one before would be taken for this one's.
  session().abandon(*this);
  lease_ = lease;
  if (lease_) {
    want_next();
  } else {
    done();
  }
  session().schedule();
}

void Keeper::want_next() {
  kept_ = core_.loop.now();
  want(kept_ + keepalive_delay(lease_.ttl, core_.settings.renew_margin_seconds));
}

void Keeper::check() {
  if (!lease_) return;
  want(core_.loop.now());
  session().schedule();
}

void Keeper::report(Standing& to) const {
  to.reservation = to.held && !lease_;
  if (lease_) to.remaining = std::max<Millis>(lease_.ttl * 1'000 - (core_.loop.now() - kept_), 0);
}

Outcome Keeper::lose() {
  lease_ = {};
  done();
  core_.lease->on_lease_lost();
  if (!core_.stopped) on_lost_();
  return Outcome::kDone;
}

Request::Call Keeper::write(json::Writer& body) {
  write_lease(body, lease_.id);
  return {post(kKeepalivePath)};
}

Outcome Keeper::on_message(const Message& message) {
  // A proxy's {} would be the loss of it.
  if (message.id != lease_.id) return kOtherLease;
  if (message.ttl <= 0) return lose();
  lease_.ttl = message.ttl;
  want_next();
  return Outcome::kDone;
}

Outcome Keeper::on_error(const Status& status) {
  return status.code == grpc::kNotFound ? lose() : Outcome::kRefused;
}

void Revoker::add(std::int64_t id) {
  if (id == 0 || count_ == ids_.size()) return;
  ids_[count_++] = id;
  want(core_.loop.now());
  session().schedule();
}

Request::Call Revoker::write(json::Writer& body) {
  write_lease(body, ids_[0]);
  return {post(kRevokePath)};
}

Outcome Revoker::next() {
  std::copy(ids_.begin() + 1, ids_.end(), ids_.begin());
  if (--count_ == 0) done();
  return Outcome::kDone;
}

}  // namespace flannelette::registry::etcd
