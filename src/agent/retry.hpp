// SPDX-License-Identifier: Apache-2.0
// How often the agent tries again what failed.
#pragma once

#include "flannelette/base/backoff.hpp"

namespace flannelette::agent {

inline constexpr Millis kRetryFirst = 1'000;
inline constexpr Millis kRetryMax = 60'000;

}  // namespace flannelette::agent
