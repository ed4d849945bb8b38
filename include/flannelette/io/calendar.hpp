// SPDX-License-Identifier: Apache-2.0
// The calendar of certificates and of Kubernetes.
#pragma once

#include <cstdint>

#include "flannelette/base/text.hpp"

namespace flannelette::io {

// Gregorian, UTC, years 0 to 9999, whatever libc's time can hold.

/// Seconds since 1970.
std::int64_t unix_seconds(int year, int month, int day, int hour, int minute, int second);
/// "2027-01-31", of seconds since 1970; none before 1970.
Text<10> date_of(std::int64_t unix_seconds);

/// As RFC 3339 has it, "2026-11-27T10:11:12Z".
Text<20> time_of(std::int64_t unix_seconds);

/// When this program was built: a clock that says less is wrong.
extern const std::int64_t kBuilt;

}  // namespace flannelette::io
