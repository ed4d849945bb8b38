// SPDX-License-Identifier: Apache-2.0
// Our membership: a subnet is chosen, claimed, and held against all that happens to its record.
#include "registry/etcd/membership.hpp"

#include "flannelette/overlay/backend.hpp"

namespace flannelette::registry::etcd {

using Why = Left::Why;

Member::Member(Core& core, Claimer& claimer)
    : core_(core), claimer_(claimer), timer_(core.loop, Delegate<void()>::to<&Member::on_timer>(this)) {}

void Member::join(const Self& self, const Hints& hints) {
  self_ = self;
  hints_ = hints;
  enter(State::kChoosing);
  timer_.arm_in(0);  // never at once: the caller may be in a listener's call
}

void Member::update(const Self& self) {
  self_ = self;
  switch (state_.state()) {
    case State::kNone:
    case State::kChoosing: return;
    case State::kClaiming:
    case State::kReclaiming: return;  // corrected when it is held
    case State::kHeld:
    case State::kContested:
    case State::kWaiting: return reclaim();
  }
}

void Member::on_timer() {
  switch (state_.state()) {
    case State::kChoosing: return choose();
    case State::kContested:
    case State::kWaiting: return reclaim();
    case State::kNone:
    case State::kClaiming:
    case State::kHeld:
    case State::kReclaiming: return;
  }
}

void Member::choose() {
  const Choice choice = etcd::choose(hints_, core_.network, self_.public_ip.v4(), blocked_, core_.random);
  if (choice.unfit) core_.membership->on_left({.why = Why::kUnfit, .subnet = *choice.unfit});
  if (core_.stopped) return;
  if (!choice.key) {
    timer_.arm_in(backoff_.next());
    return core_.membership->on_left({.why = Why::kNoneFree});
  }
  for (const auto& known : {choice.mac, mac_, hints_.device_mac, hints_.saved_mac}) {
    if (known) {
      mac_ = known;
      break;
    }
  }
  if (!mac_ || mac_->zero() || !mac_->unicast()) mac_ = core_.random.mac();
  if (backend_of(core_.network).device == nullptr) mac_ = Mac{};
  own_ = {};
  claim(*choice.key, choice.modified, choice.always_write);
}

void Member::reclaim() {
  const auto there = holder();
  if (there && !is_own(*there, own_)) {
    return contest();  // reported by check(); claimed again when it is gone
  }
  claim(own_.key, there ? there->modified : 0, false);
}

void Member::contest() {
  if (state_ != State::kContested) enter(State::kContested);
}

void Member::claim(const overlay::LeaseKey& key, std::int64_t modified, bool always_write) {
  own_.key = key;
  own_.public_ip = self_.public_ip.v4();
  own_.mac = *mac_;
  creating_ = modified == 0;
  enter(state_ == State::kChoosing ? State::kClaiming : State::kReclaiming);
  const overlay::LeaseValue published = value();
  const auto text =
      to_text<overlay::LeaseValue::kMaxText>([&](Writer& out) { overlay::write(out, published); });
  claimer_.begin({key, text.view(), modified, always_write});
}

overlay::LeaseValue Member::value() const { return own_value(core_.network, own_.public_ip, own_.mac); }

void Member::on_claim(const ClaimResult& result) {
  switch (result.outcome) {
    case ClaimOutcome::kHeld: return held(result);
    case ClaimOutcome::kTaken: return lost();
    case ClaimOutcome::kRefused:
      enter(state_ == State::kClaiming ? State::kChoosing : State::kWaiting);
      timer_.arm_in(backoff_.next());
      return core_.membership->on_left(
          {.why = Why::kRefused, .subnet = own_.key.subnet, .error = result.error, .detail = result.detail});
  }
}

/// What is there now is among the leases, unless it is no lease at all: then asking again at once would go
/// round in a circle.
void Member::lost() {
  if (state_ == State::kClaiming) {
    const bool visible = !creating_ || hints_.leases->taken(own_.key.subnet);
    if (!visible) blocked_ = own_.key.subnet;
    enter(State::kChoosing);
    timer_.arm_in(++lost_races_ > kMaxLostRaces ? backoff_.next() : 0);
    return report(visible ? Why::kTaken : Why::kBlocked);
  }
  if (creating_ && !holder()) {
    enter(State::kWaiting);
    timer_.arm_in(backoff_.next());
    return report(Why::kBlocked);
  }
  enter(State::kContested);
  check();
}

void Member::held(const ClaimResult& result) {
  enter(State::kHeld);
  own_.modified = result.mod_revision;
  if (own_.held_ips[0] != own_.public_ip) own_.held_ips = {own_.public_ip, own_.held_ips[0]};
  lost_races_ = 0;
  rival_ = 0;
  timer_.cancel();
  backoff_.reset();
  core_.membership->on_joined({.subnet = own_.key.subnet,
                               .public_ip = own_.public_ip,
                               .mac = own_.mac,
                               .ttl_seconds = result.ttl_seconds,
                               .reservation = result.reservation,
                               .written = result.written});
  if (core_.stopped) return;
  if (!result.reported) {  // known at once; the watch brings the same revision later
    overlay::LeaseRecord record;
    record.key = own_.key;
    record.value = value();
    record.created = record.modified = result.mod_revision;
    core_.members->on_record(record);
    if (core_.stopped) return;
  }
  if (state_ == State::kHeld && own_.public_ip != self_.public_ip) reclaim();
  check();  // if it was reported, so was maybe what came after
}

void Member::on_lease_lost() {
  switch (state_.state()) {
    case State::kNone:
    case State::kChoosing:
    case State::kClaiming: return;
    case State::kHeld:
    case State::kContested:
    case State::kWaiting: reclaim(); break;
    case State::kReclaiming: break;
  }
  report(Why::kExpired);
}

void Member::on_leases_changed() {
  switch (state_.state()) {
    case State::kNone:
    case State::kChoosing:
    case State::kClaiming:
    case State::kReclaiming: return;
    case State::kHeld:
    case State::kContested:
    case State::kWaiting: return check();
  }
}

void Member::on_lease_removed() {
  if (state_ == State::kChoosing) timer_.arm_in(0);  // a subnet may be free now
}

void Member::check() {
  if (state_ == State::kReclaiming) return;
  const auto there = holder();
  const Finding finding = compare(there, own_, state_ == State::kHeld);
  if (state_ == State::kContested && (finding == Finding::kOurs || finding == Finding::kTwin))
    return reclaim();  // nobody contests it any more
  if (finding == Finding::kOurs) return;
  if (finding == Finding::kDeleted) {
    const bool was_held = state_ == State::kHeld;
    if (!timer_.armed()) reclaim();
    if (was_held) report(Why::kDeleted);
    return;
  }
  if (there->modified == rival_) return;
  rival_ = there->modified;
  switch (finding) {
    case Finding::kOurs:
    case Finding::kDeleted: return;
    case Finding::kRestored: reclaim(); return report(Why::kRestored);
    case Finding::kTwin:
      own_.modified = there->modified;
      return core_.membership->on_left(
          {.why = Why::kTwin, .subnet = own_.key.subnet, .public_ip = own_.public_ip});
    case Finding::kRival:
      contest();
      return core_.membership->on_left(
          {.why = Why::kRival, .subnet = own_.key.subnet, .public_ip = there->public_ip, .mac = there->mac});
  }
}

}  // namespace flannelette::registry::etcd
