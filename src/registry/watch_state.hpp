// SPDX-License-Identifier: Apache-2.0
// Where a registry's watch is, whatever it watches.
#pragma once

#include <cstdint>

#include "flannelette/base/state_machine.hpp"
#include "flannelette/registry/registry.hpp"

namespace flannelette::registry {

enum class WatchState : std::uint8_t {
  kOff,
  kWaiting,    ///< for the back-off, or for credentials
  kOpening,    ///< asked; an answer is due within the limits of a request
  kStreaming,  ///< it has begun, and has yet to prove itself by lasting
  kStable,     ///< until the end that was agreed on, or silence that is too long
};
inline constexpr StateTable kWatchStates{
    "watch",
    {StateRow(WatchState::kOff, "off", WatchState::kWaiting),
     StateRow(WatchState::kWaiting, "waiting", WatchState::kOpening, WatchState::kOff),
     StateRow(WatchState::kOpening, "opening", WatchState::kStreaming, WatchState::kWaiting,
              WatchState::kOff),
     StateRow(WatchState::kStreaming, "streaming", WatchState::kStable, WatchState::kWaiting,
              WatchState::kOff),
     StateRow(WatchState::kStable, "stable", WatchState::kWaiting, WatchState::kOff)}};

/// A stream that lived that long, or brought news, was a good one: the back-off begins anew. Any other is no
/// success, else a server that ends each stream at once would be asked ten times a second for ever.
inline constexpr Millis kWatchStable = 5'000;

constexpr bool stands(WatchState state) { return state >= WatchState::kStreaming; }

/// What was of a watch.
struct WatchPast {
  Millis stood = -1;  ///< when it stood last, where it does not now; -1: never
  Millis event = -1;  ///< when a message came last
  std::uint32_t messages = 0;

  /// It went from this state.
  void on_leave(WatchState state, Millis now) {
    if (stands(state)) stood = now;
  }
  /// It has just ended with this: a server that was found to be silent for long ended it before.
  void on_end(const Error& error, Millis now);
  void on_message(Millis now) {
    event = now;
    ++messages;
  }
  void report(Standing& to, WatchState state, const io::Endpoint& server, Millis now) const;
};

}  // namespace flannelette::registry
