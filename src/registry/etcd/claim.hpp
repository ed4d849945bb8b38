// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "registry/etcd/keepalive.hpp"
#include "registry/etcd/protocol.hpp"
#include "registry/etcd/records.hpp"

namespace flannelette::registry::etcd {

/// How a claim ended.
enum class ClaimOutcome : std::uint8_t {
  kHeld,     ///< the key is ours, with our value
  kTaken,    ///< somebody has it, or changed it first; what is there now was delivered by on_record (or
             ///< on_removed) before this, unless the watch has delivered something newer, or a foreign key is
             ///< in the way (on_skipped)
  kRefused,  ///< etcd does not let us write (permission, no such prefix...): `error` and `detail`; try again
             ///< later
};

struct ClaimResult {
  ClaimOutcome outcome = ClaimOutcome::kRefused;
  std::int64_t mod_revision = 0;  ///< kHeld: of the key as it is now
  bool reservation = false;       ///< kHeld: the key has no lease, and keeps none
  bool written = false;           ///< kHeld: something was put (else the key was right already)
  bool reported = false;          ///< kHeld: the members' listener has heard of that revision, or a later one
  std::int64_t ttl_seconds = 0;   ///< kHeld: as granted; 0 for a reservation
  Error error;
  Text<160> detail;  ///< etcd's own words, may be empty
};

struct Claim {
  overlay::LeaseKey key;
  std::string_view value;  ///< copied; at most overlay::LeaseValue::kMaxText
  /// 0: nobody may hold this subnet; else: the key must be at exactly this revision.
  std::int64_t mod_revision = 0;
  bool always_write = false;  ///< with mod_revision: put even if the value is the same
};

/// Carries out one claim after another. A claim of a free subnet:
///
///     grant -> put -> held | taken
///
/// of a key that is there already:
///
///     look -> held | taken | refresh -> held | put | grant -> put
///
/// and if the answer to a put is lost: look, then put again if it was not carried out. A granted lease that
/// no key came to use is kept for the next claim, and one that we keep alive serves a key that has gone.
/// Claims that come within kCalm after each other wait for a back-off, since what is asked for over and over
/// is a store that contradicts itself.
class Claimer final : public Operation {
 public:
  Claimer(Channel& channel, Keeper& keeper, Revoker& revoker)
      : Operation(channel, "claim"), keeper_(keeper), revoker_(revoker) {}

  void begin(const Claim& claim);
  /// The lease that lies ready for a next claim.
  const Lease& unused() const { return unused_; }

 private:
  enum class Step : std::uint8_t { kIdle, kGrant, kRefresh, kLookup, kPut };
  enum class How : std::uint8_t {
    kCreate,   ///< the subnet is free
    kUpdate,   ///< the key is there; nothing is put if it has our value already
    kRewrite,  ///< the key is there, and put in any case
  };
  /// Whether a put went out that may or may not have been carried out.
  enum class LostPut : std::uint8_t {
    kNone,
    kLost,
    kLookedUp,  ///< and one was looked up at once, unreported: once a claim
  };
  static constexpr Millis kCalm = 2 * EtcdRegistry::kBackoffMax;
  /// The longest such wait where it is we who ask for something else than before: our address has changed.
  static constexpr Millis kOwnChange = 500;

  bool ready() const override { return Operation::ready() && !core_.listing_open; }
  Call write(json::Writer& body) override;
  void on_value(std::string_view value) override;
  void on_pair(const Pair& pair) override;
  Outcome on_message(const Message& message) override;
  Outcome on_error(const Status& status) override;
  bool on_lost(const Status& status) override;

  bool creating() const { return how_ == How::kCreate; }
  bool uncertain() const { return lost_put_ != LostPut::kNone; }
  Outcome enter(Step step);
  Outcome put_with_new_lease();
  Outcome on_found(std::int64_t revision);
  Outcome adopt(const overlay::LeaseRecord& mine, bool same_value);
  Outcome on_refreshed(std::int64_t ttl);
  Outcome held(std::int64_t mod_revision, bool written);
  Outcome taken(std::int64_t revision);
  Outcome end(const ClaimResult& result);

  struct Found {
    overlay::LeaseRecord record;
    bool same_value = false;
  };

  Keeper& keeper_;
  Revoker& revoker_;
  RecordBuilder builder_{core_.keys};

  Step step_ = Step::kIdle;
  overlay::LeaseKey key_;
  Text<overlay::LeaseValue::kMaxText> value_;
  std::int64_t mod_revision_ = 0;
  How how_ = How::kCreate;

  Lease lease_;  // to put the key with; none for a reservation
  Lease unused_;
  std::int64_t old_lease_ = 0;  // of the key, to be revoked when the new one holds it
  bool same_value_ = false;     // adopting: the key has our value already
  LostPut lost_put_ = LostPut::kNone;
  Backoff lost_puts_ = kBackoff;
  Backoff claims_ = kBackoff;
  Millis ended_ = -kCalm;       // when the last claim did
  bool lease_lost_ = false;     // a put found no such lease
  bool value_matches_ = false;  // of the pair that is being read
  std::array<Found, kMaxRivals> found_;
  std::size_t found_count_ = 0;
};

}  // namespace flannelette::registry::etcd
