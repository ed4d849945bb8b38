// SPDX-License-Identifier: Apache-2.0
// What is repaired, how often, and when that is too often.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "flannelette/base/clock.hpp"

namespace flannelette::agent {

/// Counts repairs, and keeps two programs from fighting over one thing for ever: it is repaired kBurst times,
/// then once in kPause. Each kPause in which it is left alone gives one back.
class Repairs {
 public:
  static constexpr std::uint32_t kBurst = 10;
  static constexpr Millis kPause = 60'000;
  static constexpr std::size_t kMax = 44;          ///< things remembered: the one left alone for longest goes
  static constexpr std::ptrdiff_t kReserved = 14;  ///< the digests 1 to 14 are never forgotten

  enum class Kind : std::uint8_t { kRoute, kNexthop, kNeighbour, kFdb, kSender, kRules, kDevice };
  enum class Verdict : std::uint8_t {
    kRepair,
    kRepairAndName,  ///< the last one for a while: the other program is to be named
    kPause,          ///< not now, but kPause from now
  };

  /// The thing of this digest, not 0, is damaged.
  Verdict damaged(std::uint64_t thing, Millis now);
  /// The next repair of it would be too early.
  bool exhausted(std::uint64_t thing, Millis now) const;

  void count(Kind kind, std::uint32_t times = 1) { counts_[static_cast<std::size_t>(kind)] += times; }
  std::uint32_t counted(Kind kind) const { return counts_[static_cast<std::size_t>(kind)]; }

 private:
  struct Thing {
    std::uint64_t digest = 0;
    Millis refilled = INT64_MIN / 2;  ///< unused
    std::uint32_t left = 0;
    bool named = false;
  };
  std::array<Thing, kMax> things_{};
  std::array<std::uint32_t, 7> counts_{};
};

}  // namespace flannelette::agent
