// SPDX-License-Identifier: Apache-2.0
// Which subnet is ours, and whether it still is.
#include "agent/agent_impl.hpp"

namespace flannelette::agent {

using overlay::LeaseKey;

namespace {

/// A lost race is run again at once, but not for ever.
constexpr int kMaxLostRaces = 20;
constexpr const char* kTakeAnother = "taking another";

LeaseKey key_of(Net4 subnet) {
  LeaseKey key;
  key.subnet = subnet;
  return key;
}

}  // namespace

bool Agent::Impl::in_range(Net4 subnet) const {
  return subnet.length == config_.subnet_len && subnet.aligned() && subnet.base >= config_.subnet_min &&
         subnet.base <= config_.subnet_max;
}

std::optional<Net4> Agent::Impl::previous_subnet() {
  const auto subnet = memory_.previous_subnet();
  return subnet && in_range(*subnet) ? subnet : std::nullopt;
}

/// Our record of an earlier life says which of our addresses was in use, if the MAC in it proves that it is
/// ours: another node's may well stand under a virtual address that has come to us since.
void Agent::Impl::recall_address() {
  if (memory_.node()) return;
  const auto previous = previous_subnet();
  const auto device = kernel_.device.find_device(overlay::device_name(config_.vni));
  const auto own = previous ? peers_.find_holder(*previous) : std::nullopt;
  if (!own || !device || !*device || own->mac != (*device)->mac) return;
  if (underlay_watch_.prefer(own->public_ip)) judge_peers();
}

/// Our own record first, then the subnet of the subnet file, then any that is free; `key` stays empty if
/// there is none.
void Agent::Impl::adopt_or_choose(std::optional<LeaseKey>& key, std::int64_t& mod_revision,
                                  bool& always_write) {
  const auto before = previous_subnet();
  const auto previous = before && refuses_own(*before, kTakeAnother) ? std::nullopt : before;
  auto device = kernel_.device.find_device(overlay::device_name(config_.vni));
  const std::optional<Mac> device_mac = device && *device ? std::optional<Mac>((*device)->mac) : std::nullopt;

  if (const auto own = peers_.find_own(underlay().public_ip.v4())) {
    if (own->usable) {
      key = own->key;
      mod_revision = own->modified;
      const bool mac_known = own->mac.unicast() && !own->mac.zero();
      if (mac_known) mac_ = own->mac;
      // Nothing on this machine says that this record is ours but the address in it: it may be another node's
      // that has the same one. Writing it again, even unchanged, lets that node notice.
      always_write = !(mac_known && device_mac == own->mac) && previous != own->key.subnet;
      return;
    }
    if (protected_addresses().in_own(own->key.subnet) == nullptr) {
      log_.info("our earlier subnet does not fit the network config any more; taking another",
                {{"subnet", own->key.subnet}, {"network", config_.network}});
    } else if (before != own->key.subnet) {
      refuses_own(own->key.subnet, kTakeAnother);
    }
  }
  if (!mac_ && device_mac) mac_ = device_mac;
  if (!mac_ && memory_.node()) mac_ = memory_.node()->mac;
  if (previous && previous != blocked_) {
    if (!peers_.taken(*previous)) {
      key = key_of(*previous);
      return;
    }
    const auto holder = peers_.find_holder(*previous);
    if (holder && device_mac && holder->mac == *device_mac && !holder->key.subnet6) {
      // Ours under an earlier address: the MAC is the proof. Kept, and corrected in place.
      key = holder->key;
      mod_revision = holder->modified;
      return;
    }
  }
  if (const auto free = peers_.choose_free(config_, random_)) key = key_of(*free);
}

void Agent::Impl::claim_subnet() {
  if (claiming_) return;
  std::optional<LeaseKey> key;
  std::int64_t mod_revision = 0;
  bool always_write = false;
  adopt_or_choose(key, mod_revision, always_write);
  if (!key) {
    log_.error("no subnet is free; waiting for one",
               {{"network", config_.network}, {"subnet_len", unsigned{config_.subnet_len}}});
    return claim_later();
  }
  if (!mac_ || mac_->zero() || !mac_->unicast()) mac_ = random_.mac();
  own_.emplace(Own{});
  send_claim(*key, mod_revision, always_write);
}

void Agent::Impl::reclaim() {
  if (claiming_) return;  // on_claim looks again
  const auto holder = peers_.find_holder(own_->key.subnet);
  if (holder && (holder->key != own_->key || holder->mac != *mac_)) {
    own_->held = false;  // reported by check_lease; claimed again when it is gone
    return;
  }
  send_claim(own_->key, holder ? holder->modified : 0, false);
}

void Agent::Impl::send_claim(const LeaseKey& key, std::int64_t mod_revision, bool always_write) {
  own_->key = key;
  own_->creating = mod_revision == 0;
  own_->value = {};
  own_->value.public_ip = underlay().public_ip.v4();
  own_->value.backend = overlay::BackendType::kVxlan;
  own_->value.has_vxlan = true;
  own_->value.vni = config_.vni;
  own_->value.mac = *mac_;
  const auto value =
      to_text<overlay::LeaseValue::kMaxText>([&](Writer& out) { overlay::write(out, own_->value); });
  claiming_ = true;
  registry_.claim({key, value.view(), mod_revision, always_write});
}

void Agent::Impl::on_claim(const registry::ClaimResult& result) {
  claiming_ = false;
  switch (result.outcome) {
    case registry::ClaimOutcome::kHeld: return lease_held(result);
    case registry::ClaimOutcome::kTaken: return lost_claim();
    case registry::ClaimOutcome::kRefused:
      log_.error("the registry refuses our lease",
                 {{"subnet", own_->key.subnet}, Field(result.error), {"detail", result.detail.view()}});
      own_->held = false;
      return claim_later();
  }
}

/// What is there now is in the table, unless it is no lease at all: then asking again at once would go round
/// in a circle.
void Agent::Impl::lost_claim() {
  const bool visible = !own_->creating || peers_.taken(own_->key.subnet);
  if (state_ == State::kClaiming) {
    log_.info(visible ? "the subnet was taken meanwhile; choosing another"
                      : "a key that is no lease stands in the way of the subnet; choosing another",
              {{"subnet", own_->key.subnet}});
    if (!visible) blocked_ = own_->key.subnet;
    if (++lost_races_ > kMaxLostRaces) return claim_later();
    return claim_retry_.arm_in(0);
  }
  own_->held = false;
  if (own_->creating && !peers_.find_holder(own_->key.subnet)) {
    log_.error("another key of the registry stands in the way of our subnet", {{"subnet", own_->key.subnet}});
    return claim_later();
  }
  check_lease();
}

void Agent::Impl::on_claim_retry() {
  if (state_ == State::kClaiming) return claim_subnet();
  if (state_ == State::kRunning && !own_->held) reclaim();
}

void Agent::Impl::lease_held(const registry::ClaimResult& result) {
  own_->held = true;
  own_->mod_revision = result.mod_revision;
  lost_races_ = 0;
  claim_retry_.cancel();
  claim_backoff_.reset();
  log_.info("lease held", {{"subnet", own_->key.subnet},
                           {"public_ip", own_->value.public_ip},
                           {"mac", own_->value.mac},
                           {"ttl_s", result.ttl_seconds},
                           {"kind", result.reservation ? "reservation"
                                    : result.written   ? "written"
                                                       : "kept"}});
  set_target(config_, own_->key.subnet, *mac_);
  if (!result.told) {  // the table learns it at once; the watch brings the same revision later
    overlay::LeaseRecord record;
    record.key = own_->key;
    record.value = own_->value;
    record.created = record.modified = result.mod_revision;
    peers_.upsert(record);
  }
  enter(State::kRunning);
  if (memory_.degraded()) log_.info("the registry is back; this node is no longer degraded");
  memory_.join();
  memory_.save_node({config_, own_->key.subnet, *mac_, underlay().public_ip.v4()});
  memory_.save_peers_later();
  if (own_->value.public_ip != underlay().public_ip) reclaim();  // it changed while the claim was under way
  check_lease();  // if it was told, so was maybe what came after
  dataplane_.schedule_converge();
}

void Agent::Impl::on_lease_lost() {
  if (state_ != State::kRunning) return;
  log_.warning("our lease expired or was revoked; claiming the subnet again", {{"subnet", own_->key.subnet}});
  own_->held = false;
  reclaim();
}

void Agent::Impl::check_lease() {
  if (claiming_) return;
  const auto holder = peers_.find_holder(own_->key.subnet);
  if (!holder) {
    if (own_->held)
      log_.warning("our lease was deleted; claiming the subnet again", {{"subnet", own_->key.subnet}});
    own_->held = false;
    if (!claim_retry_.armed()) reclaim();
    return;
  }
  const bool ours = holder->key == own_->key && holder->readable && holder->mac == own_->value.mac &&
                    holder->public_ip == own_->value.public_ip;
  // At the revision that we wrote it is ours, also when we have asked for another value since and were
  // refused.
  if (holder->modified == own_->mod_revision && (ours || !own_->held)) return;
  if (holder->modified == rival_revision_) return;
  rival_revision_ = holder->modified;
  if (ours && holder->modified < own_->mod_revision) {
    // Our own hand, earlier: a snapshot was restored, in which the record may hang on another lease.
    log_.warning("the registry went back to an earlier record of ours; claiming the subnet again",
                 {{"subnet", own_->key.subnet}});
    return reclaim();
  }
  if (ours) {
    // Our own words, but not our hand: a node with our address (and, having found our record, our MAC).
    own_->mod_revision = holder->modified;
    log_.error("another node wrote our lease; two nodes have one public address",
               {{"subnet", own_->key.subnet}, {"public_ip", own_->value.public_ip}});
    return;
  }
  own_->held = false;
  log_.error(
      "another node holds our subnet; not fighting over it, give one of the two another subnet",
      {{"subnet", own_->key.subnet}, {"rival_public_ip", holder->public_ip}, {"rival_mac", holder->mac}});
}

}  // namespace flannelette::agent
