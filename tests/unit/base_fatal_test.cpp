// SPDX-License-Identifier: Apache-2.0
#include "flannelette/base/fatal.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "flannelette/base/plain_array.hpp"
#include "support/death.hpp"
#include "support/means.hpp"

namespace flannelette {

using tests::Death;
using tests::death_of;

TEST_SUITE("base/fatal") {
  TEST_CASE("what ends the process is said in one line") {
    REQUIRE_MEANS(silent_death());
    const Death death = death_of([] { die("a reason"); });
    CHECK(death.said == "flannelette: fatal: a reason\n");
    CHECK(death.signal == SIGABRT);
  }

  TEST_CASE("nobody reads stderr: it ends all the same") {
    REQUIRE_MEANS(silent_death());
    const Death death = death_of([] {
      int full[2];
      if (pipe(full) != 0) return;
      dup2(full[1], STDERR_FILENO);
      alarm(5);
      const std::string much(4096, 'x');
      for (int i = 0; i < 16; ++i) (void)!::write(full[1], much.data(), much.size());
      die("unread");
    });
    CHECK(death.signal == SIGABRT);
  }

  TEST_CASE("an array for which there is no memory says so before it ends the process") {
#if defined(FLANNELETTE_SANITIZE)
    SKIP("the sanitizer's malloc ends the process by itself");
#endif
    REQUIRE_MEANS(silent_death());
    const Death death = death_of([] {
      volatile std::size_t much = SIZE_MAX / 2;
      PlainArray<char> array;
      array.reserve(much);
    });
    CHECK(death.said == "flannelette: fatal: out of memory\n");
    CHECK(death.signal == SIGABRT);
  }
}

}  // namespace flannelette
