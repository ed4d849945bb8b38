// SPDX-License-Identifier: Apache-2.0
// Where a registry's watch is, whatever it watches.
#pragma once

#include <cstdint>

#include "flannelette/base/state_machine.hpp"

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

}  // namespace flannelette::registry
