// SPDX-License-Identifier: Apache-2.0
#include "io/calendar.hpp"

#include <ctime>

// SOURCE_DATE_EPOCH if the build says so. Else this, which is a little older than the source, so that
// everybody builds the same program from it.
#ifndef FLANNELETTE_BUILT
#define FLANNELETTE_BUILT 1793491200  // 2026-11-01
#endif

namespace flannelette::io {

const std::int64_t kBuilt = FLANNELETTE_BUILT;

std::int64_t unix_seconds(int year, int month, int day, int hour, int minute, int second) {
  // Years begin in March here, so that the leap day is the last.
  const std::int64_t y = month > 2 ? year : year - 1;
  const int days = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  constexpr int kDaysTo1970 = 719'468;  // from 0000-03-01
  const std::int64_t all = y * 365 + y / 4 - y / 100 + y / 400 + days - kDaysTo1970;
  return ((all * 24 + hour) * 60 + minute) * 60 + second;
}

Text<10> date_of(std::int64_t unix_seconds) {
  const auto time = static_cast<std::time_t>(unix_seconds);
  std::tm tm{};
  ::gmtime_r(&time, &tm);
  return to_text<10>([&](Writer& out) {
    const auto put = [&](char before, int number) {
      out.put(before).put(static_cast<char>('0' + number / 10)).put(static_cast<char>('0' + number % 10));
    };
    out.put_signed(tm.tm_year + 1900);
    put('-', tm.tm_mon + 1);
    put('-', tm.tm_mday);
  });
}

}  // namespace flannelette::io
