// SPDX-License-Identifier: Apache-2.0
// The texts of a constant table: each one is there once, and found by where it is.
#include "flannelette/base/text_pool.hpp"

#include <doctest/doctest.h>

#include <string_view>

using flannelette::TextPool;

TEST_CASE("text pool: a text that is there, also as the end of another, is not added again") {
  TextPool<64> pool;
  const auto text = [&](std::uint16_t at) { return std::string_view(pool.text + at); };
  const auto lease = pool.place("lease-ttl");
  CHECK(text(lease) == "lease-ttl");
  const std::size_t before = pool.size;
  CHECK(pool.place("lease-ttl") == lease);
  CHECK(text(pool.place("ttl")) == "ttl");
  CHECK(pool.size == before);
  CHECK(text(pool.place("lease")) == "lease");  // the beginning of another is none
  CHECK(pool.size == before + sizeof "lease");
  CHECK(text(pool.append("lease-ttl")) == "lease-ttl");
  CHECK(pool.size == before + sizeof "lease" + sizeof "lease-ttl");
}

TEST_CASE("text pool: 0 is the empty text, and takes no room") {
  TextPool<8> pool;
  CHECK(pool.place("") == 0);
  CHECK(pool.append("") == 0);
  CHECK(pool.size == 1);
  CHECK(pool.place("a") != 0);
  CHECK(pool.place("") == 0);
  CHECK(pool.append("") == 0);
}
