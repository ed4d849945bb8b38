// SPDX-License-Identifier: Apache-2.0
#include "flannelette/io/calendar.hpp"

#include <doctest/doctest.h>

#include "support/rng.hpp"

namespace flannelette::io {

TEST_SUITE("io/calendar") {
  TEST_CASE("a time as RFC 3339 has it") {
    CHECK(io::time_of(0).view() == "1970-01-01T00:00:00Z");
    CHECK(io::time_of(1'795'853'472).view() == "2026-11-28T08:11:12Z");
    CHECK(io::time_of(1'795'910'399).view() == "2026-11-28T23:59:59Z");
  }

  TEST_CASE("seconds since 1970 and dates, on both sides of leap days and of 2038") {
    CHECK(unix_seconds(1970, 1, 1, 0, 0, 0) == 0);
    CHECK(unix_seconds(2000, 2, 29, 12, 0, 0) == 951'825'600);
    CHECK(unix_seconds(2038, 1, 19, 3, 14, 8) == 2'147'483'648);
    CHECK(unix_seconds(9999, 12, 31, 23, 59, 59) == 253'402'300'799);
    CHECK(date_of(0) == "1970-01-01");
    CHECK(date_of(unix_seconds(2038, 1, 19, 3, 14, 8)) == "2038-01-19");
    CHECK(date_of(unix_seconds(2088, 12, 18, 23, 59, 59)) == "2088-12-18");
    CHECK(date_of(unix_seconds(2100, 2, 28, 23, 59, 59) + 1) == "2100-03-01");
  }

  TEST_CASE("the year 0 of a certificate is as long as every leap year") {
    CHECK(unix_seconds(0, 2, 1, 0, 0, 0) - unix_seconds(0, 1, 31, 0, 0, 0) == 86'400);
    CHECK(unix_seconds(0, 3, 1, 0, 0, 0) - unix_seconds(0, 1, 1, 0, 0, 0) == 60 * 86'400);
    CHECK(unix_seconds(0, 1, 1, 0, 0, 0) == -62'167'219'200);
  }

  TEST_CASE("every day until 9999 follows the one before") {
    constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    std::int64_t now = 0;
    for (int year = 1970; year < 1970 + tests::rounds(8'030); ++year) {
      const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
      for (int month = 1; month <= 12; ++month) {
        for (int day = 1; day <= kDays[month - 1] + (leap && month == 2 ? 1 : 0); ++day, now += 86'400) {
          const auto date = to_text<10>([&](Writer& out) {
            out.put_signed(year).put(month < 10 ? "-0" : "-").put_signed(month);
            out.put(day < 10 ? "-0" : "-").put_signed(day);
          });
          if (unix_seconds(year, month, day, 0, 0, 0) != now || date_of(now + 86'399) != date)
            FAIL("not so: " << date.c_str());
        }
      }
    }
  }
}

}  // namespace flannelette::io
