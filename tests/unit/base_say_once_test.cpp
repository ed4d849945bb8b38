// SPDX-License-Identifier: Apache-2.0
#include "flannelette/base/say_once.hpp"

#include <doctest/doctest.h>

#include <cerrno>

namespace flannelette {

TEST_SUITE("base/say_once") {
  TEST_CASE("a failure that repeats itself is news once") {
    SayOnce said;
    CHECK(said.is_news(system_error("open", EACCES)));
    CHECK(!said.is_news(system_error("open", EACCES)));
    CHECK(!said.is_news(system_error("write", EACCES)));
    CHECK(said.is_news(system_error("write", ENOSPC)));
    CHECK(said.is_news(system_error("open", EACCES)));
  }

  TEST_CASE("failures are told apart by code, errno and what they are about") {
    SayOnce said;
    const Error limit{Code::kLimit, 0, "same"}, invalid{Code::kInvalid, 0, "same"};
    CHECK(said.is_news(limit));
    CHECK(said.is_news(invalid));
    CHECK(said.is_news(invalid, 1));
    CHECK(!said.is_news(invalid, 1));
    CHECK(said.is_news(invalid, 2));
  }

  TEST_CASE("the end of a failure is news as well, once") {
    SayOnce said;
    CHECK(!said.clear());
    CHECK(said.is_news(system_error("open", EACCES)));
    CHECK(said.clear());
    CHECK(!said.clear());
    CHECK(said.is_news(system_error("open", EACCES)));
  }

  TEST_CASE("what a server says may vary, but what is wrong with certificates is told apart") {
    const Error tls{Code::kTls, 0, "not valid for this name"},
        etcd{Code::kDenied, 0, "etcd: PERMISSION_DENIED"};
    CHECK(failure_digest("connect", tls, "valid for: a") != failure_digest("connect", tls, "valid for: b"));
    CHECK(failure_digest("list", etcd, "at revision 1") == failure_digest("list", etcd, "at revision 2"));
  }

  TEST_CASE("failures that take turns are each reported once, and again after the interval") {
    SayOnce<3> said(600);
    const std::uint64_t refused = failure_digest("connect", system_error("connect", ECONNREFUSED), "");
    const std::uint64_t reset = failure_digest("connect", system_error("connect", ECONNRESET), "");
    const std::uint64_t list = failure_digest("list", system_error("connect", ECONNREFUSED), "");
    const std::uint64_t read = failure_digest("connect", system_error("read", ECONNREFUSED), "");
    CHECK(said.is_news(refused, 0));
    CHECK(said.is_news(reset, 100));
    CHECK(said.is_news(list, 200));
    CHECK(!said.is_news(refused, 599));
    CHECK(!said.is_news(reset, 699));
    CHECK(said.is_news(refused, 600));
    CHECK(!said.is_news(refused, 601));
    SUBCASE("one more takes the place of the one reported longest ago") {
      CHECK(said.is_news(read, 650));
      CHECK(!said.is_news(list, 651));
      CHECK(!said.is_news(refused, 652));
      CHECK(said.is_news(reset, 653));
    }
    SUBCASE("until the end") {
      CHECK(said.clear());
      CHECK(said.is_news(refused, 602));
    }
  }
}

}  // namespace flannelette
