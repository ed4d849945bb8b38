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
  requests_.abandon(*this);
  lease_ = lease;
  if (lease_) {
    want_next();
  } else {
    done();
  }
  requests_.schedule();
}

void Keeper::want_next() {
  want(core_.loop.now() + keepalive_delay(lease_.ttl, core_.settings.renew_margin_seconds));
}

void Keeper::check() {
  if (!lease_) return;
  want(core_.loop.now());
  requests_.schedule();
}

void Keeper::lose() {
  lease_ = {};
  done();
  core_.lease->on_lease_lost();
  if (!core_.stopped) on_lost_();
}

Operation::Call Keeper::compose(json::Writer& body) {
  write_lease(body, lease_.id);
  return {kKeepalivePath};
}

void Keeper::on_answer(const Message& message) {
  // A proxy's {} would be the loss of it.
  if (message.id != lease_.id) return requests_.retry_later(*this, describe(kOtherLease));
  if (message.ttl <= 0) return lose();
  lease_.ttl = message.ttl;
  want_next();
}

void Keeper::on_refusal(const Status& status) {
  if (status.code == grpc::kNotFound) return lose();
  requests_.retry_later(*this, status);
}

void Revoker::add(std::int64_t id) {
  if (id == 0 || count_ == ids_.size()) return;
  ids_[count_++] = id;
  want(core_.loop.now());
  requests_.schedule();
}

Operation::Call Revoker::compose(json::Writer& body) {
  write_lease(body, ids_[0]);
  return {kRevokePath};
}

void Revoker::next() {
  std::copy(ids_.begin() + 1, ids_.end(), ids_.begin());
  if (--count_ == 0) done();
}

}  // namespace flannelette::registry::etcd
