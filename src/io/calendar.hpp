// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "flannelette/base/text.hpp"

namespace flannelette::io {

/// Seconds since 1970 in the calendar of certificates (Gregorian, UTC), for any year: libc's time may end in
/// 2038.
std::int64_t unix_seconds(int year, int month, int day, int hour, int minute, int second);
/// "2027-01-31", UTC.
Text<10> date_of(std::int64_t unix_seconds);

/// When this program was built: a clock that says less is wrong.
extern const std::int64_t kBuilt;

}  // namespace flannelette::io
