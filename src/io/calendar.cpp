// SPDX-License-Identifier: Apache-2.0
// The calendar of certificates and of Kubernetes.
#include "flannelette/io/calendar.hpp"

// SOURCE_DATE_EPOCH if the build says so. Else this, which is a little older than the source, so that
// everybody builds the same program from it.
#ifndef FLANNELETTE_BUILT
#define FLANNELETTE_BUILT 1793491200  // 2026-11-01
#endif

namespace flannelette::io {

const std::int64_t kBuilt = FLANNELETTE_BUILT;

namespace {

// Years begin in March here, so that the leap day is the last.
constexpr std::int64_t kDaysTo1970 = 719'468;  // from 0000-03-01
constexpr std::int64_t kDaysOf400Years = 146'097;

/// From the first of March to that of month m, where 0 is March.
constexpr int days_before(int m) { return (153 * m + 2) / 5; }
/// Two digits.
void put(Writer& out, char before, int number) {
  out.put(before).put(static_cast<char>('0' + number / 10)).put(static_cast<char>('0' + number % 10));
}

constexpr std::int64_t days_before_year(std::int64_t y) { return y * 365 + y / 4 - y / 100 + y / 400; }

}  // namespace

std::int64_t unix_seconds(int year, int month, int day, int hour, int minute, int second) {
  // 400 years later, where January of the year 0 has no negative year, whose quotients round the other way.
  const std::int64_t y = (month > 2 ? year : year - 1) + 400;
  const std::int64_t days = days_before_year(y) + days_before(month > 2 ? month - 3 : month + 9) + day - 1 -
                            kDaysTo1970 - kDaysOf400Years;
  return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

Text<10> date_of(std::int64_t unix_seconds) {
  const std::int64_t days = unix_seconds / 86'400 + kDaysTo1970;
  std::int64_t year = days * 400 / kDaysOf400Years + 1;  // or one or two more
  while (days_before_year(year) > days) --year;
  const auto day = static_cast<int>(days - days_before_year(year));
  int month = 11;
  while (days_before(month) > day) --month;
  if (month >= 10) ++year;
  return to_text<10>([&](Writer& out) {
    out.put_signed(year);
    put(out, '-', month < 10 ? month + 3 : month - 9);
    put(out, '-', day - days_before(month) + 1);
  });
}

Text<20> time_of(std::int64_t unix_seconds) {
  const auto second = static_cast<int>(unix_seconds % 86'400);
  return to_text<20>([&](Writer& out) {
    out.put(date_of(unix_seconds));
    put(out, 'T', second / 3600);
    put(out, ':', second / 60 % 60);
    put(out, ':', second % 60);
    out.put('Z');
  });
}

}  // namespace flannelette::io
