// SPDX-License-Identifier: Apache-2.0
// Our membership: a subnet is chosen, claimed, and held against all that happens to its record.
#pragma once

#include "flannelette/base/state_machine.hpp"
#include "registry/etcd/choice.hpp"
#include "registry/etcd/claim.hpp"

namespace flannelette::registry::etcd {

enum class MemberState : std::uint8_t {
  kNone,
  kChoosing,    ///< a subnet, at once or when the timer or a removal says so
  kClaiming,    ///< the one that was chosen
  kHeld,        ///< ours
  kReclaiming,  ///< our record is gone, or says what is no longer true
  kContested,   ///< somebody else's record is there: until it goes
  kWaiting,     ///< refused, or a foreign key is in the way: until the back-off ends
};
inline constexpr StateTable kMemberStates{
    "membership",
    {StateRow(MemberState::kNone, "none", MemberState::kChoosing),
     StateRow(MemberState::kChoosing, "choosing", MemberState::kClaiming),
     StateRow(MemberState::kClaiming, "claiming", MemberState::kHeld, MemberState::kChoosing),
     StateRow(MemberState::kHeld, "held", MemberState::kReclaiming, MemberState::kContested),
     StateRow(MemberState::kReclaiming, "reclaiming", MemberState::kHeld, MemberState::kContested,
              MemberState::kWaiting),
     StateRow(MemberState::kContested, "contested", MemberState::kReclaiming),
     StateRow(MemberState::kWaiting, "waiting", MemberState::kReclaiming, MemberState::kContested)}};

/// Decides what is claimed when; a Claimer does it. A rival is reported once and never fought.
class Member final : public LeaseListener {
 public:
  Member(Core& core, Claimer& claimer);

  void join(const Self& self, const Hints& hints);
  void update(const Self& self);
  void stop() { timer_.cancel(); }
  void report(Standing& to) const {
    to.lease = state_.name();
    to.held = state_ == State::kHeld;
    to.lost = state_ == State::kContested || state_ == State::kWaiting;
  }

 private:
  using State = MemberState;
  /// A lost race is run again at once, but not for ever.
  static constexpr int kMaxLostRaces = 20;

  void on_claim(const ClaimResult& result) override;
  void on_lease_lost() override;
  void on_leases_changed() override;
  void on_lease_removed() override;

  void on_timer();
  void choose();
  /// Asks for the subnet that we had.
  void reclaim();
  /// It is somebody else's.
  void contest();
  void claim(const overlay::LeaseKey& key, std::int64_t modified, bool always_write);
  overlay::LeaseValue value() const;  ///< of our record
  void held(const ClaimResult& result);
  void lost();
  /// Compares what is known of our subnet with what we wrote.
  void check();
  std::optional<overlay::Allocation::Holder> holder() const {
    return hints_.leases->find_holder(own_.key.subnet);
  }
  void enter(State next) { state_.enter(next, core_.log); }
  void report(Left::Why why) { core_.membership->on_left({.why = why, .subnet = own_.key.subnet}); }

  Core& core_;
  Claimer& claimer_;
  io::Timer timer_;
  Backoff backoff_{EtcdRegistry::kClaimFirst, EtcdRegistry::kClaimMax};
  StateMachine<kMemberStates> state_;
  Self self_{};
  Hints hints_{};
  std::optional<Mac> mac_;
  OwnRecord own_{};
  bool creating_ = false;  ///< the claim under way is of a subnet that nobody holds
  int lost_races_ = 0;     ///< since we last held a subnet
  std::optional<Net4> blocked_;
  std::int64_t rival_ = 0;  ///< age of the record that was reported last
};

}  // namespace flannelette::registry::etcd
